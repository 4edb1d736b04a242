"""The minimax game that GANs began with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lipbench.loss import softplus

from .non_saturating import NonSaturating

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Saturating(NonSaturating):
    """The original minimax game: G minimises log(1 - D), the negative of D's own term."""

    source = "Goodfellow et al. 2014"
    title = "the saturating (minimax) loss"
    papers = ("goodfellow2014",)

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None) -> Tensor:
        return -softplus(fake_logits).mean()
