"""MaxGP (Zhou et al., Lipschitz Generative Adversarial Nets, ICML 2019)."""

from __future__ import annotations

from torch import Tensor

from lipbench.discriminators import Discriminator
from lipbench.method import Batch, NonNegative, Penalty, Trait

from ._gradients import between, squared_norms


class MaxGradientPenalty(Penalty):
    """Penalize the largest squared norm of D's gradient between real and generated images.

    coefficient * max |grad D(x)|^2 over the batch, with x on lines between the two, as in
    WGAN-GP: an estimate of D's squared Lipschitz constant. The coefficient is the default of the
    authors' code (github.com/ZhimingZhou/LGANs-for-reproduce); its optional memory of the worst
    points is left out.
    """

    label = "MaxGP"
    papers = ("zhou2019",)
    traits = frozenset({Trait.INPUT_GRADIENTS})

    coefficient: NonNegative = 0.1

    def term(self, discriminator: Discriminator, batch: Batch) -> Tensor:
        points = between(batch.real, batch.fake)
        return self.coefficient * squared_norms(discriminator, points).max()
