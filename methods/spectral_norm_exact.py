"""Spectral normalization (Miyato et al., ICLR 2018) with singular values that are exact."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipbench.discriminators import Discriminator, matrix, original
from lipbench.method import Claim, Method, Trait
from lipbench.operators import normalized

from ._scale import scale


class ExactSpectralNorm(Method):
    """Divide each weight by its largest singular value, decomposed anew at every update.

    W / sigma(W) (Miyato et al. 2018, Eq. 8) without their power iteration, whose sigma is too
    small until it has converged: the reference that it is to be measured against. u is an
    eigenvector of the smaller Gram matrix, and sigma = u^T W v is back-propagated through with
    u and v constant (Eq. 11). All layers, without biases; `gamma` as for `spectral_norm`.
    """

    label = "SN exact"
    papers = ("miyato2018",)
    traits = frozenset({Trait.REPARAMETRIZES, Trait.DIVIDES_BY_SIGMA})

    gamma: bool = False

    @property
    def claims(self) -> tuple[Claim, ...]:
        return () if self.gamma else (Claim("sigma_kernel", 1.0, tolerance=1e-4),)

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        for layer in discriminator.layers():
            parametrize.register_parametrization(layer, "weight", DividedBySigma())
            if self.gamma:
                scale(layer, sigma(matrix(original(layer))))
        return discriminator


class DividedBySigma(nn.Module):
    """Divide a weight by its largest singular value."""

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight with largest singular value 1."""
        with torch.autocast(weight.device.type, enabled=False):
            return weight / sigma(matrix(weight))


def sigma(weight: Tensor) -> Tensor:
    """Return the largest singular value of a weight (m, n)."""
    if weight.shape[0] > weight.shape[1]:
        return sigma(weight.mT)
    with torch.no_grad():
        _, vectors = torch.linalg.eigh(weight @ weight.mT)
        u = vectors[:, -1]
        v = normalized(weight.mT @ u)
    return u @ weight @ v
