"""Almost-orthogonal layers (Prach & Lampert, Almost-Orthogonal Layers for Efficient
General-Purpose Lipschitz Networks, ECCV 2022)."""

from __future__ import annotations

from lipbench.discriminators import Discriminator
from lipbench.method import Claim, Method, Trait

from ._lipschitz_aol import rescale


class AlmostOrthogonalLayers(Method):
    """Rescale each layer's inputs so that its norm is at most 1, whatever the weight.

    W = P D, D = diag((sum_j |P^T P|_ij)^(-1/2)). For a convolution, the convolution of the kernel
    with itself stands for P^T P, and D rescales input channels; the bound is exact for any input
    size, zero padding or stride, which only drop rows and columns. Nothing is iterated. Of a wide
    dense layer the outputs are rescaled, a transpose having the same norm: P^T P of the last one
    would be far larger than itself (our choice). Weights start at the common draw, rescaled.
    """

    label = "AOL"
    papers = ("prach2022",)
    traits = frozenset({Trait.REPARAMETRIZES})

    @property
    def claims(self) -> tuple[Claim, ...]:
        return (
            Claim("sigma_operator", 1.0, tolerance=1e-5),
            Claim("input_gradient", 1.0, tolerance=1e-4),
        )

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        rescale(discriminator)
        return discriminator
