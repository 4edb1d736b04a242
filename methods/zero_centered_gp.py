"""0-GP, the zero-centered gradient penalty (Thanh-Tung et al., ICLR 2019)."""

from __future__ import annotations

from torch import Tensor

from lipbench.discriminators import Discriminator
from lipbench.method import Batch, NonNegative, Penalty, Trait

from ._gradients import between, squared_norms


class ZeroCenteredGp(Penalty):
    """Pull D's gradient to 0 on lines between real and generated images.

    coefficient * E[|grad D(x)|^2] with x on lines between the two, as in WGAN-GP. The coefficient
    is the default of the authors' code (github.com/htt210/GeneralizationAndStabilityInGANs).
    """

    label = "0-GP"
    papers = ("thanhtung2019",)
    traits = frozenset({Trait.INPUT_GRADIENTS})

    coefficient: NonNegative = 10.0

    def term(self, discriminator: Discriminator, batch: Batch) -> Tensor:
        points = between(batch.real, batch.fake)
        return self.coefficient * squared_norms(discriminator, points).mean()
