"""Instance normalization (Ulyanov et al., arXiv 1607.08022, 2016) in the discriminator."""

from __future__ import annotations

from torch import nn

from lipbench.method import Requires

from ._affine import Normalization


class InstanceNorm(Normalization):
    """Normalize each hidden channel of each image by its mean and deviation over (H, W).

    (x - mean) / sqrt(variance + 1e-5), the biased variance, after each convolution but the
    first, with a learned shift and without the multiplier gamma, as the other normalizations here
    (our choice).
    """

    label = "IN"
    papers = ("ulyanov2016",)
    requires = Requires(convolutions=True)

    def normalization(self, channels: int) -> nn.Module:
        return nn.InstanceNorm2d(channels)
