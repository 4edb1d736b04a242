"""Minibatch standard deviation (Karras et al., Progressive Growing of GANs, ICLR 2018)."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn

from lipbench.discriminators import Discriminator, convolutions, replace
from lipbench.method import Method, Requires, Trait

from ._beside import deviation


class WithStddev(nn.Module):
    """A convolution of an input and of one channel more, the spread within groups of images."""

    def __init__(self, conv: nn.Conv2d, group: int) -> None:
        super().__init__()
        self.conv = conv
        geometry = (conv.kernel_size, conv.stride, conv.padding)
        self.spread = nn.Conv2d(1, conv.out_channels, *geometry, bias=False)  # type: ignore[arg-type]
        with torch.no_grad():
            self.spread.weight.normal_().mul_(deviation(conv))
        self.group = group

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs (B, C, H, W) for inputs (B, C', H', W')."""
        spread = group_stddev(inputs, self.group).to(inputs.dtype)
        return self.conv(inputs) + self.spread(spread.expand(-1, 1, *inputs.shape[2:]))


class MinibatchStddev(Method):
    """Show the discriminator how much the images of its batch differ from each other.

    Images are taken in groups of `group`; a group's deviation of each activation, averaged over
    channels and pixels, becomes one constant channel more for the last convolution of D, whose
    weights for it are drawn with the deviation of its others (our choice). Groups of 4, strided
    through the batch, sqrt(biased variance + 1e-8), as in the authors' code
    (github.com/tkarras/progressive_growing_of_gans); for a batch that they do not divide, the
    largest smaller group that does (our choice). The weights for the channel are a layer of D.
    """

    label = "MB stddev"
    papers = ("karras2018",)
    requires = Requires(convolutions=True)
    traits = frozenset({Trait.BATCH_STATISTICS})

    group: Annotated[int, Ge(2)] = 4

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        last = convolutions(discriminator)[-1]
        with_stddev = WithStddev(last, self.group).to(last.weight.device)
        replace(discriminator, last, with_stddev)
        return discriminator


def group_stddev(activations: Tensor, group: int) -> Tensor:
    """Return each image's (B, 1, 1, 1) mean deviation of activations (B, C, H, W) in its group.

    The groups are of the largest size up to `group` that divides the batch; image i is in the one
    of all i + k * B / size.
    """
    batch = len(activations)
    size = next(size for size in range(min(group, batch), 0, -1) if batch % size == 0)
    x = activations.to(torch.promote_types(activations.dtype, torch.float32))
    variances = x.unflatten(0, (size, batch // size)).var(dim=0, correction=0)
    return (variances + 1e-8).sqrt().mean((1, 2, 3)).repeat(size).view(-1, 1, 1, 1)
