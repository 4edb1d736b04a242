"""Jacobian regularization (Hoffman, Roberts & Yaida, arXiv 1908.02729, 2019)."""

from __future__ import annotations

import torch
from torch import Tensor

from lipbench.discriminators import Discriminator
from lipbench.method import Batch, NonNegative, Penalty, Trait

from ._gradients import squared_norms


class JacobianRegularization(Penalty):
    """Penalize the Frobenius norm of D's Jacobian at real and at generated images.

    coefficient / 2 * E[|J(x)|_F^2]. D has one output, so J is its gradient, exact without the
    random projections that many outputs ask for, and the term is a zero-centred gradient penalty
    on both kinds of images: the mean of R1 and R2. The paper is about classifiers; images and
    coefficient, R1's here, are our choice.
    """

    label = "JacReg"
    papers = ("hoffman2019",)
    traits = frozenset({Trait.INPUT_GRADIENTS})

    coefficient: NonNegative = 10.0

    def term(self, discriminator: Discriminator, batch: Batch) -> Tensor:
        images = torch.cat([batch.real, batch.fake])
        return self.coefficient / 2 * squared_norms(discriminator, images).mean()
