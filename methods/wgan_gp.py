"""WGAN-GP (Gulrajani et al., Improved Training of Wasserstein GANs, NIPS 2017)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from lipbench.discriminators import Discriminator
from lipbench.method import Batch, NonNegative, Penalty, Recipe, Requires, Trait

from ._gradients import between, norms


class WganGp(Penalty):
    """Pull the norm of D's gradient to 1 on lines between real and generated images.

    coefficient * E[(|grad D(x)| - 1)^2] with x = e * real + (1 - e) * fake, e uniform on [0, 1]
    for each image (their Eq. 3; Miyato et al. 2018, Eq. 29-31), added to the Wasserstein loss.
    The recipe is that of Algorithm 1.
    """

    label = "WGAN-GP"
    papers: ClassVar[tuple[str, ...]] = ("gulrajani2017",)
    traits = frozenset({Trait.INPUT_GRADIENTS, Trait.TWO_SIDED_PENALTY})
    requires = Requires(loss="wasserstein")
    recipe: ClassVar[Recipe | None] = Recipe(lr=1e-4, beta1=0.0, beta2=0.9, n_dis=5)

    coefficient: NonNegative = 10.0

    def term(self, discriminator: Discriminator, batch: Batch) -> Tensor:
        slopes = norms(discriminator, between(batch.real, batch.fake))
        return self.coefficient * (slopes - 1).square().mean()
