"""R1 (Mescheder et al., Which Training Methods for GANs do actually Converge?, ICML 2018)."""

from __future__ import annotations

from torch import Tensor

from lipbench.discriminators import Discriminator
from lipbench.method import Batch, NonNegative, Penalty, Trait

from ._gradients import squared_norms


class R1(Penalty):
    """Penalize the squared norm of D's gradient at real images.

    gamma / 2 * E[|grad D(real)|^2]. The default is StyleGAN2's (Karras et al. 2020,
    github.com/NVlabs/stylegan2), which applies it at every 16th update; the authors' own code
    (github.com/LMescheder/GAN_stability) has 10 without the half, which is gamma = 20 here.
    """

    label = "R1"
    papers = ("mescheder2018", "karras2020")
    traits = frozenset({Trait.INPUT_GRADIENTS})

    gamma: NonNegative = 10.0

    def term(self, discriminator: Discriminator, batch: Batch) -> Tensor:
        return self.gamma / 2 * squared_norms(discriminator, batch.real).mean()
