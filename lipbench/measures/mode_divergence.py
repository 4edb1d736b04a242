"""How unevenly fakes are spread over the modes of the real points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lipbench.measure import Features, Measure, On, Real, require_finite

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ModeDivergence(Measure):
    """KL(histogram || uniform) of which mode's centre each fake is nearest to.

    0 where each mode has as many fakes, log(modes) where one has all of them.
    """

    title = "mode KL"
    description = (
        "KL divergence from the uniform distribution over the modes (the real points' labels) of "
        "which mode's centre each generated point is nearest to, however far it is from it"
    )
    higher_is_better = False
    unit = "nats"
    rewards = "points far from every mode, but evenly so"
    spaces = ("points",)
    on = (On("points", title="mode KL"),)

    def value(self, fake: Features, real: Real) -> float:
        """Return the divergence."""
        import torch

        ones = torch.ones(1, len(fake.pooled), dtype=torch.float64)
        return self.replicates(fake, real, ones).item()

    def replicates(self, fake: Features, real: Real, counts: Tensor) -> Tensor:
        """Return the divergences of draws of the fakes."""
        import math

        import torch

        from ._modes import modes, places, shares

        require_finite(fake)
        known = len(real.of(modes).centres)
        found = shares(counts, real.with_fake(fake.pooled, places).nearest, known)
        return torch.special.xlogy(found, found).sum(dim=1) + math.log(known)
