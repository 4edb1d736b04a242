"""The share of fakes near a mode of the real points: within 4 standard deviations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lipbench.measure import On

from ._near import Near


@dataclass(frozen=True)
class Within4(Near):
    """The share of fakes within 4 standard deviations, of a coordinate, of the nearest mode.

    Of a round Gaussian in the plane itself, 99.97% are.
    """

    title = "share within 4 sd"
    description = (
        "Share of generated points within 4 standard deviations of the nearest mode's centre: "
        "a laxer high-quality share; modes, centres and deviations are those of real points"
    )
    papers = ("srivastava2017",)
    on = (On("points", title="share within 4 sd"),)
    deviations: ClassVar[int] = 4
