"""How a method's runs are spread over settings and seeds: is it robust, and how sure is that?"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from lipbench.protocols import SCORES, Score
from lipbench.reporting import Exhibit, Figure, Omitted, pens, tag
from lipbench.results import Results
from lipbench.results.robustness import by_robustness, interval
from lipbench.stats import Interval, tidy
from lipbench.stats.summaries import quantile

from ._draw import finite, is_log, log_x, paper, plain
from ._grid import number

_INCHES_A_ROW = 0.26
_LANE = 0.06  # of the width: where runs without a finite score stand


class Spread(Exhibit):
    """Draw each run as a point, with each method's interquartile mean and its interval."""

    title = "How robust each method is"
    order = 10
    part = "answer"

    def show(self, results: Results) -> Iterator[Figure | Omitted]:
        if results.tuning:
            return  # its configurations are the best of many, and not the same for all methods
        about = SCORES[results.primary]
        table = tidy(results.runs, about.name, about.higher_is_better)
        if not finite(table["loss"].dropna()):
            yield Omitted("no run has a finite score, so nothing is spread")
            return
        yield _figure(results, about, table)


def _figure(results: Results, about: Score, table: pd.DataFrame) -> Figure:
    methods = by_robustness(table, results.methods)
    drawing = paper(0.9 + _INCHES_A_ROW * len(methods), 4.9)
    axes = drawing.add_subplot()
    sign = -1 if about.higher_is_better else 1
    shown = table.assign(shown=sign * table["loss"])
    known = finite(shown["shown"].dropna())
    log = is_log(about) and min(known) > 0
    if log:
        log_x(axes, min(known), max(known))
    intervals = {method: interval(table, method) for method in methods}
    for row, method in enumerate(methods):
        _row(
            axes, row, method, results, about, shown[shown["method"] == method], intervals[method]
        )
    lost = table["loss"].eq(math.inf)
    axes.set_yticks(range(len(methods)), [plain(method) for method in methods])
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(plain(about.title))
    axes.grid(axis="x")
    sns.despine(ax=axes, left=True)
    better = "higher" if about.higher_is_better else "lower"
    made = next((each.made for each in intervals.values() if each), None)
    notes = [f"A dot is a run, a bar the median; methods are in its order, {better} is better."]
    if made:
        notes.append(f"The line is the 95% interval of the interquartile mean: {made}.")
    else:
        notes.append("No interval: that takes 3 seeds at each setting.")
    if lost.any():
        notes.append("× at the edge: runs that diverged, collapsed or have no finite score.")
    if log:
        notes.append("The axis is logarithmic.")
    caption = f"{about.title} of each method over all settings and seeds."
    return Figure("spread", caption, drawing, tuple(notes))


def _row(
    axes: Axes,
    row: int,
    method: str,
    results: Results,
    about: Score,
    runs: pd.DataFrame,
    found: Interval | None,
) -> None:
    pen = pens(results.methods)[method]
    ended = runs[runs["ended"]]
    good = ended[np.isfinite(ended["loss"])]
    draws = np.random.default_rng(zlib.crc32(method.encode()))
    places = row + draws.uniform(-0.18, 0.18, len(good))
    hovers = [
        f"{method}, {run.setting}, seed {run.seed}: {number(run.shown, about)}"
        for run in good.itertuples()
    ]
    if len(good):
        dots = axes.scatter(good["shown"], places, s=14, color=pen.colour, alpha=0.65, linewidth=0)
        tag(dots, method, hovers)
    if found and math.isfinite(found.low) and math.isfinite(found.high):
        ends = sorted(
            [found.low, found.high] if not about.higher_is_better else [-found.high, -found.low]
        )
        (line,) = axes.plot(ends, [row, row], color=pen.colour, linewidth=2.4, alpha=0.9)
        tag(
            line,
            method,
            f"{method}: 95% interval {number(ends[0], about)} to {number(ends[1], about)}",
        )
    median = quantile(runs["loss"], 0.5)
    if math.isfinite(median):
        shown = -median if about.higher_is_better else median
        (bar,) = axes.plot(
            [shown, shown], [row - 0.36, row + 0.36], color="#1a1a1a", linewidth=1.4
        )
        tag(bar, method, f"{method}: median {number(shown, about)}")
    lost = int(ended["loss"].eq(math.inf).sum())
    if lost:
        edge = 0.015 if about.higher_is_better else 0.985
        xs = [edge + (1 - 2 * edge) * _LANE * i / max(3, lost) for i in range(lost)]
        (crosses,) = axes.plot(
            xs,
            [row] * lost,
            "x",
            color=pen.colour,
            markersize=5,
            transform=axes.get_yaxis_transform(),
            clip_on=False,
        )
        tag(crosses, method, f"{method}: {lost} of {len(ended)} runs diverged or collapsed")
