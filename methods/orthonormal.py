"""Orthonormal regularization (Brock et al., Neural Photo Editing, ICLR 2017)."""

from __future__ import annotations

import torch
from torch import Tensor

from lipbench.discriminators import Discriminator, matrix, original
from lipbench.method import Batch, NonNegative, Penalty, Trait

from ._gram import gram_defect


class Orthonormal(Penalty):
    """Penalize each weight matrix's distance from an orthonormal one (Miyato et al. 2018, Eq. 14).

    coefficient * sum over layers of |W^T W - I|_F^2, where W W^T stands for W^T W if the matrix is
    wide, so that zero can be reached. D starts orthonormal, as in their section 4.1, here with
    the polar factors of the weights that any method starts with, so that runs stay paired. The
    layers are all, the final dense one included. The paper states no coefficient: 1e-3 is that
    of Brock et al.'s code (github.com/ajbrock/Neural-Photo-Editor), which has it on a sum of
    absolute values (our choice).
    """

    label = "Orthonormal"
    papers = ("brock2017", "miyato2018")
    traits = frozenset({Trait.PENALIZES_WEIGHTS})

    coefficient: NonNegative = 1e-3

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        with torch.no_grad():
            for layer in discriminator.layers():
                weight = original(layer)
                weight.copy_(polar_factor(matrix(weight)).view_as(weight))
        return discriminator

    def term(self, discriminator: Discriminator, batch: Batch) -> Tensor:
        defects = [gram_defect(matrix(layer.weight)) for layer in discriminator.layers()]
        return self.coefficient * torch.stack([d.square().sum() for d in defects]).sum()


def polar_factor(weight: Tensor) -> Tensor:
    """Return the nearest matrix, (m, n), with all singular values 1."""
    u, _, vh = torch.linalg.svd(weight, full_matrices=False)
    return u @ vh
