"""The loss of most GANs: -log D for both players."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Gt, Le

from lipbench.loss import Loss, softplus

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class NonSaturating(Loss):
    """-log D for both players. `real_target` below 1 is one-sided label smoothing."""

    source = (
        "Goodfellow et al. 2014; Miyato et al. 2018, Eq. 15 and the alternate generator loss; "
        "one-sided label smoothing: Salimans et al. 2016"
    )
    title = "the non-saturating loss"
    papers = ("goodfellow2014",)

    real_target: Annotated[float, Gt(0), Le(1)] | None = None

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        wanted = softplus(-real_logits).mean()
        if self.real_target is not None:
            unwanted = softplus(real_logits).mean()
            wanted = self.real_target * wanted + (1 - self.real_target) * unwanted
        return wanted + softplus(fake_logits).mean()

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None) -> Tensor:
        return softplus(-fake_logits).mean()
