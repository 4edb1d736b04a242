"""Whether a smaller Lipschitz constant goes with a better score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from lipbench.outcome import Outcome
from lipbench.protocols import SCORES
from lipbench.reporting import Exhibit, Figure, Omitted, pens, tag
from lipbench.results import Results
from lipbench.results.cells import numbers

from ._audits import NO_AUDIT, PLACE, Audit, newest, notes, text
from ._draw import LARGEST, groups, legend, log_x, paper, plain, score_axis
from ._strips import points_a_row, run_name, spaced, thinned

_BOUNDS = {
    "lower_bound": "largest lower bound of D's Lipschitz constant",
    "upper_bound": "its upper bound, where there is one",
}

_OTHERS = 500  # grey points, at most


class ScoreAndBound(Exhibit):
    """Draw each audited run's score against the bounds of its discriminator."""

    title = "Scores against the Lipschitz constant"
    order = 155
    part = "lipschitz and cost"

    def show(self, results: Results) -> Iterator[Figure | Omitted]:
        audits = newest(results)
        points = _points(results, audits)
        drawable = points["score"].abs() < LARGEST
        drawable &= points["lower_bound"].between(1 / LARGEST, LARGEST)
        points = points[drawable]
        if not audits:
            yield NO_AUDIT
        elif points.empty:
            yield Omitted("no audited run has a finite score, and a bound above 0")
        shown, drawn = set(points["run_id"]), set(points["method"])
        about = tuple(notes(results, [audit for audit in audits if audit.run_id in shown]))
        for number, methods in groups([m for m in results.methods if m in drawn]):
            yield _figure(results, number, methods, points, about)


def _points(results: Results, audits: Sequence[Audit]) -> pd.DataFrame:
    """Return the newest audit's bounds and the score of each audited run, once."""
    runs = results.runs.drop_duplicates("run_id").set_index("run_id")
    scores = numbers(runs, results.primary).where(runs["outcome"] == Outcome.COMPLETED)
    rows = [
        audit.place
        | {bound: audit.number(bound) for bound in _BOUNDS}
        | {"score": scores[audit.run_id], "run": run_name(audit)}
        for audit in audits
    ]
    points = pd.DataFrame(rows, columns=[*PLACE, *_BOUNDS, "score", "run"])
    return points.drop_duplicates("run_id")


def _figure(
    results: Results,
    number: str,
    methods: Sequence[str],
    points: pd.DataFrame,
    about_runs: Sequence[str],
) -> Figure:
    about = SCORES[results.primary]
    drawing = paper(3.3)
    row = drawing.subplots(1, 2, sharey=True)
    score_axis(row[0], about, points["score"])
    most = points_a_row(2 * len(methods))
    for axes, (bound, title) in zip(row, _BOUNDS.items(), strict=True):
        known = points[points[bound].between(1 / LARGEST, LARGEST)]
        axes.grid()
        if known.empty:
            axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", color="#555555")
        else:
            log_x(axes, known[bound].min(), known[bound].max())
            _scatter(axes, results, methods, known.sort_values("score"), bound, most)
        axes.set(xlabel=title, ylabel=plain(about.title))
    legend(drawing, results, methods, points=True)
    own = points[points["method"].isin(methods)]
    return Figure(
        f"score_and_bound{number}",
        f"{about.title} against the bounds of D's Lipschitz constant, a point a run: "
        f"{'higher' if about.higher_is_better else 'lower'} is better.",
        drawing,
        (
            *about_runs,
            "The horizontal axes are logarithmic and differ.",
            "An association, not an effect of the constant: methods and settings differ in more "
            "than that.",
            *thinned(own["method"].value_counts(), most),
            *(["Grey: some of the other methods' runs."] if number else []),
        ),
        own.drop(columns="run"),
    )


def _scatter(
    axes: Axes,
    results: Results,
    methods: Sequence[str],
    points: pd.DataFrame,
    bound: str,
    most: int,
) -> None:
    """Draw a point a run, `most` of a method; `points` are sorted by score."""
    others = points[~points["method"].isin(methods)]
    if len(others):
        others = others.iloc[spaced(len(others), _OTHERS)]
        axes.scatter(others[bound], others["score"], s=9, color="#DDDDDD", linewidth=0)
    for method, own in points[points["method"].isin(methods)].groupby("method", sort=False):
        own = own.iloc[spaced(len(own), most)]
        pen = pens(results.methods)[str(method)]
        style: dict[str, Any] = {"color": pen.colour, "marker": pen.marker, "linewidth": 0}
        dots = axes.scatter(own[bound], own["score"], s=22, alpha=0.75, **style)
        hovers = [
            f"{run}: {score:.4g}, bound {text(value)}"
            for run, score, value in zip(own["run"], own["score"], own[bound], strict=True)
        ]
        tag(dots, str(method), hovers)
