"""Bidirectional scaled spectral normalization (Lin et al., Why Spectral Normalization Stabilizes
GANs: Analysis and Improvements, NeurIPS 2021)."""

from __future__ import annotations

from torch import Tensor, nn

from lipbench.discriminators import Discriminator
from lipbench.method import Method, Positive, Trait
from lipbench.operators import MatrixNorm

from ._conv_norm import divide


class BothWays(nn.Module):
    """The mean of a kernel's largest singular values, reshaped by outputs and by inputs."""

    def __init__(self, kernel: Tensor) -> None:
        super().__init__()
        self.by_outputs = MatrixNorm(kernel.flatten(1))
        self.by_inputs = MatrixNorm(kernel.transpose(0, 1).flatten(1))

    def forward(self, kernel: Tensor) -> Tensor:
        """Return the mean."""
        by_inputs = self.by_inputs(kernel.transpose(0, 1).flatten(1))
        return (self.by_outputs(kernel.flatten(1)) + by_inputs) / 2


class BidirectionalSpectralNorm(Method):
    """Divide each kernel by the mean of two singular values, one a direction of its pass.

    W = scale * K / ((sigma(K as o x i h w) + sigma(K as i x o h w)) / 2): one keeps the signal
    forward from exploding or vanishing, one the gradient backward. Dense layers have scale times
    plain SN, as in the authors' code (github.com/fjxmlzn/BSN), which does one power iteration at
    each update and searches scales from 0.7 to 1.6. It bounds variances, not a Lipschitz constant.
    """

    label = "BSSN"
    papers = ("lin2021",)
    traits = frozenset({Trait.REPARAMETRIZES})

    scale: Positive = 1.0

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        for layer in discriminator.layers():
            kind = BothWays if isinstance(layer, nn.Conv2d) else MatrixNorm
            divide(layer, kind(layer.weight.detach()), self.scale)
        return discriminator
