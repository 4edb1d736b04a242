"""A drawing as the bytes of a file: the same drawing, the same bytes.

`Figure.savefig` draws everything twice, the first time to lay it out, even where nothing is to be
laid out. These draw once: where a drawing has a layout engine, that is executed by the drawing.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from lipbench.reporting.style import RC

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def png(drawing: Figure) -> bytes:
    """Return a drawing as PNG, in the style's dots per inch."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    return _printed(drawing, FigureCanvasAgg(drawing).print_png, "Software")


def svg(drawing: Figure) -> bytes:
    """Return a drawing as SVG, without a date or a maker."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    return _printed(drawing, FigureCanvasSVG(drawing).print_svg, "Creator", "Date", "Format")


def pdf(drawing: Figure) -> bytes:
    """Return a drawing as PDF, without a date."""
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    return _printed(drawing, FigureCanvasPdf(drawing).print_pdf, "CreationDate")


def _printed(drawing: Figure, print_: Callable[..., object], *omitted: str) -> bytes:
    """Return what a canvas prints, without these of its metadata, which change or tell nothing."""
    content = io.BytesIO()
    drawing.set_dpi(RC["savefig.dpi"])  # in vector files of what they hold as pixels
    print_(content, metadata=dict.fromkeys(omitted))
    return content.getvalue()
