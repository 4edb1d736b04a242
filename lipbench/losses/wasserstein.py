"""The Wasserstein loss of a critic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge

from lipbench.loss import Loss

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Wasserstein(Loss):
    """The difference of the means. `drift` weighs E[D(x)^2], which pins D's free constant."""

    source = (
        "Arjovsky et al. 2017; Miyato et al. 2018, Eq. 29; drift: Karras et al. 2018, there 1e-3"
    )
    title = "the Wasserstein loss"
    papers = ("arjovsky2017wgan",)

    drift: Annotated[float, Ge(0)] | None = None

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        loss = fake_logits.mean() - real_logits.mean()
        return loss if self.drift is None else loss + self.drift * real_logits.square().mean()

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None) -> Tensor:
        return -fake_logits.mean()
