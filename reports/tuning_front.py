"""The Pareto fronts of several objectives: which trials nothing beats in all of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from lipbench.outcome import Outcome
from lipbench.planning.tuning import Objective, Tuning
from lipbench.reporting import Figure, Omitted, Shown, Table, pens, tag
from lipbench.results import Results
from lipbench.tuning.analysis import on_front

from ._draw import groups, legend, log_axis, log_x, plain, tint
from ._strips import panels
from ._tuning import OfTrials, better, described, drawn_methods, on_log_axis, place, stated

_PAIRS = 6  # of objectives in the figure, at most
_COLUMNS = 2  # panels in a row
_LISTED = 40  # trials in the page; the CSV file has all


class Front(OfTrials):
    """Draw the completed trials by their objectives, with each method's Pareto front."""

    title = "Pareto front of the search"
    order = 8

    def of(self, results: Results, tuning: Tuning) -> Iterator[Table | Figure | Omitted]:
        if len(tuning.objectives) == 1:
            return
        points = _points(results, tuning)
        if points.empty:
            yield Omitted("no trial completed with a value of every objective")
            return
        for number, methods in groups(drawn_methods(results, points["method"])):
            own = points[points["method"].isin(methods)]
            yield _figure(results, tuning, number, methods, own)
        yield _table(tuning, points)


def _points(results: Results, tuning: Tuning) -> pd.DataFrame:
    """Return the completed trials, and whether they are on their method's front, and on all's.

    In the order of the methods, the best by the first objective first. A diverged trial is on no
    front: the ceiling is not a measurement, and it would be quick.
    """
    objectives = tuning.objectives
    names = [objective.name for objective in objectives]
    trials = results.trials[results.trials["outcome"] == Outcome.COMPLETED].dropna(subset=names)
    trials = trials[trials["method"].isin(results.methods)]
    trials = trials.sort_values(names[0], ascending=not objectives[0].higher_is_better)
    order = {method: i for i, method in enumerate(results.methods)}
    trials = trials.sort_values("method", key=lambda m: m.map(order), kind="stable")
    points = trials[["method", "seed", "trial", *names]].astype(dict.fromkeys(names, float))
    fronts = [
        on_front(own[names].to_numpy(float), objectives)
        for _, own in points.groupby("method", sort=False)
    ]
    return points.assign(
        on_front_of_method=list(itertools.chain.from_iterable(fronts)),
        on_front=on_front(points[names].to_numpy(float), objectives),
        configuration=[
            described(t, tuning.search.get(t["method"], ())) for t in trials.to_dict("records")
        ],
    ).reset_index(drop=True)


def _figure(
    results: Results, tuning: Tuning, number: str, methods: Sequence[str], points: pd.DataFrame
) -> Figure:
    pairs = list(itertools.combinations(tuning.objectives, 2))[:_PAIRS]
    drawing, grid = panels([""] * len(pairs), _COLUMNS, 2.9)
    for axes, pair in zip(grid, pairs, strict=True):
        _panel(axes, results, tuning, methods, points, pair)
    legend(drawing, results, methods, points=True)
    return Figure(
        f"tuning_front{number}",
        "The completed trials by their objectives, with each method's front: "
        f"{', '.join(f'{o.title}, {better(o)}' for o in tuning.objectives)}.",
        drawing,
        tuple(_notes(tuning)),
        points,
    )


def _panel(
    axes: Axes,
    results: Results,
    tuning: Tuning,
    methods: Sequence[str],
    points: pd.DataFrame,
    pair: tuple[Objective, Objective],
) -> None:
    """Draw the trials by two objectives: those on their method's front filled, the others pale."""
    x, y = (objective.name for objective in pair)
    if on_log_axis(pair[0], points[x]):
        log_x(axes, points[x].min(), points[x].max())
    if on_log_axis(pair[1], points[y]):
        log_axis(axes)
    axes.grid()
    for method in methods:
        pen, own = pens(results.methods)[method], points[points["method"] == method]
        front = own[own["on_front_of_method"]].sort_values(x)
        for some, size, light in ((own[~own["on_front_of_method"]], 8, 0.7), (front, 22, 0.0)):
            hovers = [
                f"{place(t['trial'], t['seed'], tuning)} of {method}: "
                f"{', '.join(stated(t[o.name], o) for o in pair)}"
                for t in some.to_dict("records")
            ]
            colour = tint(pen.colour, light)
            dots = axes.scatter(some[x], some[y], size, [colour], marker=pen.marker, lw=0)
            tag(dots, method, hovers)
        if len(tuning.objectives) == 2:  # up to the next trial of the front nothing is better
            steps: Any = "steps-pre" if pair[0].higher_is_better else "steps-post"
            (line,) = axes.plot(front[x], front[y], pen.dash, color=pen.colour, lw=0.8)
            line.set_drawstyle(steps)
            tag(line, method)
    axes.set_xlabel(plain(f"{pair[0].title} ({better(pair[0])})"))
    axes.set_ylabel(plain(f"{pair[1].title} ({better(pair[1])})"))


def _table(tuning: Tuning, points: pd.DataFrame) -> Table:
    objectives = tuning.objectives
    front = points[points["on_front_of_method"]]
    shown = f"; the first {_LISTED} of {len(front):,}" if len(front) > _LISTED else ""
    return Table(
        name="tuning_front",
        caption=f"The trials on each method's front, the best {objectives[0].title} first{shown}.",
        columns=("Method", *[o.title for o in objectives], "On the front of all", "Configuration"),
        rows=tuple(
            (
                Shown(row["method"], detail=place(row["trial"], row["seed"], tuning)),
                *[stated(row[o.name], o) for o in objectives],
                "yes" if row["on_front"] else "no",
                row["configuration"],
            )
            for row in front.head(_LISTED).to_dict("records")
        ),
        raw=front.reset_index(drop=True),
        notes=tuple(_notes(tuning)),
        align="l" + "r" * len(objectives) + "cl",
    )


def _notes(tuning: Tuning) -> Iterator[str]:
    yield (
        "On the front: no other trial is as good in every objective and better in one. Values are "
        "those of one run each, and a front is made of the lucky ones: see the confirmed values."
    )
    yield "Completed trials only. A diverged one is on no front."
    pairs = len(tuning.objectives) * (len(tuning.objectives) - 1) // 2
    if pairs > _PAIRS:
        yield f"The first {_PAIRS} of {pairs} pairs of objectives are drawn."
