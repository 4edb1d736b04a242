"""WGAN-LP (Petzka et al., On the Regularization of Wasserstein GANs, ICLR 2018)."""

from __future__ import annotations

from torch import Tensor

from lipbench.discriminators import Discriminator
from lipbench.method import Batch, NonNegative, Penalty, Requires, Trait

from ._gradients import between, norms


class WganLp(Penalty):
    """Penalize norms of D's gradient above 1, and none below, between real and generated images.

    coefficient * E[max(0, |grad D(x)| - 1)^2] with x on lines between the two, as in WGAN-GP,
    added to the Wasserstein loss. The coefficient is that of the authors' code
    (github.com/lukovnikov/improved_wgan_training).
    """

    label = "WGAN-LP"
    papers = ("petzka2018",)
    traits = frozenset({Trait.INPUT_GRADIENTS})
    requires = Requires(loss="wasserstein")

    coefficient: NonNegative = 10.0

    def term(self, discriminator: Discriminator, batch: Batch) -> Tensor:
        slopes = norms(discriminator, between(batch.real, batch.fake))
        return self.coefficient * (slopes - 1).relu().square().mean()
