"""Off-diagonal orthogonal regularization (Brock et al., Large Scale GAN Training, ICLR 2019)."""

from __future__ import annotations

import torch
from torch import Tensor

from lipbench.discriminators import Discriminator, matrix
from lipbench.method import Batch, NonNegative, Penalty, Trait


class OrthogonalOffDiagonal(Penalty):
    """Penalize the products of a layer's different outputs' weights, and not their norms.

    coefficient * sum over layers of |W W^T * (1 - I)|_F^2, W reshaped to (outputs, rest): the
    rows, as in the authors' code (github.com/ajbrock/BigGAN-PyTorch), which has 1e-4 but adds
    half of this term's gradient, so 5e-5 here is what it does. There it regularizes G, here D.
    """

    label = "Ortho-BigGAN"
    papers = ("brock2019",)
    traits = frozenset({Trait.PENALIZES_WEIGHTS})

    coefficient: NonNegative = 1e-4

    def term(self, discriminator: Discriminator, batch: Batch) -> Tensor:
        products = [_off_diagonal(matrix(layer.weight)) for layer in discriminator.layers()]
        return self.coefficient * torch.stack(products).sum()


def _off_diagonal(weight: Tensor) -> Tensor:
    gram = weight @ weight.mT
    return (gram - gram.diagonal().diag()).square().sum()
