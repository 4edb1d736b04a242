"""The share of fakes near a mode of the real points: within 3 standard deviations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lipbench.measure import Features, Mean, On, Real, require_finite

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Within3(Mean):
    """The share of fakes within 3 standard deviations, of a coordinate, of the nearest mode.

    Of a round Gaussian in the plane itself, 98.9% are.
    """

    title = "share within 3 sd"
    description = (
        "Share of generated points within 3 standard deviations of the nearest mode's centre: "
        "the usual high-quality share; modes, centres and deviations are those of real points"
    )
    papers = ("srivastava2017",)
    higher_is_better = True
    if_diverged = 0.0
    rewards = "points that are all at one mode"
    spaces = ("points",)
    on = (On("points", title="share within 3 sd"),)

    def per_image(self, fake: Features, real: Real) -> Tensor:
        """Return 1 for each fake that is near, else 0."""
        from ._modes import places

        require_finite(fake)
        return (real.with_fake(fake.pooled, places).distances <= 3).double()
