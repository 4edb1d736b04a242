"""The hinge loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lipbench.loss import Loss

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Hinge(Loss):
    """Margins at 1 and -1 for D, the plain logit for G."""

    source = "Lim & Ye 2017; Tran et al. 2017; Miyato et al. 2018, Eq. 16-17"
    title = "the hinge loss"
    papers = ("lim2017", "tran2017")

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return (1 - real_logits).relu().mean() + (1 + fake_logits).relu().mean()

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None) -> Tensor:
        return -fake_logits.mean()
