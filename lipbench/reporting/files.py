"""A drawing as the bytes of a file: the same drawing, the same bytes.

`Figure.savefig` draws everything twice, the first time to lay it out, even where nothing is to be
laid out. These draw once: where a drawing has a layout engine, that is executed by the drawing.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from lipbench.reporting.style import RC

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def png(drawing: Figure) -> bytes:
    """Return a drawing as PNG, in the style's dots per inch."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    content = io.BytesIO()
    drawing.set_dpi(RC["savefig.dpi"])
    FigureCanvasAgg(drawing).print_png(content, metadata={"Software": None})
    return content.getvalue()


def svg(drawing: Figure) -> bytes:
    """Return a drawing as SVG, without a date or a maker."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    content = io.BytesIO()
    drawing.set_dpi(RC["savefig.dpi"])  # of what it holds as pixels
    none = dict.fromkeys(("Creator", "Date", "Format"))
    FigureCanvasSVG(drawing).print_svg(content, metadata=none)
    return content.getvalue()


def pdf(drawing: Figure) -> bytes:
    """Return a drawing as PDF, without a date."""
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    content = io.BytesIO()
    drawing.set_dpi(RC["savefig.dpi"])
    FigureCanvasPdf(drawing).print_pdf(content, metadata={"CreationDate": None})
    return content.getvalue()
