"""The relativistic average loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lipbench.loss import Loss, softplus

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class RelativisticAverage(Loss):
    """The logistic loss of each logit less the mean logit of the other kind.

    A real logit is held against the mean of the generated batch, a generated one against the mean
    of the real batch, in D's loss and, with the signs exchanged, in G's. The means carry
    gradients: G's term of the real images moves G through the mean of its own batch. The two
    batches may differ in size. Both losses are the sums of the paper; the author's code halves
    them, so a penalty of its coefficient weighs half as much here.
    """

    source = (
        "Jolicoeur-Martineau 2019, RaSGAN; github.com/AlexiaJM/RelativisticGAN, "
        "code/GAN_losses_iter.py, where it is halved"
    )
    title = "the relativistic average loss"
    papers = ("jolicoeur2019",)
    needs_real = True

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        real, fake = real_logits - fake_logits.mean(), fake_logits - real_logits.mean()
        return softplus(-real).mean() + softplus(fake).mean()

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None) -> Tensor:
        assert real_logits is not None, "needs_real"
        real, fake = real_logits - fake_logits.mean(), fake_logits - real_logits.mean()
        return softplus(real).mean() + softplus(-fake).mean()
