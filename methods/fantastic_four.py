"""Fantastic Four (Singla & Feizi, Fantastic Four: Differentiable Bounds on Singular Values of
Convolution Layers, ICLR 2021)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lipbench.discriminators import Discriminator
from lipbench.method import Claim, Method, Trait
from lipbench.operators import MatrixNorm

from ._conv_norm import divide


class LeastOfFour(nn.Module):
    """The bound sqrt(h w) * min(sigma R, sigma S, sigma T, sigma U) on a convolution's norm."""

    def __init__(self, kernel: Tensor) -> None:
        super().__init__()
        self.norms = nn.ModuleList(MatrixNorm(matrix) for matrix in reshaped(kernel))

    def forward(self, kernel: Tensor) -> Tensor:
        """Return the bound."""
        sigmas = [norm(m) for norm, m in zip(self.norms, reshaped(kernel), strict=True)]
        return math.sqrt(kernel[0, 0].numel()) * torch.stack(sigmas).min()


class FantasticFour(Method):
    """Divide each kernel by the least of four cheap bounds on its convolution's norm.

    W = K / (sqrt(h w) min(sigma R, sigma S, sigma T, sigma U)), with the kernel reshaped to
    R (o h, i w), S (o w, i h), T (o, i h w), U (i, o h w). The bound holds for any input size,
    and for a stride, which only drops outputs, though it is looser there. One power iteration at
    each update, as in the authors' code (github.com/singlasahil14/fantastic-four), which adds the
    bound to the loss as a penalty; here it divides, as in SN, the last dense layer's own norm
    included (our choice). The power-iterated sigmas are from below
    and lag behind weights that move: in the first updates at setting D we measured a norm of
    1.37. The claim is of weights at rest.
    """

    label = "Fantastic Four"
    papers = ("singla2021fantastic",)
    traits = frozenset({Trait.REPARAMETRIZES})

    @property
    def claims(self) -> tuple[Claim, ...]:
        return (Claim("sigma_operator", 1.0, tolerance=0.01),)

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        for layer in discriminator.layers():
            kind = LeastOfFour if isinstance(layer, nn.Conv2d) else MatrixNorm
            divide(layer, kind(layer.weight.detach()))
        return discriminator


def reshaped(kernel: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return a kernel (o, i, h, w) as the matrices R, S, T and U."""
    o, i, h, w = kernel.shape
    return (
        kernel.permute(0, 2, 1, 3).reshape(o * h, i * w),
        kernel.permute(0, 3, 1, 2).reshape(o * w, i * h),
        kernel.reshape(o, i * h * w),
        kernel.transpose(0, 1).reshape(i, o * h * w),
    )
