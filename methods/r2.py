"""R2 (Mescheder et al., Which Training Methods for GANs do actually Converge?, ICML 2018)."""

from __future__ import annotations

from torch import Tensor

from lipbench.discriminators import Discriminator
from lipbench.method import Batch, NonNegative, Penalty, Trait

from ._gradients import squared_norms


class R2(Penalty):
    """Penalize the squared norm of D's gradient at generated images.

    gamma / 2 * E[|grad D(fake)|^2]: R1 with generated images in place of real ones. The default
    is R1's here (our choice).
    """

    label = "R2"
    papers = ("mescheder2018",)
    traits = frozenset({Trait.INPUT_GRADIENTS})

    gamma: NonNegative = 10.0

    def term(self, discriminator: Discriminator, batch: Batch) -> Tensor:
        return self.gamma / 2 * squared_norms(discriminator, batch.fake).mean()
