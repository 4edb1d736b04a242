"""Singular value clipping (Saito et al., Temporal GAN, ICCV 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lipbench.discriminators import Discriminator, matrix, original
from lipbench.method import Claim, Positive, Projection


class SingularValueClipping(Projection):
    """Set the singular values above `bound` to `bound`, after each `every`-th update of D.

    Of the kernel reshaped to (outputs, rest), as in Miyato et al. 2018, D.3. Saito et al.'s code
    (github.com/pfnet-research/tgan) clips at each update, its configurations at each fifth, and
    leaves dense layers alone, its discriminator having none; here the final dense layer is
    clipped too, without which nothing bounds D's output (our choice).

    `clip_batch_norm` clamps the gamma of each batch normalization that has one to [0.01 std, std]
    with std^2 the running variance, as that code does: its gain is then at most 1 in eval mode.
    `batch_norm` has one with its own `gamma`.
    """

    label = "SVC"
    papers = ("saito2017",)

    bound: Positive = 1.0
    clip_batch_norm: bool = True

    @property
    def claims(self) -> tuple[Claim, ...]:
        return (Claim("sigma_kernel", self.bound, tolerance=1e-3),)

    def constrain(self, discriminator: Discriminator) -> None:
        for layer in discriminator.layers():
            weight = original(layer)
            weight.copy_(clip(matrix(weight), self.bound).view_as(weight))
        if self.clip_batch_norm:
            for module in discriminator.modules():
                if isinstance(module, nn.BatchNorm2d) and module.affine:
                    clip_gain(module)


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


def clip_gain(norm: nn.BatchNorm2d) -> None:
    """Clamp gamma so that the running statistics give each channel a gain in [0.01, 1]."""
    if norm.running_var is not None:
        deviation = norm.running_var.sqrt()
        norm.weight.clamp_(0.01 * deviation, deviation)
