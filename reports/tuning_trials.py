"""Each trial by its parameters: its value against each of them, and as a line through all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from lipbench.reporting import Figure, Omitted, Table, tag
from lipbench.results import Results
from lipbench.tuning.analysis import best_trials, configuration, counted
from lipbench.tuning.record import Objective, Parameter, Tuning, Value

from ._draw import INCHES_A_LETTER, LARGEST, WIDTH, groups, paper, plain
from ._tuning import (
    OfTrials,
    better,
    described,
    drawn_methods,
    on_log_axis,
    short_names,
    stated,
    value_axis,
    written,
)

_COLUMNS = 6  # panels in a row
_ROWS = 4  # in a figure, at most; of lines, methods
_STYLES: dict[str, dict[str, Any]] = {  # of points, by outcome
    "pruned": {"marker": "_", "color": "#888888", "s": 18},
    "completed": {"marker": "o", "color": "#0072B2", "s": 9, "linewidth": 0},
    "diverged": {"marker": "x", "color": "#D55E00", "s": 14, "linewidth": 0.9},
}
_ABSENT = -0.14  # where a line passes an axis of a parameter that its trial does not have
_BEYOND = {False: 1.1, True: -0.1}  # where a diverged trial's line ends, by higher_is_better
_PLACE = ("method", "seed", "trial", "outcome", "value", "best")

Row = tuple[str, tuple[Parameter, ...]]


class Trials(OfTrials):
    """Draw the trials against each parameter, each method in rows of its own, and as lines."""

    title = "Trials by parameter"
    order = 6

    def of(self, results: Results, tuning: Tuning) -> Iterator[Table | Figure | Omitted]:
        for objective in tuning.objectives:
            points = _points(results, tuning, objective)
            rows = list(
                _rows(tuning, drawn_methods(results, points["method"][points["value"].notna()]))
            )
            if not rows:
                yield Omitted(f"no trial has a value of {objective.title}")
            several = f"_{objective.name}" if len(tuning.objectives) > 1 else ""
            for number, some in groups(rows, _ROWS):  # type: ignore[arg-type]
                yield _slices(objective, several + number, some, points)  # type: ignore[arg-type]
        objective = tuning.objectives[0]
        points = _points(results, tuning, objective)
        completed = points["method"][points["outcome"].eq("completed") & points["value"].notna()]
        for number, methods in groups(drawn_methods(results, completed), _ROWS):
            if any(tuning.search.get(method) for method in methods):
                yield _parallel(tuning, number, methods, points)


def _rows(tuning: Tuning, methods: Sequence[str]) -> Iterator[Row]:
    """Yield each row's method and parameters, _COLUMNS of them or fewer."""
    for method in methods:
        search = tuning.search.get(method, ())
        for i in range(0, len(search), _COLUMNS):
            yield method, tuple(search[i : i + _COLUMNS])


def _points(results: Results, tuning: Tuning, objective: Objective) -> pd.DataFrame:
    """Return the counted trials, with `best`, `configuration` and how they are `told`.

    A pruned trial has the last value that it was judged by.
    """
    found = counted(results.trials, objective)
    found = found.assign(value=found["value"].where(found["value"].abs() < LARGEST))
    best = best_trials(found, objective).drop_duplicates("method")
    chosen = set(zip(best["method"], best["seed"], best["trial"], strict=True))
    if objective == tuning.objectives[0]:  # the one that trials are pruned by
        last = found["intermediate"].astype(float).where(found["outcome"] == "pruned")
        found = found.assign(value=found["value"].fillna(last))
    trials = found.to_dict("records")
    search = [tuning.search.get(trial["method"], ()) for trial in trials]
    own = list(zip(trials, search, strict=True))
    configurations: list[Any] = [configuration(trial, some) for trial, some in own]
    return found.assign(
        best=[(t["method"], t["seed"], t["trial"]) in chosen for t in trials],
        configuration=configurations,
        told=[
            f"{t['method']}, trial {t['trial']}, seed {t['seed']}, {t['outcome']}: "
            f"{stated(t['value'], objective)}; {described(t, some)}"
            for t, some in own
        ],
    )


def _place(parameter: Parameter, value: Any) -> float:
    """Return where a parameter's value is on an axis from 0 to 1."""
    if parameter.kind == "categorical":
        return (parameter.choices.index(value) + 0.5) / len(parameter.choices)
    scale = math.log if parameter.log else float
    low, high = scale(parameter.low), scale(parameter.high)
    return (scale(value) - low) / (high - low) if high > low else 0.5


def _ticks(parameter: Parameter, most: int = 20) -> tuple[list[float], list[str]]:
    """Return where on its axis which values of a parameter are written."""
    values: list[Value] = list(parameter.choices)
    if parameter.kind != "categorical":
        whole = int if parameter.kind == "int" else float
        values = list(dict.fromkeys(whole(end) for end in (parameter.low, parameter.high)))
    shown = values if len(values) <= most else []
    return [_place(parameter, value) for value in shown], [plain(written(v)) for v in shown]


def _raw(points: pd.DataFrame, rows: Sequence[Row]) -> pd.DataFrame:
    """Return the trials of the rows' methods, with the rows' parameters as columns."""
    shown: dict[str, list[str]] = {}
    for method, search in rows:
        shown.setdefault(method, []).extend(parameter.name for parameter in search)
    return pd.DataFrame(
        {name: point[name] for name in _PLACE}
        | {  # where nothing at all is no parameter
            name: "None" if value is None else value
            for name, value in point["configuration"].items()
            if name in shown[point["method"]]
        }
        for point in points.to_dict("records")
        if point["method"] in shown
    )


def _slices(
    objective: Objective, number: str, rows: Sequence[Row], points: pd.DataFrame
) -> Figure:
    points = points.dropna(subset="value")
    columns = max(len(search) for _, search in rows)
    below = max(_upright(parameter) for _, search in rows for parameter in search)
    drawing = paper(0.55 + (1.6 + below) * len(rows), WIDTH if columns > 1 else 4.2)
    grid = drawing.subplots(len(rows), columns, sharey=True, squeeze=False)
    _make_room(grid[0, 0], objective, points["value"][points["outcome"] != "diverged"])
    before = ""
    for line, (method, search) in zip(grid, rows, strict=True):
        for axes in line[len(search) :]:
            axes.set_visible(False)
        for axes, parameter in zip(line, search, strict=False):
            has = [parameter.name in own for own in points["configuration"]]
            own = points[pd.Series(has, points.index, dtype=bool) & points["method"].eq(method)]
            _panel(axes, own, parameter, 0.05 if objective.higher_is_better else 0.95)
            axes.set_xlabel(plain(short_names(search)[parameter.name]), labelpad=2)
        title = f"{plain(method)}, continued" if method == before else plain(method)
        line[0].set_title(title, loc="left", fontweight="bold")
        line[0].set_ylabel(plain(objective.title))
        before = method
    present = [outcome for outcome in _STYLES if (points["outcome"] == outcome).any()]
    shown = {k: (_STYLES[k]["marker"], _STYLES[k]["color"]) for k in reversed(present)}
    handles = [Line2D([], [], ls="none", marker=m, color=c, ms=4) for m, c in shown.values()]
    drawing.legend(handles, list(shown), loc="outside lower center", ncols=3)
    return Figure(
        f"tuning_slices{number}",
        f"Each trial's {objective.title} against each searched parameter: {better(objective)}.",
        drawing,
        (
            *(["Ringed is a method's best trial."] if points["best"].any() else []),
            "Ranges are those that were searched.",
            *_about_outcomes(objective, set(points["outcome"])),
        ),
        _raw(points, rows),
    )


def _about_outcomes(objective: Objective, present: set[str]) -> Iterator[str]:
    if "diverged" in present:
        told = stated(objective.if_diverged, objective)
        yield f"A diverged trial stands at the edge: it has no value, the sampler was told {told}."
    if "pruned" in present:
        yield (
            "A pruned trial stands at the last value that it was judged by, on its way: it is not "
            "comparable with the others'."
        )


def _make_room(axes: Axes, objective: Objective, measured: pd.Series[float]) -> None:
    """Make the y axis one of these values, with room beyond the worst of them."""
    log = on_log_axis(objective, measured)
    value_axis(axes, objective, measured, log)
    low, high = axes.get_ylim()
    room = (high / low) ** 0.15 if log else 0.15 * (high - low)
    if objective.higher_is_better:
        axes.set_ylim(bottom=low / room if log else low - room)
    else:
        axes.set_ylim(top=high * room if log else high + room)
    if log and high / low > 100:  # where a panel has no place for 1, 2 and 5 of each decade
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0,), numticks=5))
    if measured.empty:
        axes.set_yticks([])


def _panel(axes: Axes, points: pd.DataFrame, parameter: Parameter, edge: float) -> None:
    """Draw a method's trials against one parameter, the best one ringed.

    The diverged ones are at the edge, a share of the axis: the ceiling would squash the others.
    """
    axes.grid()
    axes.set_xlim(-0.08, 1.08)
    upright = 90 if _upright(parameter) else 0
    axes.set_xticks(*_ticks(parameter), rotation=upright, fontsize=6.5)
    places = np.array([_place(parameter, own[parameter.name]) for own in points["configuration"]])
    if parameter.kind == "categorical":
        aside = 0.22 / len(parameter.choices)
        places = places + np.random.default_rng(0).uniform(-aside, aside, len(points))
    for outcome, style in _STYLES.items():
        here = points["outcome"].eq(outcome).to_numpy()
        own = points[here]
        if outcome == "diverged":
            heights, transform = [edge] * len(own), axes.get_xaxis_transform()
        else:
            heights, transform = own["value"].tolist(), axes.transData
        if len(own):
            dots = axes.scatter(places[here], heights, transform=transform, alpha=0.8, **style)
            tag(dots, str(own["method"].iloc[0]), list(own["told"]))
    best = points["best"].to_numpy(bool)
    ringed = points["value"][best]
    axes.plot(places[best], ringed, "o", markersize=7, mfc="none", mec="#222222")


def _upright(parameter: Parameter) -> float:
    """Return the inches that the names of choices take below an axis; 0 if side by side."""
    letters = [len(str(choice)) for choice in parameter.choices]
    return 0.8 * INCHES_A_LETTER * max(letters) if sum(letters) > 14 else 0.0


def _parallel(tuning: Tuning, number: str, methods: Sequence[str], points: pd.DataFrame) -> Figure:
    objective = tuning.objectives[0]
    points = points.assign(value=points["value"].where(points["outcome"] != "pruned"))
    known = points["value"][points["outcome"] == "completed"].dropna()
    log = on_log_axis(objective, known)
    axis = Parameter("", "float", float(known.min()), float(known.max()), log)
    drawing = paper(0.2 + 2.0 * len(methods), WIDTH)
    column = drawing.subplots(len(methods), 1, squeeze=False)[:, 0]
    for axes, method in zip(column, methods, strict=True):
        search = tuning.search.get(method, ())
        _lines(axes, points[points["method"] == method], search, objective, axis)
        axes.set_title(plain(method), loc="left", fontweight="bold", pad=10)
    own = points[points["method"].isin(methods)]
    absent = any(
        parameter.when for method in methods for parameter in tuning.search.get(method, ())
    )
    told = stated(objective.if_diverged, objective)
    present = set(own["outcome"])
    notes = {
        f"Dashed: diverged, beyond the axis; the sampler was told {told}.": "diverged" in present,
        "Grey: pruned, so without a value.": "pruned" in present,
        "A line below an axis: the trial does not have this parameter.": absent,
    }
    return Figure(
        f"tuning_parallel{number}",
        f"Each trial's parameters and its {objective.title}, a line a trial: {better(objective)}.",
        drawing,
        (
            "Dark lines are better, black is the best trial of a method; axes of "
            f"{objective.title} and colours are the same for all methods. Axes of parameters that "
            "were searched on a logarithmic scale are logarithmic.",
            *[note for note, holds in notes.items() if holds],
        ),
        _raw(points, [(method, tuning.search.get(method, ())) for method in methods]),
    )


def _lines(
    axes: Axes,
    trials: pd.DataFrame,
    search: Sequence[Parameter],
    objective: Objective,
    axis: Parameter,
) -> None:
    """Draw a method's trials, the pruned and the worst ones first, and label the axes."""
    names = [plain(short_names(search)[parameter.name]) for parameter in search]
    axes.set_xticks(range(len(search) + 1), [*names, plain(objective.title)])
    axes.tick_params(axis="x", length=0)
    axes.set_yticks([])
    axes.set_xlim(-0.25, len(search) + 0.35)
    low = _ABSENT if any(p.when for p in search) else min(0.0, _BEYOND[objective.higher_is_better])
    axes.set_ylim(low - 0.04, 1.14)
    axes.spines[:].set_visible(False)
    axes.vlines(range(len(search) + 1), 0, 1, color="#444444", linewidth=0.7, zorder=3)
    layers = trials["outcome"].map({"pruned": 0, "diverged": 1, "completed": 2})
    ordered = trials.assign(layer=layers).sort_values(
        ["layer", "value"], ascending=[True, objective.higher_is_better]
    )
    for i, trial in enumerate(ordered.to_dict("records")):
        own = trial["configuration"]
        line = [_place(p, own[p.name]) if p.name in own else _ABSENT for p in search]
        if trial["outcome"] == "diverged":
            line.append(_BEYOND[objective.higher_is_better])
        elif trial["outcome"] == "completed" and math.isfinite(trial["value"]):
            line.append(_place(axis, trial["value"]))
        style = _style(trial, objective, axis)
        (drawn,) = axes.plot(range(len(line)), line, zorder=2 + i / 10_000, clip_on=False, **style)
        tag(drawn, trial["method"], trial["told"])
    ends = [(i, *tick) for i, p in enumerate(search) for tick in zip(*_ticks(p, 5), strict=True)]
    values = sorted({axis.low, axis.high})
    ends += [(len(search), _place(axis, v), plain(stated(v, objective))) for v in values]
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.8}
    style = {"textcoords": "offset points", "va": "center", "fontsize": 6.5, "bbox": box}
    for x, y, told in ends:
        axes.annotate(told, (x, y), (3, 0), zorder=5, **style)


def _style(trial: Mapping[Any, Any], objective: Objective, axis: Parameter) -> dict[str, Any]:
    if trial["outcome"] == "diverged":
        return {"color": "#D55E00", "linewidth": 0.6, "linestyle": "--", "alpha": 0.7}
    if trial["outcome"] == "pruned" or not math.isfinite(trial["value"]):
        return {"color": "#CCCCCC", "linewidth": 0.5}
    at = _place(axis, trial["value"])
    worse = 1 - at if objective.higher_is_better else at
    colour = "#000000" if trial["best"] else colormaps["viridis"](0.95 * worse)
    return {"color": colour, "linewidth": 2.0 if trial["best"] else 0.8}
