"""The relativistic pairing loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lipbench.loss import Loss, softplus

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Relativistic(Loss):
    """The logistic loss of the differences between paired real and generated images' logits.

    D raises each real logit above its partner's, G the other way round; pairs are as the batches
    come. Batches of D and of G must have the same size.
    """

    source = (
        "Jolicoeur-Martineau 2019, RpGAN (section 4, with the logistic loss); Huang et al. 2024 "
        "(R3GAN) with the penalties R1 and R2"
    )
    title = "the relativistic pairing loss"
    papers = ("jolicoeur2019", "huang2024")
    needs_real = True
    paired = True

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return softplus(fake_logits - real_logits).mean()

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None) -> Tensor:
        assert real_logits is not None, "needs_real"
        return softplus(real_logits - fake_logits).mean()
