"""Frobenius normalization (Miyato et al., Spectral Normalization for GANs, ICLR 2018)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipbench.discriminators import Discriminator, original
from lipbench.method import Claim, Method, Trait
from lipbench.operators import normalized

from ._scale import scale


class FrobeniusNorm(Method):
    """Divide each weight by its Frobenius norm, W / |W|_F (Eq. 26; its gradient is Eq. 36).

    The squared singular values of a layer sum to 1, so the largest is at most 1, and usually far
    below. The paper compares it in Table 7 as a reparametrization of WGAN-GP with a learned
    `gamma` for each layer (Eq. 32), where training collapsed at an early stage; gamma starts at
    |W|_F of the initial weight, so that D starts with it. All layers, without biases (our choice).
    """

    label = "Frobenius"
    papers = ("miyato2018",)
    traits = frozenset({Trait.REPARAMETRIZES})

    gamma: bool = False

    @property
    def claims(self) -> tuple[Claim, ...]:
        if self.gamma:
            return ()
        return (
            Claim("frobenius_norm", 1.0, tolerance=1e-5),
            Claim("sigma_kernel", 1.0, tolerance=1e-5),
        )

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        for layer in discriminator.layers():
            parametrize.register_parametrization(layer, "weight", UnitNorm())
            if self.gamma:
                scale(layer, original(layer).norm())
        return discriminator


class UnitNorm(nn.Module):
    """Scale a weight to Frobenius norm 1."""

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight, divided by its norm."""
        return normalized(weight)
