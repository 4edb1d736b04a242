"""Spectral normalization (Miyato et al., Spectral Normalization for GANs, ICLR 2018)."""

from __future__ import annotations

import torch
from torch.nn.utils import parametrizations

from lipbench.discriminators import Discriminator, matrix, original
from lipbench.method import Claim, Count, Method, Recipe, Trait

from ._scale import scale


class SpectralNorm(Method):
    """Divide each weight by its largest singular value, W / sigma(W) (Eq. 8).

    A convolution's kernel is reshaped to (outputs, inputs * height * width), so the bound is one
    on that matrix and not on the convolution. sigma comes from power iteration with a vector that
    persists (Eq. 18-22), `power_iterations` rounds at each update, once for real and generated
    images together; it is back-propagated through with the vectors constant (Eq. 11). The final
    dense layer is normalized too, biases are not, as in the authors' code. The recipe is that
    code's for the standard CNN (setting C).

    One round lags behind a weight that moves, so sigma is too small: in the first updates at
    setting F we measured weights with a norm of up to 1.44. The claim is of weights at rest.

    With `gamma`, each layer has a learned multiplier (Eq. 32, Appendix E), which starts at the
    exact sigma of the initial weight, as in their code (github.com/pfnet-research/
    sngan_projection). It bounds nothing: they combine it with a gradient penalty.
    """

    label = "SN"
    papers = ("miyato2018",)
    recipe = Recipe(lr=2e-4, beta1=0.5, beta2=0.999, n_dis=1)
    traits = frozenset({Trait.REPARAMETRIZES, Trait.DIVIDES_BY_SIGMA})

    power_iterations: Count = 1
    gamma: bool = False

    @property
    def claims(self) -> tuple[Claim, ...]:
        return () if self.gamma else (Claim("sigma_kernel", 1.0, tolerance=0.01),)

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        for layer in discriminator.layers():
            parametrizations.spectral_norm(layer, n_power_iterations=self.power_iterations)
            if self.gamma:
                scale(layer, torch.linalg.matrix_norm(matrix(original(layer)), 2))
        return discriminator
