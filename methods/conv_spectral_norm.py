"""Spectral normalization of the convolution as it is (Gouk et al., Regularisation of Neural
Networks by Enforcing Lipschitz Continuity, Machine Learning 2021; Farnia et al., ICLR 2019)."""

from __future__ import annotations

from torch import nn

from lipbench.discriminators import Discriminator, input_shapes, original
from lipbench.method import Claim, Count, Method, Trait
from lipbench.operators import Convolution, ConvolutionNorm, MatrixNorm

from ._conv_norm import divide


class ConvSpectralNorm(Method):
    """Divide each weight by the norm of its layer as a linear map of images.

    Power iteration x <- A^T A x with the convolution A and its transpose, at the layer's stride,
    padding and input size, both papers' way to the norm. The vectors persist, `power_iterations`
    rounds at each update, as in Farnia et al.'s code
    (github.com/jessemzhang/dl_spectral_normalization). That code divides only where the norm
    exceeds a bound, and Gouk et al. project after each update; here it is always a division, as
    in SN, the last dense layer's included (our choice). The estimate is from below
    and lags behind the optimizer's steps: in the first updates at settings D and F we measured
    norms of up to 1.71. The claim is of weights at rest.
    """

    label = "Conv SN"
    papers = ("gouk2021", "farnia2019")
    traits = frozenset({Trait.REPARAMETRIZES})

    power_iterations: Count = 1

    @property
    def claims(self) -> tuple[Claim, ...]:
        return (Claim("sigma_operator", 1.0, tolerance=0.01),)

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        for layer, shape in input_shapes(discriminator).items():
            weight = original(layer).detach()
            if isinstance(layer, nn.Conv2d):
                convolution = Convolution.of(layer, shape)
                divide(layer, ConvolutionNorm(weight, convolution, self.power_iterations))
            else:
                divide(layer, MatrixNorm(weight, self.power_iterations))
        return discriminator
