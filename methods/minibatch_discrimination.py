"""Minibatch discrimination (Salimans et al., Improved Techniques for Training GANs, NIPS 2016)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from lipbench.discriminators import Discriminator, find, replace
from lipbench.method import Count, Method, Trait

from ._beside import deviation


class WithCloseness(nn.Module):
    """A dense head that sees, beside its features, how close the batch's others come to them."""

    def __init__(self, head: nn.Linear, kernels: int, dimensions: int) -> None:
        super().__init__()
        self.head = head
        self.tensor = nn.Parameter(0.05 * torch.randn(head.in_features, kernels, dimensions))
        self.closeness = nn.Linear(kernels, head.out_features, bias=False)
        with torch.no_grad():
            self.closeness.weight.normal_().mul_(deviation(head))

    def distances(self, features: Tensor) -> Tensor:
        """Return |M_i - M_j|_1 in each kernel, (B, B, kernels), of features (B, F)."""
        points = (features @ self.tensor.flatten(1)).unflatten(1, self.tensor.shape[1:])
        points = points.to(torch.promote_types(points.dtype, torch.float32))
        return (points[:, None] - points[None]).abs().sum(-1)

    def forward(self, features: Tensor) -> Tensor:
        """Return the outputs (B, out_features)."""
        itself = 1.0  # exp(-|M_i - M_i|)
        close = self.distances(features).neg().exp().sum(1) - itself
        return self.head(features) + self.closeness(close)


class MinibatchDiscrimination(Method):
    """Show the discriminator's last layer how close each image is to the others of its batch.

    Features f are mapped to M = f T, (kernels, dimensions), and
    o_b(x_i) = sum over j other than i of exp(-|M_ib - M_jb|_1) joins f as an input of the dense
    layer. T ~ N(0, 0.05^2), then divided a kernel by half the mean distance of a first batch's
    real images to their nearest others; 100 kernels of 5 dimensions, an image itself left out:
    all as in the authors' code for CIFAR-10 (github.com/openai/improved-gan). Left out are its
    bias of o, set by a first batch, and its normalization of T's columns (our choice). The dense
    layer's weights for o are drawn with the deviation of its others (our choice); they are a
    layer of D.
    """

    label = "MB discr."
    papers = ("salimans2016improved",)
    traits = frozenset({Trait.BATCH_STATISTICS})

    kernels: Count = 100
    dimensions: Count = 5

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        parts = discriminator.head.modules()  # a head of labels has another after the dense one
        head = next(layer for layer in parts if isinstance(layer, nn.Linear))
        with_closeness = WithCloseness(head, self.kernels, self.dimensions)
        replace(discriminator, head, with_closeness.to(head.weight.device))
        return discriminator

    def prepare(self, discriminator: Discriminator, real: Tensor) -> None:
        head = find(discriminator, WithCloseness)
        distances = head.distances(copy.deepcopy(discriminator).features(real))
        distances.diagonal().fill_(torch.inf)
        nearest = distances.min(dim=1).values.mean(dim=0)
        usable = nearest.isfinite() & (nearest > 0)  # not one image, or one that is repeated
        head.tensor.div_(torch.where(usable, 0.5 * nearest, 1.0)[:, None])
