"""Björck orthonormalization (Anil et al., Sorting Out Lipschitz Function Approximation, ICML 2019;
Björck & Bowie, SIAM Journal on Numerical Analysis 1971)."""

from __future__ import annotations

from torch import Tensor, nn

from lipbench.discriminators import Discriminator
from lipbench.method import Claim, Count, Method, Trait

from ._lipschitz_orthonormal import orthonormalize


class Bjorck(Method):
    """Iterate each weight towards the nearest orthonormal matrix, W <- 3/2 W - 1/2 W W^T W.

    `rounds` rounds from the weight divided by sqrt(|W|_1 |W|_inf), the largest column sum and row
    sum of magnitudes: never less than the spectral norm, so all singular values grow towards 1 and
    none exceeds it, at any number of rounds. Order 1 and 20 rounds are the defaults of the
    authors' code (github.com/cemanil/LNets), which divides by sqrt(m n), more than is needed (our
    choice). The rounds are back-propagated through. Kernels are reshaped to (outputs, rest) and
    then divided by the square root of the number of outputs that a pixel takes part in, which
    makes the bound one on the convolution (our choice).
    """

    label = "Björck"
    papers = ("anil2019", "bjorck1971")
    traits = frozenset({Trait.REPARAMETRIZES})

    rounds: Count = 20

    @property
    def claims(self) -> tuple[Claim, ...]:
        return (
            Claim("sigma_operator", 1.0, tolerance=1e-5),
            Claim("input_gradient", 1.0, tolerance=1e-4),
        )

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        orthonormalize(discriminator, Iteration(self.rounds))
        return discriminator


class Iteration(nn.Module):
    """Björck's iteration of order 1, with beta 1/2."""

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self.rounds = rounds

    def forward(self, weight: Tensor) -> Tensor:
        """Return the iterate from a weight (m, n), m >= n."""
        sizes = weight.abs()
        weight = weight / (sizes.sum(0).max() * sizes.sum(1).max()).sqrt()
        for _ in range(self.rounds):
            weight = 1.5 * weight - 0.5 * weight @ (weight.mT @ weight)
        return weight
