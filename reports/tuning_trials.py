"""Each trial by its parameters: its value against each of them, and as a line through all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from lipbench.outcome import Outcome
from lipbench.planning.tuning import Objective, Parameter, Tuning
from lipbench.reporting import Figure, Omitted, Table, tag
from lipbench.results import Results
from lipbench.tuning.analysis import best_trials, configuration, counted_trials

from ._draw import LARGEST, WIDTH, groups, paper, plain
from ._parallel import Row, parallel, place_of, raw_trials, ticks
from ._tuning import (
    OfTrials,
    better,
    described,
    drawn_methods,
    on_log_axis,
    short_names,
    stated,
    value_axis,
)

_COLUMNS = 6  # panels in a row
_ROWS = 4  # in a figure, at most; of lines, methods
_COLOURS = {Outcome.COMPLETED: "#0072B2", Outcome.DIVERGED: "#D55E00", Outcome.PRUNED: "#888888"}
_MARKERS = {Outcome.COMPLETED: "o", Outcome.DIVERGED: "X", Outcome.PRUNED: "s"}


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
        completed = points["method"][
            points["outcome"].eq(Outcome.COMPLETED) & points["value"].notna()
        ]
        for number, methods in groups(drawn_methods(results, completed), _ROWS):
            if any(tuning.search.get(method) for method in methods):
                yield parallel(tuning, number, methods, points)


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
    found = counted_trials(results.trials, objective)
    found = found.assign(value=found["value"].where(found["value"].abs() < LARGEST))
    best = best_trials(found, objective).drop_duplicates("method")
    chosen = set(zip(best["method"], best["seed"], best["trial"], strict=True))
    if objective == tuning.objectives[0]:  # the one that trials are pruned by
        last = found["intermediate"].astype(float).where(found["outcome"] == Outcome.PRUNED)
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


def _slices(
    objective: Objective, number: str, rows: Sequence[Row], points: pd.DataFrame
) -> Figure:
    points = points.dropna(subset="value")
    columns = max(len(search) for _, search in rows)
    drawing = paper(0.55 + 1.9 * len(rows), WIDTH if columns > 1 else 4.2)
    grid = drawing.subplots(len(rows), columns, sharey=True, squeeze=False)
    diverged = points["outcome"] == Outcome.DIVERGED
    edge = _make_room(grid[0, 0], objective, points["value"][~diverged])
    drawn = points.assign(shown=points["value"].mask(diverged, edge))
    for line, (method, search) in zip(grid, rows, strict=True):
        for axes in line[len(search) :]:
            axes.set_visible(False)
        for axes, parameter in zip(line, search, strict=False):
            _panel(axes, drawn[drawn["method"] == method], parameter)
            axes.set_xlabel(plain(short_names(search)[parameter.name]), labelpad=2)
        line[0].set_title(plain(method), loc="left", fontweight="bold")
        line[0].set_ylabel(plain(objective.title))
    present = [outcome for outcome in _COLOURS if (points["outcome"] == outcome).any()]
    handles = [
        Line2D([], [], ls="none", marker=_MARKERS[o], color=_COLOURS[o], ms=4) for o in present
    ]
    drawing.legend(handles, present, loc="outside lower center", ncols=3)
    told = stated(objective.if_diverged, objective)
    notes = {
        "Ringed is a method's best trial.": points["best"].any(),
        "Ranges are those that were searched.": True,
        "A diverged trial stands at the edge: it has no value, the sampler was told "
        f"{told}.": diverged.any(),
        "A pruned trial stands at the last value that it was judged by, on its way: it is not "
        "comparable with the others'.": Outcome.PRUNED in present,
    }
    return Figure(
        f"tuning_slices{number}",
        f"Each trial's {objective.title} against each searched parameter: {better(objective)}.",
        drawing,
        tuple(note for note, holds in notes.items() if holds),
        raw_trials(points, rows),
    )


def _make_room(axes: Axes, objective: Objective, measured: pd.Series[float]) -> float:
    """Make the y axis one of these values, and return a place beyond the worst of them.

    Diverged trials stand there: the ceiling would squash the others.
    """
    log = on_log_axis(objective, measured)
    value_axis(axes, objective, measured, log)
    low, high = axes.get_ylim()
    room = (high / low) ** 0.15 if log else 0.15 * (high - low)
    worst, sign = (low, -1) if objective.higher_is_better else (high, 1)
    beyond, edge = (
        worst * room ** (sign * share) if log else worst + sign * share * room
        for share in (1, 0.6)
    )
    axes.set_ylim(min(low, beyond), max(high, beyond))
    if log and high / low > 100:  # where a panel has no place for 1, 2 and 5 of each decade
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0,), numticks=5))
    if measured.empty:
        axes.set_yticks([])
    return edge


def _panel(axes: Axes, trials: pd.DataFrame, parameter: Parameter) -> None:
    """Draw a method's trials against one parameter, the best one ringed."""
    axes.grid()
    axes.set_xlim(-0.08, 1.08)
    places, labels = ticks(parameter)
    long = sum(map(len, labels)) > 14
    axes.set_xticks(places, labels, fontsize=6.5, rotation=20 if long else 0)
    own = trials[[parameter.name in own for own in trials["configuration"]]]
    if own.empty:
        return
    at = np.array([place_of(parameter, each[parameter.name]) for each in own["configuration"]])
    if parameter.kind == "categorical":
        aside = 0.22 / len(parameter.choices)
        at += np.random.default_rng(0).uniform(-aside, aside, len(own))
    own = own.assign(at=at)
    looks = {"hue": "outcome", "palette": _COLOURS, "style": "outcome", "markers": _MARKERS}
    sns.scatterplot(own, x="at", y="shown", s=10, alpha=0.8, lw=0, ax=axes, legend=False, **looks)
    tag(axes.collections[-1], str(own["method"].iloc[0]), list(own["told"]))
    best = own[own["best"]]
    axes.plot(best["at"], best["shown"], "o", markersize=7, mfc="none", mec="#222222")
    axes.set_ylabel("")
