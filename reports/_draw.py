"""What the figures share: paper, axes, labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from lipbench.protocols import Score

if TYPE_CHECKING:
    from lipbench.reporting import Study

WIDTH = 7.2  # inches
INCHES_A_LETTER = 0.06  # of tick labels and legends, about


def paper(height: float, width: float = WIDTH) -> Figure:
    """Return an empty drawing of this size in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def plain(label: str) -> str:
    """Return a label that is drawn as it is: matplotlib reads $ as mathematics, hides _labels."""
    label = label.replace("$", r"\$")
    return f" {label}" if label.startswith("_") else label


def tint(colour: str, lightness: float) -> tuple[float, float, float]:
    """Return a colour mixed with white: 0 leaves it, 1 is white."""
    red, green, blue = (channel + (1 - channel) * lightness for channel in to_rgb(colour))
    return red, green, blue


def is_log(score: Score) -> bool:
    """Return whether a score is drawn on a logarithmic axis: Frechet distances are."""
    return score.measure == "frechet_distance"


def log_axis(axes: Axes) -> None:
    """Make the y axis logarithmic, with plain numbers at 1, 2 and 5 of each decade."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def legend(drawing: Figure, study: Study, methods: Sequence[str], **line: Any) -> None:
    """Name the methods below the drawing, by their pens."""
    handles = [
        Line2D([], [], color=study.pens[m].colour, linestyle=study.pens[m].dash, **line)
        for m in methods
    ]
    labels = [plain(method) for method in methods]
    entry = 0.55 + INCHES_A_LETTER * max(len(label) for label in labels)
    columns = max(1, min(6, len(methods), int(drawing.get_figwidth() / entry)))
    drawing.legend(handles, labels, loc="outside lower center", ncols=columns)
