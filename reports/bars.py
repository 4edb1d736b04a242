"""Scores by method and setting as bars, as in Figures 1 and 2 of Miyato et al. (2018)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from matplotlib.axes import Axes

from lipbench.protocols import SCORES
from lipbench.reporting import Exhibit, Figure, Omitted, pens
from lipbench.results import Results
from lipbench.results.cells import Cell, cells, floor

from ._draw import INCHES_A_LETTER, WIDTH, paper, plain, score_axis, tint

_BARS_IN_A_ROW = 36
_DOTS = (
    2000  # in a figure; more are drawn as pixels: a browser draws each as an element of its own
)


class Bars(Exhibit):
    """Draw each score, the methods side by side and a bar for each setting."""

    title = "Scores by method and setting"
    order = 50

    def show(self, results: Results) -> Iterator[Figure | Omitted]:
        for score in results.protocol.selection.scores:
            found = cells(results, score)
            if any(cell.finite for cell in found.values()):
                yield _bars(results, score, found)
            elif any(cell.values for cell in found.values()):
                yield Omitted(f"no score is finite: {SCORES[score].title}")
            else:
                yield Omitted(f"no run has been scored yet: {SCORES[score].title}")


def _bars(results: Results, score: str, found: Mapping[tuple[str, str], Cell]) -> Figure:
    about = SCORES[score]
    rows = math.ceil(len(results.methods) * len(results.settings) / _BARS_IN_A_ROW)
    per_row = math.ceil(len(results.methods) / rows)
    width = min(WIDTH, max(3.2, 1.2 + 0.3 * per_row * len(results.settings)))
    longest = max(len(method) for method in results.methods)
    upright = longest * INCHES_A_LETTER > (width - 1) / per_row
    height = 1.9 + (longest * INCHES_A_LETTER if upright else 0)
    drawing = paper(0.5 + height * rows, width)
    real = floor(results, score)
    shown = [value for cell in found.values() for value in cell.finite]
    shown += [] if real is None else [real]
    log = False
    for row in range(rows):
        axes = drawing.add_subplot(rows, 1, row + 1)
        log = score_axis(axes, about, shown)
        axes.set_ylim(*_limits(shown, log))
        axes.grid(axis="y")
        methods = results.methods[row * per_row : (row + 1) * per_row]
        for i, method in enumerate(methods):
            cells_of = {s: found[method, s] for s in results.settings}
            colour = pens(results.methods)[method].colour
            _group(axes, i, cells_of, colour, rasterized=len(shown) > _DOTS)
        axes.set_xlim(-0.55, per_row - 0.45)
        axes.set_ylabel(plain(about.title))
        _ticks(axes, results, methods, 90 if upright else 0)
        if real is not None:
            axes.axhline(real, color="#444444", linestyle="--", linewidth=0.8)
            axes.annotate(
                "real data",
                (1, real),
                (3, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                va="center",
                fontsize=7,
                color="#444444",
            )
    return Figure(
        f"bars_{score}",
        f"Each method at each setting: {about.title}, "
        f"{'higher' if about.higher_is_better else 'lower'} is better.",
        drawing,
        tuple(_notes(found, log, real)),
        column=longest * INCHES_A_LETTER * len(results.methods) <= 2.2 and len(found) <= 20,
    )


def _limits(values: Sequence[float], log: bool) -> tuple[float, float]:
    """Return the ends of the y axis, the same in every row."""
    if log:
        return min(values) / 1.5, max(values) * 1.6
    low, high = min(0.0, *values), max(0.0, *values)
    margin = 0.1 * (high - low) or 1.0
    return (low - margin if low < 0 else 0.0), high + margin


def _group(
    axes: Axes, x: int, row: Mapping[str, Cell], colour: str, rasterized: bool = False
) -> None:
    """Draw one method's bars, a lighter one for each further setting."""
    width = 0.86 / len(row)
    for i, cell in enumerate(row.values()):
        centre = x + (i - (len(row) - 1) / 2) * width
        shade = tint(colour, 0.6 * i / max(1, len(row) - 1))
        words = "" if cell.complete or not cell.runs else "incomplete"
        if math.isfinite(cell.median):
            axes.bar(
                centre,
                cell.median,
                0.88 * width,
                color=shade,
                edgecolor="#333333",
                linewidth=0.4,
                linestyle="-" if cell.complete else ":",
                alpha=1 if cell.complete else 0.5,
            )
        elif cell.ended and not cell.higher_is_better:
            top = axes.get_ylim()[1]
            axes.bar(
                centre, top, 0.88 * width, color="white", edgecolor=shade, hatch="////", lw=0.4
            )
        if cell.diverged:
            words = "diverged" if math.isinf(cell.median) else f"{cell.diverged}/{cell.ended} div."
        elif math.isinf(cell.median):
            words = "not finite"
        elif any(cell.collapsed):
            words = f"{sum(cell.collapsed)}/{cell.ended} coll." if cell.ended > 1 else "collapsed"
        if words:
            _words(axes, centre, words)
        if cell.runs > 1:
            seeds = [centre] * len(cell.finite)
            (dots,) = axes.plot(
                seeds, cell.finite, "o", color="#222222", markersize=2, markeredgewidth=0
            )
            dots.set_rasterized(rasterized)


def _words(axes: Axes, x: float, words: str) -> None:
    """Write upwards from the axis."""
    axes.annotate(
        words,
        (x, 0),
        (0, 4),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        rotation=90,
        ha="center",
        va="bottom",
        fontsize=6.5,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
    )


def _ticks(axes: Axes, results: Results, methods: tuple[str, ...], rotation: int) -> None:
    """Name the settings below the bars, and the methods below them."""
    count = len(results.settings)
    if count == 1:
        axes.set_xticks(range(len(methods)), [plain(m) for m in methods], rotation=rotation)
        axes.tick_params(axis="x", length=0)
        return
    places = [
        x + (i - (count - 1) / 2) * 0.86 / count for x in range(len(methods)) for i in range(count)
    ]
    long = max(len(setting) for setting in results.settings) > 2
    axes.set_xticks(
        places,
        [plain(s) for s in results.settings] * len(methods),
        fontsize=6.5,
        rotation=90 if long else 0,
    )
    axes.tick_params(axis="x", length=0, pad=1)
    names = axes.secondary_xaxis("bottom")
    names.set_xticks(range(len(methods)), [plain(m) for m in methods], rotation=rotation)
    pad = 6 + 3.6 * max(len(setting) for setting in results.settings) if long else 10
    names.tick_params(axis="x", length=0, pad=pad)
    names.spines["bottom"].set_visible(False)


def _notes(found: Mapping[tuple[str, str], Cell], log: bool, real: float | None) -> Iterator[str]:
    every = found.values()
    if real is not None:
        yield "The dashed line is the score of real data."
    if log:
        yield "The axis is logarithmic."
    if any(cell.runs > 1 for cell in every):
        yield "A bar is the median over seeds; dots are the seeds."
    if any(math.isinf(cell.median) and cell.diverged for cell in every):
        yield "Where half of the runs or more diverged, the bar is hatched or has no height."
    elif any(cell.diverged for cell in every):
        yield "Div.: how many of the runs diverged; they count as worse than any number."
    if any(any(cell.collapsed) for cell in every):
        yield "Collapsed (coll.): how many of the runs did; the bar has their scores."
    if any(math.isinf(value) for cell in every for value in cell.values):
        yield "A score that is not finite counts as worse than any number."
    if any(cell.runs and not cell.complete for cell in every):
        yield "Incomplete: runs failed or have not ended; they are missing, not bad."
