"""Each trial as a line through its parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes

from lipbench.reporting import Figure, Omitted, Table
from lipbench.results import Results
from lipbench.tuning.analysis import best_trials, configuration, counted
from lipbench.tuning.record import Objective, Parameter, Tuning, Value

from ._draw import LARGEST, WIDTH, groups, paper, plain
from ._tuning import (
    NONE_COMPLETED,
    OfTrials,
    better,
    drawn_methods,
    in_csv,
    on_log_axis,
    short_names,
    stated,
    written,
)

_PANELS = 4  # methods in a figure, at most
_ABSENT = -0.14  # where a line passes an axis of a parameter that its trial does not have
_DIVERGED_AT = (-0.1, 1.1)  # where a diverged trial's line ends: beyond the worst, low or high
_LABELS = 5  # choices of a categorical parameter that are named at its axis, at most
_DIVERGED = "#D55E00"
_PRUNED = "#CCCCCC"


class Parallel(OfTrials):
    """Draw all trials of a method as lines that cross an axis for each parameter."""

    title = "Trials in parallel coordinates"
    order = 7

    def of(self, results: Results, tuning: Tuning) -> Iterator[Table | Figure | Omitted]:
        objective = tuning.objectives[0]
        found = counted(results.trials, objective)
        found = found.assign(value=found["value"].where(found["value"].abs() < LARGEST))
        valued = found["method"][(found["outcome"] == "completed") & found["value"].notna()]
        methods = [m for m in drawn_methods(results, valued) if tuning.search.get(m)]
        if not methods:
            yield NONE_COMPLETED
        for number, some in groups(methods, _PANELS):
            yield _figure(tuning, number, some, found)


class _Scale:
    """Where values are on an axis from 0 to 1, of a parameter or of the objective."""

    def __init__(self, low: float, high: float, log: bool) -> None:
        self._log = log
        self._low, self._high = (math.log(low), math.log(high)) if log else (low, high)

    def __call__(self, value: float) -> float:
        value = math.log(value) if self._log else value
        width = self._high - self._low
        return (value - self._low) / width if width else 0.5


def _place(parameter: Parameter, value: Value) -> float:
    """Return where a parameter's value is on its axis."""
    if parameter.kind == "categorical":
        count = len(parameter.choices)
        return (parameter.choices.index(value) + 0.5) / count
    assert isinstance(value, (int, float))
    return _Scale(parameter.low, parameter.high, parameter.log)(value)


def _figure(tuning: Tuning, number: str, methods: Sequence[str], found: pd.DataFrame) -> Figure:
    objective = tuning.objectives[0]
    known = found["value"][found["outcome"] == "completed"].dropna()
    scale = _Scale(known.min(), known.max(), on_log_axis(objective, known))
    drawing = paper(0.2 + 2.0 * len(methods), WIDTH)
    for axes, method in zip(
        drawing.subplots(len(methods), 1, squeeze=False)[:, 0], methods, strict=True
    ):
        own = found[found["method"] == method]
        _panel(axes, own, tuning.search[method], objective, scale)
        axes.set_title(plain(method), loc="left", fontweight="bold", pad=10)
        for value in sorted({known.min(), known.max()}):
            _label(axes, len(tuning.search[method]), scale(value), stated(value, objective))
    present = set(found["outcome"][found["method"].isin(methods)])
    return Figure(
        f"tuning_parallel{number}",
        f"Each trial's parameters and its {objective.title}, a line a trial: {better(objective)}.",
        drawing,
        tuple(_notes(objective, present, any(p.when for m in methods for p in tuning.search[m]))),
        pd.DataFrame(
            {name: trial[name] for name in ("method", "seed", "trial", "outcome", "value")}
            | {k: in_csv(v) for k, v in _own(trial, tuning).items()}
            for trial in found[found["method"].isin(methods)].to_dict("records")
        ),
    )


def _own(trial: Mapping[Any, Any], tuning: Tuning) -> dict[str, Value]:
    return configuration(trial, tuning.search[trial["method"]])


def _panel(
    axes: Axes,
    trials: pd.DataFrame,
    search: Sequence[Parameter],
    objective: Objective,
    scale: _Scale,
) -> None:
    names = short_names(search)
    places = range(len(search) + 1)
    titles = [plain(names[parameter.name]) for parameter in search]
    axes.set_xticks(places, [*titles, plain(objective.title)])
    axes.tick_params(axis="x", length=0)
    axes.set_yticks([])
    axes.set_xlim(-0.25, len(search) + 0.35)
    absent = any(parameter.when for parameter in search)
    low = _ABSENT if absent else _DIVERGED_AT[0] if objective.higher_is_better else 0.0
    axes.set_ylim(low - 0.04, _DIVERGED_AT[1] + 0.04)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.vlines(places, 0, 1, color="#444444", linewidth=0.7, zorder=3)
    best = best_trials(trials, objective).head(1)
    chosen = set(zip(best["seed"], best["trial"], strict=True))
    for i, trial in enumerate(_worst_first(trials, objective)):
        line = [_at(trial, parameter, search) for parameter in search]
        if trial["outcome"] == "diverged":
            line.append(_DIVERGED_AT[not objective.higher_is_better])
        elif math.isfinite(trial["value"]):
            line.append(scale(trial["value"]))
        style = _style(trial, objective, scale, (trial["seed"], trial["trial"]) in chosen)
        axes.plot(range(len(line)), line, zorder=2 + i / 10_000, clip_on=False, **style)
    for i, parameter in enumerate(search):
        for text, y in _ends(parameter):
            _label(axes, i, y, text)


def _worst_first(trials: pd.DataFrame, objective: Objective) -> Sequence[Mapping[Any, Any]]:
    """Return the trials in the order in which they are drawn: pruned, diverged, and the others."""
    layers = trials["outcome"].map({"pruned": 0, "diverged": 1, "completed": 2})
    ordered = trials.assign(layer=layers).sort_values(
        ["layer", "value"], ascending=[True, objective.higher_is_better]
    )
    return ordered.to_dict("records")


def _at(trial: Mapping[Any, Any], parameter: Parameter, search: Sequence[Parameter]) -> float:
    own = configuration(trial, search)
    return _place(parameter, own[parameter.name]) if parameter.name in own else _ABSENT


def _style(
    trial: Mapping[Any, Any], objective: Objective, scale: _Scale, best: bool
) -> dict[str, Any]:
    if trial["outcome"] == "pruned" or not math.isfinite(trial["value"]):
        return {"color": _PRUNED, "linewidth": 0.5}
    if trial["outcome"] == "diverged":
        return {"color": _DIVERGED, "linewidth": 0.6, "linestyle": "--", "alpha": 0.7}
    at = scale(trial["value"])
    worse = 1 - at if objective.higher_is_better else at
    colour = colormaps["viridis"](0.95 * worse)
    return {"color": "#000000" if best else colour, "linewidth": 2.0 if best else 0.8}


def _ends(parameter: Parameter) -> Iterator[tuple[str, float]]:
    """Yield what is written at a parameter's axis, and where."""
    if parameter.kind != "categorical":
        yield written(parameter.low if parameter.kind == "float" else int(parameter.low)), 0.0
        yield written(parameter.high if parameter.kind == "float" else int(parameter.high)), 1.0
    elif len(parameter.choices) <= _LABELS:
        for choice in parameter.choices:
            yield written(choice), _place(parameter, choice)


def _label(axes: Axes, x: float, y: float, text: str) -> None:
    axes.annotate(
        plain(text),
        (x, y),
        (3, 0),
        textcoords="offset points",
        va="center",
        fontsize=6.5,
        zorder=5,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.8},
    )


def _notes(objective: Objective, present: set[str], absent: bool) -> Iterator[str]:
    yield (
        f"Dark lines are better, black is the best trial of a method; axes of {objective.title} "
        "and colours are the same for all methods. Axes of parameters that were searched on a "
        "logarithmic scale are logarithmic."
    )
    if "diverged" in present:
        told = stated(objective.if_diverged, objective)
        yield f"Dashed: diverged, beyond the axis; the sampler was told {told}."
    if "pruned" in present:
        yield "Grey: pruned, so without a value."
    if absent:
        yield "A line below an axis: the trial does not have this parameter."
