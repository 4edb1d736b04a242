"""Trials in parallel coordinates: each as a line through its parameters to its value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes

from lipbench.outcome import Outcome
from lipbench.planning.tuning import Objective, Parameter, Tuning, Value
from lipbench.reporting import Figure, tag

from ._draw import WIDTH, paper, plain
from ._tuning import better, on_log_axis, short_names, stated, written

_ABSENT = -0.14  # where a line passes an axis of a parameter that its trial does not have
_BEYOND = {False: 1.1, True: -0.1}  # where a diverged trial's line ends, by higher_is_better
_PLACE = ("method", "seed", "trial", "outcome", "value", "best")

Row = tuple[str, tuple[Parameter, ...]]


def place_of(parameter: Parameter, value: Any) -> float:
    """Return where a parameter's value is on an axis from 0 to 1."""
    if parameter.kind == "categorical":
        return (parameter.choices.index(value) + 0.5) / len(parameter.choices)
    scale = math.log if parameter.log else float
    low, high = scale(parameter.low), scale(parameter.high)
    return (scale(value) - low) / (high - low) if high > low else 0.5


def ticks(parameter: Parameter, most: int = 20) -> tuple[list[float], list[str]]:
    """Return where on its axis which values of a parameter are written."""
    values: list[Value] = list(parameter.choices)
    if parameter.kind != "categorical":
        whole = int if parameter.kind == "int" else float
        values = list(dict.fromkeys(whole(end) for end in (parameter.low, parameter.high)))
    shown = values if len(values) <= most else []
    return [place_of(parameter, value) for value in shown], [plain(written(v)) for v in shown]


def raw_trials(points: pd.DataFrame, rows: Sequence[Row]) -> pd.DataFrame:
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


def parallel(tuning: Tuning, number: str, methods: Sequence[str], points: pd.DataFrame) -> Figure:
    objective = tuning.objectives[0]
    points = points.assign(value=points["value"].where(points["outcome"] != Outcome.PRUNED))
    known = points["value"][points["outcome"] == Outcome.COMPLETED].dropna()
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
        f"Dashed: diverged, beyond the axis; the sampler was told {told}.": Outcome.DIVERGED
        in present,
        "Grey: pruned, so without a value.": Outcome.PRUNED in present,
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
        raw_trials(points, [(method, tuning.search.get(method, ())) for method in methods]),
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
    layers = trials["outcome"].map({Outcome.PRUNED: 0, Outcome.DIVERGED: 1, Outcome.COMPLETED: 2})
    ordered = trials.assign(layer=layers).sort_values(
        ["layer", "value"], ascending=[True, objective.higher_is_better]
    )
    for i, trial in enumerate(ordered.to_dict("records")):
        own = trial["configuration"]
        line = [place_of(p, own[p.name]) if p.name in own else _ABSENT for p in search]
        if trial["outcome"] == Outcome.DIVERGED:
            line.append(_BEYOND[objective.higher_is_better])
        elif trial["outcome"] == Outcome.COMPLETED and math.isfinite(trial["value"]):
            line.append(place_of(axis, trial["value"]))
        style = _style(trial, objective, axis)
        (drawn,) = axes.plot(range(len(line)), line, zorder=2 + i / 10_000, clip_on=False, **style)
        tag(drawn, trial["method"], trial["told"])
    ends = [(i, *tick) for i, p in enumerate(search) for tick in zip(*ticks(p, 5), strict=True)]
    values = sorted({axis.low, axis.high})
    ends += [(len(search), place_of(axis, v), plain(stated(v, objective))) for v in values]
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.8}
    style = {"textcoords": "offset points", "va": "center", "fontsize": 6.5, "bbox": box}
    for x, y, told in ends:
        axes.annotate(told, (x, y), (3, 0), zorder=5, **style)


def _style(trial: Mapping[Any, Any], objective: Objective, axis: Parameter) -> dict[str, Any]:
    if trial["outcome"] == Outcome.DIVERGED:
        return {"color": "#D55E00", "linewidth": 0.6, "linestyle": "--", "alpha": 0.7}
    if trial["outcome"] == Outcome.PRUNED or not math.isfinite(trial["value"]):
        return {"color": "#CCCCCC", "linewidth": 0.5}
    at = place_of(axis, trial["value"])
    worse = 1 - at if objective.higher_is_better else at
    colour = "#000000" if trial["best"] else colormaps["viridis"](0.95 * worse)
    return {"color": colour, "linewidth": 2.0 if trial["best"] else 0.8}
