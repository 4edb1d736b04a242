"""The share of fakes near a mode of the real points. Imports no torch before it computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from lipbench.measure import Features, Mean, Real, require_finite

if TYPE_CHECKING:
    from torch import Tensor


class Near(Mean):
    """The share of fakes within some standard deviations, of a coordinate, of a mode's centre."""

    higher_is_better = True
    if_diverged = 0.0
    rewards = "points that are all at one mode"
    spaces = ("points",)
    deviations: ClassVar[int]

    def per_image(self, fake: Features, real: Real) -> Tensor:
        """Return 1 for each fake that is near the nearest mode, else 0."""
        from ._modes import places

        require_finite(fake)
        return (real.with_fake(fake.pooled, places).distances <= self.deviations).double()
