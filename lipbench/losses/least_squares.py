"""The least-squares loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lipbench.loss import Loss

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class LeastSquares(Loss):
    """Half the squared distances of logits from targets (the paper's a, b, c).

    The logits are not squashed, though code exists that squashes them.
    """

    source = "Mao et al. 2017, with a = 0, b = c = 1"
    title = "the least-squares loss"
    papers = ("mao2017",)

    fake_target: float = 0.0
    real_target: float = 1.0
    generator_target: float = 1.0

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        wanted = (real_logits - self.real_target).square().mean()
        return 0.5 * (wanted + (fake_logits - self.fake_target).square().mean())

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None) -> Tensor:
        return 0.5 * (fake_logits - self.generator_target).square().mean()
