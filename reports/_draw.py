"""What the figures share: paper, axes, labels."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from lipbench.protocols import Score
from lipbench.reporting.style import FONTS, pens

if TYPE_CHECKING:
    from lipbench.results import Results

WIDTH = 7.2  # inches
LARGEST = 1e100  # number that is drawn: matplotlib's own sums overflow from about 1e150 on
INCHES_A_LETTER = 0.06  # of tick labels and legends, about
LINES = 14  # methods in a figure of lines, at most
ROWS = 30  # methods in a figure that has a row for each, at most


def paper(height: float, width: float = WIDTH) -> Figure:
    """Return an empty drawing of this size in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def plain(label: str) -> str:
    """Return a label that is drawn as it is: matplotlib reads $ as mathematics, hides _labels.

    A character that no font of a report has is written as its code point.
    """
    written = "".join(c if ord(c) in _characters() else f"[U+{ord(c):04X}]" for c in label)
    label = " ".join(written.split()).replace("$", r"\$")
    return f" {label}" if label.startswith("_") else label


@functools.cache
def _characters() -> frozenset[int]:
    """Return the characters that can be drawn, and white space, which is drawn as one blank."""
    paths = [findfont(font) for font in FONTS]
    white = {ord(c) for c in "\t\n\v\f\r\u0085\u2028\u2029"}
    return frozenset(white).union(*[get_font(path).get_charmap() for path in paths])


def tint(colour: str, lightness: float) -> tuple[float, float, float]:
    """Return a colour mixed with white: 0 leaves it, 1 is white."""
    red, green, blue = (channel + (1 - channel) * lightness for channel in to_rgb(colour))
    return red, green, blue


def is_log(score: Score) -> bool:
    """Return whether a score is drawn on a logarithmic axis, as Frechet distances are."""
    return score.axis == "log"


def finite(values: Iterable[float]) -> list[float]:
    """Return the values that an axis can show."""
    return [value for value in values if abs(value) < LARGEST]


def positive(values: Iterable[float]) -> list[float]:
    """Return the values that a logarithmic axis can show."""
    return [value for value in values if 1 / LARGEST < value < LARGEST]


def score_axis(axes: Axes, about: Score, values: Iterable[float]) -> bool:
    """Make the y axis that of a score, logarithmic where `is_log` and every value is above 0.

    Returns whether it is.
    """
    shown = finite(values)
    log = is_log(about) and bool(shown) and min(shown) > 1 / LARGEST
    if log:
        log_axis(axes)
    return log


def log_axis(axes: Axes) -> None:
    """Make the y axis logarithmic, with plain numbers at 1, 2 and 5 of each decade."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def groups(methods: Sequence[str], most: int = LINES) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each figure's number, if there are several, and its methods: `most` or fewer."""
    count = math.ceil(len(methods) / most)
    size = math.ceil(len(methods) / max(1, count))
    for i in range(count):
        yield f"_{i + 1}" if count > 1 else "", tuple(methods[i * size : (i + 1) * size])


def method_rows(drawing: Figure, methods: Sequence[str], columns: int) -> list[Axes]:
    """Return axes side by side that have a row for each method, the first at the top."""
    row: list[Axes] = list(drawing.subplots(1, columns, sharey=True, squeeze=False)[0])
    row[0].set_yticks(range(len(methods)), [plain(method) for method in methods])
    row[0].set_ylim(len(methods) - 0.4, -0.6)
    for axes in row:
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
    return row


def height_of_rows(methods: Sequence[str], a_row: float) -> float:
    """Return the height in inches of a drawing of `method_rows`, its axis and legend included."""
    return 0.95 + a_row * len(methods)


def log_x(axes: Axes, low: float, high: float) -> None:
    """Make the x axis logarithmic, from a little below `low` to a little above `high`."""
    axes.set_xscale("log")
    decades = math.log10(high) - math.log10(low)
    margin = 1.2 * 10 ** (0.03 * decades)
    axes.set_xlim(low / margin, high * margin)
    if decades < math.log10(5):  # few of 1, 2 and 5 fall into so short an axis
        axes.xaxis.set_major_locator(MaxNLocator(5))
    else:
        subs = (1.0, 2.0, 5.0) if decades < 3 else (1.0,)
        axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=9))
    axes.xaxis.set_minor_locator(NullLocator())
    if decades < 6:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def legend(
    drawing: Figure,
    results: Results,
    methods: Sequence[str],
    points: bool = False,
    width: float = math.inf,
) -> None:
    """Name the methods below the drawing, by their pens: as lines, or as points.

    `width` are the inches that it must fit into, where the drawing is laid out narrower later.
    """
    handles = [
        Line2D(
            [],
            [],
            color=pens(results.methods)[m].colour,
            linestyle="none" if points else pens(results.methods)[m].dash,
            marker=pens(results.methods)[m].marker if points else "",
            markersize=4.5,
        )
        for m in methods
    ]
    labels = [plain(method) for method in methods]
    columns = legend_columns(labels, min(width, drawing.get_figwidth()))
    drawing.legend(handles, labels, loc="outside lower center", ncols=columns)


def legend_columns(labels: Sequence[str], width: float) -> int:
    """Return how many columns of a legend fit into so many inches."""
    entry = 0.55 + INCHES_A_LETTER * max(len(label) for label in labels)
    return max(1, min(6, len(labels), int(width / entry)))
