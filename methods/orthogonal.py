"""Orthogonal weights by the Cayley transform (Trockman & Kolter, ICLR 2021) or by Householder
reflections."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from lipbench.discriminators import Discriminator
from lipbench.method import Claim, Method, Trait

from ._lipschitz_orthonormal import cayley, orthonormalize


class Cayley(nn.Module):
    """The Cayley transform."""

    def forward(self, weight: Tensor) -> Tensor:
        """Return orthonormal columns, from a weight (m, n), m >= n."""
        return cayley(weight)


class Householder(nn.Module):
    """A product of reflections, one for each column of a weight."""

    def forward(self, weight: Tensor) -> Tensor:
        """Return orthonormal columns, from a weight (m, n), m >= n.

        As torch.nn.utils.parametrizations.orthogonal does: reflection j leaves the first j - 1
        coordinates alone and has a 1 as the next.
        """
        below = weight.tril(diagonal=-1)
        return torch.linalg.householder_product(below, 2 / (1 + below.square().sum(0)))


_MAPS: dict[str, type[nn.Module]] = {"cayley": Cayley, "householder": Householder}


class Orthogonal(Method):
    """Compute each weight as an orthonormal matrix, divided so that the layer's norm is at most 1.

    Kernels are reshaped to (outputs, rest), as in SN, whose paper names the parametrization
    without trying it (Miyato et al. 2018, Eq. 28); all their singular values are then 1. Divided
    by the square root of the number of outputs that a pixel takes part in, 3 for 3x3 at stride 1
    and 2 for 4x4 at stride 2, the convolution's norm is at most 1 too (our choice). The map is the
    Cayley transform of the smaller side, or a product of Householder reflections, slower; the
    matrix exponential is left out, since it needs square matrices of the larger side. Training
    starts at the map's value at the common draw.
    """

    label = "Orthogonal"
    papers = ("trockman2021", "miyato2018")
    traits = frozenset({Trait.REPARAMETRIZES})

    map: Literal["cayley", "householder"] = "cayley"

    @property
    def claims(self) -> tuple[Claim, ...]:
        return (
            Claim("sigma_operator", 1.0, tolerance=1e-4),
            Claim("input_gradient", 1.0, tolerance=1e-3),
        )

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        orthonormalize(discriminator, _MAPS[self.map]())
        return discriminator
