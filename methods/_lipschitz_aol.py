"""The rescaling of almost-orthogonal layers (Prach & Lampert, ECCV 2022), and its sums."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from lipbench.discriminators import Discriminator

EPSILON = 1e-6  # of the code that github.com/berndprach/1LipschitzLayersCompared has


class AlmostOrthogonal(nn.Module):
    """Rescale a weight's inputs so that the layer's norm is at most 1."""

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight (o, i) or kernel (o, i, h, w), rescaled."""
        if weight.dim() == 4:
            sums = products(weight.transpose(0, 1)).abs().sum((1, 2, 3))
            return weight * (sums + EPSILON).rsqrt()[:, None, None]
        if weight.shape[0] < weight.shape[1]:
            return self(weight.mT).mT
        return weight * ((weight.mT @ weight).abs().sum(1) + EPSILON).rsqrt()


def products(kernel: Tensor) -> Tensor:
    """Return the inner products of a kernel's filters, (n, n, 2h - 1, 2w - 1), at all offsets.

    Of a kernel (n, m, h, w): the convolution of the kernel with itself, summed over m.
    """
    height, width = kernel.shape[2:]
    return F.conv2d(kernel, kernel, padding=(height - 1, width - 1))


def rescale(discriminator: Discriminator) -> None:
    """Make all of a discriminator's layers almost orthogonal."""
    for layer in discriminator.layers():
        parametrize.register_parametrization(layer, "weight", AlmostOrthogonal())
