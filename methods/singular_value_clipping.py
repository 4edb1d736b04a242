"""Singular value clipping (Saito et al., Temporal GAN, ICCV 2017)."""

from __future__ import annotations

import torch
from torch import Tensor

from lipbench.discriminators import Discriminator, matrix, original
from lipbench.method import Claim, Positive, Projection


class SingularValueClipping(Projection):
    """Set the singular values above `bound` to `bound`, after each update of D.

    Of the kernel reshaped to (outputs, rest), as in Miyato et al. 2018, D.3. Saito et al.'s code
    leaves dense layers alone, its discriminator having none; here the final dense layer is
    clipped too, without which nothing bounds D's output (our choice).
    """

    label = "SVC"
    papers = ("saito2017",)

    bound: Positive = 1.0

    @property
    def claims(self) -> tuple[Claim, ...]:
        return (Claim("sigma_kernel", self.bound, tolerance=1e-3),)

    def constrain(self, discriminator: Discriminator) -> None:
        for layer in discriminator.layers():
            weight = original(layer)
            weight.copy_(clip(matrix(weight), self.bound).view_as(weight))


def clip(weight: Tensor, bound: float) -> Tensor:
    """Return the nearest matrix to a weight (m, n) with no singular value above the bound.

    Only the directions above it change: from W W^T = U diag(s^2) U^T, an eigenproblem of the
    smaller side, several times cheaper than the SVD.
    """
    if weight.shape[0] > weight.shape[1]:
        return clip(weight.mT, bound).mT
    squares, u = torch.linalg.eigh(weight @ weight.mT)
    excess = 1 - bound / squares.clamp(min=bound**2).sqrt()
    return weight - (u * excess) @ (u.mT @ weight)
