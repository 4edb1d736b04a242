"""Each trial's value against each searched parameter."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatterMathtext, LogLocator, MaxNLocator, MultipleLocator

from lipbench.reporting import Figure, Omitted, Table
from lipbench.results import Results
from lipbench.tuning.analysis import best_trials, configuration, counted
from lipbench.tuning.record import Objective, Parameter, Tuning

from ._draw import INCHES_A_LETTER, WIDTH, log_x, paper, plain
from ._tuning import OfTrials, better, in_csv, on_log_axis, short_names, stated, value_axis

_COLUMNS = 6  # panels in a row
_ROWS = 4  # in a figure, at most
_DIVERGED = "#D55E00"
_PRUNED = "#888888"

Row = tuple[str, tuple[Parameter, ...]]


class Slices(OfTrials):
    """Draw the trials against each parameter, each method in rows of its own."""

    title = "Trials by parameter"
    order = 6

    def of(self, results: Results, tuning: Tuning) -> Iterator[Table | Figure | Omitted]:
        for objective in tuning.objectives:
            points = _points(results, tuning, objective)
            rows = list(_rows(results, tuning, set(points["method"])))
            if not rows:
                yield Omitted(f"no trial has a value of {objective.title}")
                continue
            several = f"_{objective.name}" if len(tuning.objectives) > 1 else ""
            count = math.ceil(len(rows) / _ROWS)
            size = math.ceil(len(rows) / count)
            for i in range(count):
                number = f"{several}_{i + 1}" if count > 1 else several
                yield _figure(objective, number, rows[i * size : (i + 1) * size], points)


def _rows(results: Results, tuning: Tuning, methods: set[str]) -> Iterator[Row]:
    """Yield each row's method and parameters, _COLUMNS of them or fewer."""
    for method in results.methods:
        search = tuning.search.get(method, ()) if method in methods else ()
        for i in range(0, len(search), _COLUMNS):
            yield method, tuple(search[i : i + _COLUMNS])


def _points(results: Results, tuning: Tuning, objective: Objective) -> pd.DataFrame:
    """Return the counted trials with a value, or a pruned one's last, and their parameters."""
    found = counted(results.trials, objective)
    if objective == tuning.objectives[0]:  # the one that trials are pruned by
        last = found["intermediate"].astype(float).where(found["outcome"] == "pruned")
        found = found.assign(value=found["value"].fillna(last))
    rows = []
    for method, of_method in found.dropna(subset="value").groupby("method", sort=False):
        best = best_trials(of_method, objective).head(1)
        for trial in of_method.to_dict("records"):
            place = {name: trial[name] for name in ("method", "seed", "trial", "outcome", "value")}
            first = (best["seed"] == trial["seed"]) & (best["trial"] == trial["trial"])
            own = configuration(trial, tuning.search.get(str(method), ()))
            rows.append(place | {"best": bool(first.any()), "configuration": own})
    return pd.DataFrame(rows, columns=[*_PLACE, "configuration"])


_PLACE = ("method", "seed", "trial", "outcome", "value", "best")


def _figure(
    objective: Objective, number: str, rows: Sequence[Row], points: pd.DataFrame
) -> Figure:
    columns = max(len(search) for _, search in rows)
    names_below = max(_upright(parameter) for _, search in rows for parameter in search)
    drawing = paper(0.55 + (1.6 + names_below) * len(rows), WIDTH if columns > 1 else 4.2)
    grid = drawing.subplots(len(rows), columns, sharey=True, squeeze=False)
    measured = points["value"][points["outcome"] != "diverged"]
    _make_room(grid[0, 0], objective, measured)
    before = ""
    for line, (method, search) in zip(grid, rows, strict=True):
        names = short_names(search)
        for axes in line[len(search) :]:
            axes.set_visible(False)
        for axes, parameter in zip(line, search, strict=False):
            has = points["configuration"].map(lambda own, name=parameter.name: name in own)
            own = points[has.astype(bool) & points["method"].eq(method)]
            _panel(axes, own, parameter, 0.05 if objective.higher_is_better else 0.95)
            axes.set_xlabel(plain(names[parameter.name]), labelpad=2)
        title = f"{plain(method)}, continued" if method == before else plain(method)
        line[0].set_title(title, loc="left", fontweight="bold")
        before = method
        line[0].set_ylabel(plain(objective.title))
    _legend(drawing, points)
    return Figure(
        f"tuning_slices{number}",
        f"Each trial's {objective.title} against each searched parameter: {better(objective)}.",
        drawing,
        tuple(_notes(objective, points)),
        _raw(points, rows),
    )


def _raw(points: pd.DataFrame, rows: Sequence[Row]) -> pd.DataFrame:
    """Return the trials of the rows' methods, with the rows' parameters as columns."""
    shown: dict[str, list[str]] = {}
    for method, search in rows:
        shown.setdefault(method, []).extend(parameter.name for parameter in search)
    return pd.DataFrame(
        {name: point[name] for name in _PLACE}
        | {k: in_csv(v) for k, v in point["configuration"].items() if k in shown[point["method"]]}
        for point in points.to_dict("records")
        if point["method"] in shown
    )


def _make_room(axes: Axes, objective: Objective, measured: pd.Series[float]) -> None:
    """Make the y axis one of these values, with room beyond the worst of them."""
    log = on_log_axis(objective, measured)
    value_axis(axes, objective, [measured], log)
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
    if points.empty:
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", color="#555555")
        axes.set_xticks([])
        return
    places = _axis(axes, points, parameter)
    styles = {
        "pruned": ("_", _PRUNED, 5),
        "completed": ("o", "#0072B2", 3),
        "diverged": ("x", _DIVERGED, 4),
    }
    for outcome, (marker, colour, size) in styles.items():
        here = points["outcome"] == outcome
        diverged = outcome == "diverged"
        axes.plot(
            places[here],
            [edge] * int(here.sum()) if diverged else points["value"][here],
            marker,
            color=colour,
            markersize=size,
            markeredgewidth=0.9 if marker != "o" else 0,
            alpha=0.8,
            transform=axes.get_xaxis_transform() if diverged else axes.transData,
        )
    best = points["best"].astype(bool)
    axes.plot(
        places[best],
        points["value"][best],
        "o",
        markersize=7,
        markerfacecolor="none",
        markeredgecolor="#222222",
    )


def _axis(axes: Axes, points: pd.DataFrame, parameter: Parameter) -> pd.Series[float]:
    """Make the x axis that of a parameter, and return where on it each trial is."""
    if parameter.kind == "categorical":
        count = len(parameter.choices)
        labels = [plain(str(choice)) for choice in parameter.choices]
        upright = 90 if _upright(parameter) else 0
        axes.set_xticks(range(count), labels, rotation=upright, fontsize=6.5)
        axes.set_xlim(-0.6, count - 0.4)
        aside = np.random.default_rng(0).uniform(-0.22, 0.22, len(points))
        return _values(points, parameter) + aside
    if parameter.log:
        log_x(axes, parameter.low, parameter.high)
        if parameter.high >= 100 * parameter.low:  # a panel is too narrow for more than powers
            axes.xaxis.set_major_locator(LogLocator(numticks=5))
            axes.xaxis.set_major_formatter(LogFormatterMathtext())
    else:
        margin = 0.06 * (parameter.high - parameter.low) or 1
        axes.set_xlim(parameter.low - margin, parameter.high + margin)
        whole = parameter.kind == "int"
        few = whole and parameter.high - parameter.low < 6
        axes.xaxis.set_major_locator(MultipleLocator() if few else MaxNLocator(3, integer=whole))
    return _values(points, parameter)


def _values(points: pd.DataFrame, parameter: Parameter) -> pd.Series[float]:
    """Return the trials' values of a parameter; of choices, their numbers from 0."""
    own = [configuration[parameter.name] for configuration in points["configuration"]]
    if parameter.kind == "categorical":
        own = [parameter.choices.index(value) for value in own]
    return pd.Series(own, points.index, dtype=float)


def _upright(parameter: Parameter) -> float:
    """Return the inches that the names of choices take below an axis; 0 if side by side."""
    letters = [len(str(choice)) for choice in parameter.choices]
    return 0.8 * INCHES_A_LETTER * max(letters) if sum(letters) > 14 else 0.0


def _legend(drawing: Drawing, points: pd.DataFrame) -> None:
    entries = {
        "completed": ("o", "#0072B2"),
        "diverged": ("x", _DIVERGED),
        "pruned": ("_", _PRUNED),
    }
    present = [outcome for outcome in entries if (points["outcome"] == outcome).any()]
    handles = [
        Line2D([], [], linestyle="none", marker=entries[o][0], color=entries[o][1], markersize=4)
        for o in present
    ]
    drawing.legend(handles, present, loc="outside lower center", ncols=len(present))


def _notes(objective: Objective, points: pd.DataFrame) -> Iterator[str]:
    if points["best"].any():
        yield "Ringed is a method's best trial."
    yield "Ranges are those that were searched."
    if (points["outcome"] == "diverged").any():
        told = stated(objective.if_diverged, objective)
        yield f"A diverged trial stands at the edge: it has no value, the sampler was told {told}."
    if (points["outcome"] == "pruned").any():
        yield (
            "A pruned trial stands at the last value that it was judged by, on its way: it is not "
            "comparable with the others'."
        )
