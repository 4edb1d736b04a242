"""What the methods share that make weights orthonormal matrices."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipbench.discriminators import Discriminator, matrix
from lipbench.operators import overlap


class Orthonormalized(nn.Module):
    """Compute a weight whose matrix (outputs, rest) is a map's result, divided by a number.

    The map gets that matrix, or its transpose if it is wide: at least as many rows as columns.
    """

    def __init__(self, of: nn.Module, divisor: float) -> None:
        super().__init__()
        self.of = of
        self.divisor = divisor

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight."""
        flat = matrix(weight)
        wide = flat.shape[0] < flat.shape[1]
        result = self.of(flat.mT).mT if wide else self.of(flat)
        return (result / self.divisor).reshape(weight.shape)


def orthonormalize(discriminator: Discriminator, of: nn.Module) -> None:
    """Compute all of D's weights by a map of matrices, scaled so that no layer's norm exceeds 1.

    With a kernel's matrix orthonormal, the convolution's norm is at most the square root of the
    number of outputs that a pixel takes part in.
    """
    for layer in discriminator.layers():
        divisor = math.sqrt(overlap(layer)) if isinstance(layer, nn.Conv2d) else 1.0
        parametrize.register_parametrization(layer, "weight", Orthonormalized(of, divisor))


def cayley(weight: Tensor) -> Tensor:
    """Return the Cayley transform of W = [U; V] (..., m, n), m >= n: orthonormal columns.

    [(I + A)^-1 (I - A); -2 V (I + A)^-1] with A = U - U^H + V^H V (Trockman & Kolter 2021), for
    real and complex matrices.
    """
    columns = weight.shape[-1]
    u, v = weight[..., :columns, :], weight[..., columns:, :]
    eye = torch.eye(columns, dtype=weight.dtype, device=weight.device)
    inverse = torch.linalg.inv(eye + u - u.mH + v.mH @ v)
    return torch.cat([2 * inverse - eye, -2 * v @ inverse], dim=-2)
