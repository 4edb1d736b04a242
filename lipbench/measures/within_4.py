"""The share of fakes near a mode of the real points: within 4 standard deviations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lipbench.measure import Features, Mean, On, Real, require_finite

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Within4(Mean):
    """The share of fakes within 4 standard deviations, of a coordinate, of the nearest mode.

    Of a round Gaussian in the plane itself, 99.97% are.
    """

    title = "share within 4 sd"
    description = (
        "Share of generated points within 4 standard deviations of the nearest mode's centre: "
        "a laxer high-quality share; modes, centres and deviations are those of real points"
    )
    papers = ("srivastava2017",)
    higher_is_better = True
    if_diverged = 0.0
    rewards = "points that are all at one mode"
    spaces = ("points",)
    on = (On("points", title="share within 4 sd"),)

    def per_image(self, fake: Features, real: Real) -> Tensor:
        """Return 1 for each fake that is near, else 0."""
        from ._modes import places

        require_finite(fake)
        return (real.with_fake(fake.pooled, places).distances <= 4).double()
