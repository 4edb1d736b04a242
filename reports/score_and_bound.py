"""Whether a smaller Lipschitz constant goes with a better score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from lipbench.protocols import SCORES
from lipbench.reporting import Exhibit, Figure, Omitted, pens, tag
from lipbench.results import Results
from lipbench.results.cells import numbers

from ._audits import NO_AUDIT, PLACE, newest, notes, run_name, text
from ._draw import LARGEST, groups, legend, log_x, paper, plain, score_axis

_BOUNDS = {
    "lower_bound": "largest lower bound of D's Lipschitz constant",
    "upper_bound": "its upper bound, where there is one",
}

_IMAGE = 300  # points of a method from which they are drawn as an image, without hovers


class ScoreAndBound(Exhibit):
    """Draw each audited run's score against the bounds of its discriminator."""

    title = "Scores against the Lipschitz constant"
    order = 155
    part = "lipschitz and cost"

    def show(self, results: Results) -> Iterator[Figure | Omitted]:
        points = _points(results)
        drawable = points["score"].abs() < LARGEST
        drawable &= points["lower_bound"].between(1 / LARGEST, LARGEST)
        if not results.audits:
            yield NO_AUDIT
        elif not drawable.any():
            yield Omitted("no audited run has a finite score, and a bound above 0")
        else:
            drawn = [m for m in results.methods if m in set(points["method"][drawable])]
            for number, methods in groups(drawn):
                yield _figure(results, number, methods, points[drawable])


def _points(results: Results) -> pd.DataFrame:
    """Return the newest audit's bounds and the score of each audited run, once."""
    runs = results.runs.drop_duplicates("run_id").set_index("run_id")
    scores = numbers(runs, results.protocol.primary).where(runs["outcome"] == "completed")
    rows = [
        audit.place
        | {bound: audit.number(bound) for bound in _BOUNDS}
        | {"score": scores[audit.run_id], "run": run_name(audit)}
        for audit in newest(results)
    ]
    points = pd.DataFrame(rows, columns=[*PLACE, *_BOUNDS, "score", "run"])
    return points.drop_duplicates("run_id")


def _figure(results: Results, number: str, methods: Sequence[str], points: pd.DataFrame) -> Figure:
    about = SCORES[results.protocol.primary]
    drawing = paper(3.3)
    row = drawing.subplots(1, 2, sharey=True)
    score_axis(row[0], about, points["score"])
    for axes, (bound, title) in zip(row, _BOUNDS.items(), strict=True):
        known = points[points[bound].between(1 / LARGEST, LARGEST)]
        axes.grid()
        if known.empty:
            axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", color="#555555")
        else:
            log_x(axes, known[bound].min(), known[bound].max())
            _scatter(axes, results, methods, known, bound)
        axes.set(xlabel=title, ylabel=plain(about.title))
    legend(drawing, results, methods, points=True)
    audits = [audit for audit in newest(results) if audit.run_id in set(points["run_id"])]
    return Figure(
        f"score_and_bound{number}",
        f"{about.title} against the bounds of D's Lipschitz constant, a point a run: "
        f"{'higher' if about.higher_is_better else 'lower'} is better.",
        drawing,
        (
            *notes(results, audits),
            "The horizontal axes are logarithmic and differ.",
            "An association, not an effect of the constant: methods and settings differ in more "
            "than that.",
            *(["Grey: the other methods' runs."] if number else []),
        ),
        points[points["method"].isin(methods)].drop(columns="run"),
    )


def _scatter(
    axes: Axes, results: Results, methods: Sequence[str], points: pd.DataFrame, bound: str
) -> None:
    """Draw a point a run; as an image where a browser would be slow with as many."""
    others = points[~points["method"].isin(methods)]
    flat: dict[str, Any] = {"color": "#DDDDDD", "s": 9, "linewidth": 0}
    if len(others):
        axes.scatter(others[bound], others["score"], rasterized=len(others) > _IMAGE, **flat)
    for method, own in points[points["method"].isin(methods)].groupby("method", sort=False):
        pen = pens(results.methods)[str(method)]
        style = flat | {"color": pen.colour, "marker": pen.marker, "s": 22, "alpha": 0.75}
        dots = axes.scatter(own[bound], own["score"], rasterized=len(own) > _IMAGE, **style)
        hovers = [
            f"{run}: {score:.4g}, bound {text(value)}"
            for run, score, value in zip(own["run"], own["score"], own[bound], strict=True)
        ]
        tag(dots, str(method), hovers if len(own) <= _IMAGE else ())
