"""How figures look: one style sheet, and one pen a method, in every figure of every report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from lipbench.results.results import Results

FONTS = ["STIXGeneral", "DejaVu Sans"]  # both come with matplotlib
RC: Any = {
    "font.family": FONTS,
    "mathtext.fontset": "stix",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "hatch.linewidth": 0.5,
    "lines.linewidth": 1.2,
    "pdf.fonttype": 42,  # conferences refuse Type 3 fonts
    "savefig.dpi": 180,
}

# Okabe and Ito's, which the colour-blind can tell apart; grey for yellow, too pale for lines.
_COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#E69F00",
    "#000000",
    "#999999",
)
_DASHES: tuple[Literal["-", "--", ":", "-."], ...] = ("-", "--", ":", "-.")
_MARKERS: tuple[Literal["o", "s", "^", "D"], ...] = ("o", "s", "^", "D")


@dataclass(frozen=True)
class Pen:
    """How one method is drawn, in every figure of a report."""

    colour: str
    dash: Literal["-", "--", ":", "-."]
    marker: Literal["o", "s", "^", "D"]


def pens(results: Results) -> dict[str, Pen]:
    """Return the pen of each method, by its label."""
    return {
        method: Pen(
            _COLOURS[i % len(_COLOURS)],
            _DASHES[i // len(_COLOURS) % len(_DASHES)],
            _MARKERS[i // len(_COLOURS) % len(_MARKERS)],
        )
        for i, method in enumerate(results.methods)
    }
