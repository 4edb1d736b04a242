"""Whether a smaller Lipschitz constant goes with a better score."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from lipbench.protocols import SCORES
from lipbench.reporting import Exhibit, Figure, Omitted, pens
from lipbench.results import Results

from ._audits import NO_AUDIT, read
from ._draw import LARGEST, groups, legend, log_x, paper, plain, score_axis

_BOUNDS = {
    "lower_bound": "largest lower bound of D's Lipschitz constant",
    "upper_bound": "its upper bound, where there is one",
}


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
                yield _figure(results, number, methods, points[drawable].reset_index(drop=True))


def _points(results: Results) -> pd.DataFrame:
    """Return the newest audit's bounds and the score of each audited run, once."""
    rows = []
    for run in results.runs.drop_duplicates("run_id").to_dict("records"):
        if stored := results.audits.get(run["run_id"]):
            audit = read(stored[-1], run)
            score = run[results.primary] if run["outcome"] == "completed" else math.nan
            bounds = {bound: getattr(audit, bound) for bound in _BOUNDS}
            rows.append(audit.place | bounds | {"score": float(score)})
    columns = ["method", "setting", "seed", "run_id", "update", *_BOUNDS, "score"]
    return pd.DataFrame(rows, columns=columns)


def _figure(results: Results, number: str, methods: Sequence[str], points: pd.DataFrame) -> Figure:
    about = SCORES[results.primary]
    drawing = paper(3.3)
    row = drawing.subplots(1, 2, sharey=True)
    score_axis(row[0], about, points["score"])
    for axes, (bound, title) in zip(row, _BOUNDS.items(), strict=True):
        finite = points[points[bound].between(1 / LARGEST, LARGEST)]
        axes.grid()
        axes.set_xlabel(title)
        if finite.empty:
            axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", color="#555555")
            continue
        log_x(axes, finite[bound].min(), finite[bound].max())
        others = finite[~finite["method"].isin(methods)]
        axes.plot(others[bound], others["score"], "o", color="#DDDDDD", markersize=3)
        for method in methods:
            of_method = finite[finite["method"] == method]
            pen = pens(results.methods)[method]
            axes.plot(of_method[bound], of_method["score"], pen.marker, color=pen.colour, ms=4.5)
    row[0].set_ylabel(plain(about.title))
    legend(drawing, results, methods, points=True)
    return Figure(
        f"score_and_bound{number}",
        f"{about.title} against the bounds of D's Lipschitz constant, a point a run: "
        f"{'higher' if about.higher_is_better else 'lower'} is better.",
        drawing,
        (
            f"{len(points):,} completed runs that were audited, each by its newest audit; the "
            "horizontal axes are logarithmic and differ.",
            "An association between methods, not an effect of the constant: methods differ in "
            "more than that.",
            *(["Grey: the other methods' runs."] if number else []),
        ),
        points[points["method"].isin(methods)],
    )
