"""The share of fakes near a mode of the real points: within 3 standard deviations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lipbench.measure import On

from ._near import Near


@dataclass(frozen=True)
class Within3(Near):
    """The share of fakes within 3 standard deviations, of a coordinate, of the nearest mode.

    Of a round Gaussian in the plane itself, 98.9% are.
    """

    title = "share within 3 sd"
    description = (
        "Share of generated points within 3 standard deviations of the nearest mode's centre: "
        "the usual high-quality share; modes, centres and deviations are those of real points"
    )
    papers = ("srivastava2017",)
    on = (On("points", title="share within 3 sd"),)
    deviations: ClassVar[int] = 3
