"""Singular value constraint (Miyato et al., Spectral Normalization for GANs, ICLR 2018, D.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from lipbench.discriminators import Discriminator, matrix
from lipbench.method import Claim, Method, Positive, Trait


class SingularValueConstraint(Method):
    """Train singular vectors and values in place of each weight, the largest value `bound`.

    W = U S V^T with U^T U = V^T V = I and max S_ii = bound (Eq. 28). The paper proposes it and
    does not run it; how is our choice: U and V are the orthonormal factors of free matrices (QR),
    S = bound * s / max|s|. They start at the SVD of the initial weight, which so keeps its
    spectrum's shape. Only a layer with one output, its single value fixed, is left with a
    direction alone. All layers, without biases.
    """

    label = "SV constraint"
    papers = ("miyato2018",)
    traits = frozenset({Trait.REPARAMETRIZES, Trait.TRAINS_OTHER_SHAPES})

    bound: Positive = 1.0

    @property
    def claims(self) -> tuple[Claim, ...]:
        return (Claim("sigma_kernel", self.bound, tolerance=1e-5),)

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        for layer in discriminator.layers():
            module = Factors(layer.weight.shape, self.bound)
            parametrize.register_parametrization(layer, "weight", module)
        return discriminator


class Factors(nn.Module):
    """Compute a weight of a given shape from its free factors."""

    def __init__(self, shape: torch.Size, bound: float) -> None:
        super().__init__()
        self.shape = shape
        self.bound = bound

    def forward(self, u: Tensor, s: Tensor, v: Tensor) -> Tensor:
        """Return U S V^T of factors (m, k), (k,) and (n, k)."""
        values = self.bound * F.normalize(s, p=torch.inf, dim=0)
        return ((orthonormal(u) * values) @ orthonormal(v).mT).view(self.shape)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the factors of a weight, that is of its multiple with the bound as sigma."""
        u, s, vh = torch.linalg.svd(matrix(weight), full_matrices=False)
        return u.contiguous(), s, vh.mT.contiguous()


def orthonormal(columns: Tensor) -> Tensor:
    """Return the Gram-Schmidt orthonormalization of columns (m, k), with k <= m."""
    q, r = torch.linalg.qr(columns)
    return q * torch.where(r.diagonal() < 0, -1.0, 1.0)
