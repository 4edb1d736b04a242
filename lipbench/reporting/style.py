"""How figures look: one style sheet, and one pen a method, in every figure of every report."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

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
    "svg.fonttype": "none",  # text stays text: it can be found, copied and read aloud
    "svg.hashsalt": "lipbench",  # the same results, the same bytes
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
    "#999999",
    "#000000",
)
# The methods of most reports, by their labels: no two have a colour in common.
_FIXED = dict(
    zip(
        ("SN", "WGAN-GP", "WN", "WC", "LN", "BN", "Orthonormal", "none"),
        _COLOURS,
        strict=True,
    )
)
Dash = Literal["-", "--", ":", "-."]
Marker = Literal["o", "s", "^", "D", "v", "P"]
_DASHES: tuple[Dash, ...] = ("-", "--", "-.", ":")
_MARKERS: tuple[Marker, ...] = ("o", "s", "^", "D", "v", "P")


@dataclass(frozen=True)
class Pen:
    """How one method is drawn, in every figure of every report."""

    colour: str
    dash: Dash
    marker: Marker


def pen(label: str) -> Pen:
    """Return the pen of a method: a function of its label, whatever else a report has.

    `SN (5 iterations)` has the colour and marker of `SN`, and another dash: what is in parentheses
    at the end is a variant.

    >>> pen("SN").colour == pen("SN (5 iterations)").colour
    True
    """
    family, _, variant = label.partition(" (")
    number = zlib.crc32(family.encode("utf-8", "surrogatepass"))
    colour = _FIXED.get(family, _COLOURS[number % len(_COLOURS)])
    number //= len(_COLOURS)
    marker = "o" if family in _FIXED else _MARKERS[number % len(_MARKERS)]
    number //= len(_MARKERS)
    dash = "-" if family in _FIXED else _DASHES[number % len(_DASHES)]
    if variant:
        others = [other for other in _DASHES if other != dash]
        dash = others[zlib.crc32(variant.encode("utf-8", "surrogatepass")) % len(others)]
    return Pen(colour, dash, marker)


def pens(methods: Sequence[str]) -> dict[str, Pen]:
    """Return the pen of each method of a report.

    Of two methods with one pen, the later one by name has the next free marker.
    """
    found: dict[str, Pen] = {}
    for method in sorted(methods):
        made = pen(method)
        markers = [made.marker, *[marker for marker in _MARKERS if marker != made.marker]]
        free = [replace(made, marker=marker) for marker in markers]
        taken = set(found.values())
        found[method] = next((each for each in free if each not in taken), made)
    return {method: found[method] for method in methods}
