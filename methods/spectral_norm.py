"""Spectral normalization (Miyato et al., Spectral Normalization for GANs, ICLR 2018)."""

from __future__ import annotations

from torch.nn.utils import parametrizations

from lipbench.discriminators import Discriminator
from lipbench.method import Claim, Count, Method, Recipe, Trait


class SpectralNorm(Method):
    """Divide each weight by its largest singular value, W / sigma(W) (Eq. 8).

    A convolution's kernel is reshaped to (outputs, inputs * height * width), so the bound is one
    on that matrix and not on the convolution. sigma comes from power iteration with a vector that
    persists (Eq. 18-22), `power_iterations` rounds at each update, once for real and generated
    images together; it is back-propagated through with the vectors constant (Eq. 11). The final
    dense layer is normalized too, biases are not, as in the authors' code. The recipe is that
    code's for the standard CNN (setting C).
    """

    label = "SN"
    papers = ("miyato2018",)
    recipe = Recipe(lr=2e-4, beta1=0.5, beta2=0.999, n_dis=1)
    traits = frozenset({Trait.REPARAMETRIZES})

    power_iterations: Count = 1

    @property
    def claims(self) -> tuple[Claim, ...]:
        return (Claim("sigma_kernel", 1.0, tolerance=0.1),)

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        for layer in discriminator.layers():
            parametrizations.spectral_norm(layer, n_power_iterations=self.power_iterations)
        return discriminator
