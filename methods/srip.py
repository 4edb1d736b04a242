"""SRIP, a spectral orthogonality regularization (Bansal et al., NeurIPS 2018)."""

from __future__ import annotations

import torch
from torch import Tensor

from lipbench.discriminators import Discriminator, matrix
from lipbench.method import Batch, Count, NonNegative, Penalty, Trait
from lipbench.operators import normalized

from ._gram import gram_defect


class Srip(Penalty):
    """Penalize how far from 1 the farthest squared singular value of each weight is.

    coefficient * sum over layers of sigma(W^T W - I), with W W^T where that is smaller. sigma is
    |(W^T W - I) v|, v from `power_iterations` rounds that start anew at a random vector, so a
    lower bound; the gradient takes v as constant (our choice). The authors' code
    (github.com/VITA-Group/Orthogonality-in-CNNs) has one round too, but adds sigma^2. The
    coefficient is that code's for SVHN at the start, here without its schedule.
    """

    label = "SRIP"
    papers = ("bansal2018",)
    traits = frozenset({Trait.PENALIZES_WEIGHTS})

    coefficient: NonNegative = 1e-2
    power_iterations: Count = 1

    def term(self, discriminator: Discriminator, batch: Batch) -> Tensor:
        sigmas = [self._sigma(matrix(layer.weight)) for layer in discriminator.layers()]
        return self.coefficient * torch.stack(sigmas).sum()

    def _sigma(self, weight: Tensor) -> Tensor:
        defect = gram_defect(weight)
        with torch.no_grad():
            v = torch.randn_like(defect[0])
            for _ in range(self.power_iterations):
                v = normalized(defect @ v)
        return (defect @ v).norm()
