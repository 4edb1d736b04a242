"""What several objectives cost each other: the trials on the Pareto front."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import pandas as pd
from matplotlib.axes import Axes

from lipbench.reporting import Figure, Omitted, Shown, Table, pens
from lipbench.results import Results
from lipbench.tuning.analysis import on_front
from lipbench.tuning.record import Objective, Tuning

from ._draw import WIDTH, groups, legend, log_axis, log_x, paper, plain, tint
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
            yield _figure(results, tuning, number, methods, points)
        yield _table(results, tuning, points)


def _points(results: Results, tuning: Tuning) -> pd.DataFrame:
    """Return the completed trials, and whether they are on their method's front, and on all's.

    A diverged trial is on no front: the ceiling is not a measurement, and it would be quick.
    """
    objectives = tuning.objectives
    names = [objective.name for objective in objectives]
    trials = results.trials[results.trials["outcome"] == "completed"].dropna(subset=names)
    trials = trials[trials["method"].isin(results.methods)].reset_index(drop=True)
    points = trials[["method", "seed", "trial", *names]].astype(dict.fromkeys(names, float))
    own = [
        pd.Series(on_front(of_method[names].to_numpy(float), objectives), of_method.index)
        for _, of_method in points.groupby("method")
    ]
    search = tuning.search
    configurations = [described(t, search.get(t["method"], ())) for t in trials.to_dict("records")]
    return points.assign(
        on_front_of_method=pd.concat(own).astype(bool) if own else [],
        on_front=on_front(points[names].to_numpy(float), objectives),
        configuration=configurations,
    )


def _figure(
    results: Results, tuning: Tuning, number: str, methods: Sequence[str], points: pd.DataFrame
) -> Figure:
    pairs = list(itertools.combinations(tuning.objectives, 2))[:_PAIRS]
    columns = min(_COLUMNS, len(pairs))
    rows = -(-len(pairs) // columns)
    drawing = paper(0.6 + 2.9 * rows, WIDTH if columns > 1 or len(methods) > 6 else 5.4)
    grid = drawing.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(pairs) :]:
        axes.set_visible(False)
    own = points[points["method"].isin(methods)]
    for axes, pair in zip(grid, pairs, strict=False):
        _panel(axes, results, methods, own, pair, step=len(tuning.objectives) == 2)
    legend(drawing, results, methods, points=True)
    return Figure(
        f"tuning_front{number}",
        "The completed trials by their objectives, with each method's front: "
        f"{', '.join(f'{o.title}, {better(o)}' for o in tuning.objectives)}.",
        drawing,
        tuple(_notes(tuning)),
        own,
    )


def _panel(
    axes: Axes,
    results: Results,
    methods: Sequence[str],
    points: pd.DataFrame,
    pair: tuple[Objective, Objective],
    step: bool,
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
        rest = own[~own["on_front_of_method"]]
        axes.plot(rest[x], rest[y], pen.marker, color=tint(pen.colour, 0.7), markersize=2.5)
        axes.plot(front[x], front[y], pen.marker, color=pen.colour, markersize=4.5)
        if step:  # up to the next trial of the front nothing better is known
            steps = "steps-pre" if pair[0].higher_is_better else "steps-post"
            axes.plot(front[x], front[y], pen.dash, drawstyle=steps, color=pen.colour, lw=0.8)
    axes.set_xlabel(plain(f"{pair[0].title} ({better(pair[0])})"))
    axes.set_ylabel(plain(f"{pair[1].title} ({better(pair[1])})"))


def _table(results: Results, tuning: Tuning, points: pd.DataFrame) -> Table:
    objectives = tuning.objectives
    first = objectives[0]
    front = points[points["on_front_of_method"]]
    order = {method: i for i, method in enumerate(results.methods)}
    front = front.sort_values(first.name, ascending=not first.higher_is_better)
    front = front.sort_values("method", key=lambda m: m.map(order), kind="stable")
    rows = [
        (
            Shown(row["method"], detail=place(row["trial"], row["seed"], tuning)),
            *[stated(row[o.name], o) for o in objectives],
            "yes" if row["on_front"] else "no",
            row["configuration"],
        )
        for row in front.head(_LISTED).to_dict("records")
    ]
    shown = f"; the first {_LISTED} of {len(front):,}" if len(front) > _LISTED else ""
    return Table(
        name="tuning_front",
        caption=f"The trials on each method's front, the best {first.title} first{shown}.",
        columns=(
            "Method",
            *[o.title for o in objectives],
            "On the front of all",
            "Configuration",
        ),
        rows=tuple(rows),
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
