"""What tests of several methods share: activations."""

from __future__ import annotations

import copy

import torch
from torch import nn

from lipbench.architectures.standard_cnn import StandardDiscriminator

NORMS = ["batch_norm", "layer_norm", "instance_norm", "group_norm", "virtual_batch_norm"]


SHAPES = [(4, 8, 16, 16), (3, 16, 2, 2), (2, 24, 5, 3)]


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def normalized(x: torch.Tensor, dims: tuple[int, ...]) -> torch.Tensor:
    """The textbook's formula, in float64."""
    x = x.double()
    variance = x.var(dims, correction=0, keepdim=True)
    return ((x - x.mean(dims, keepdim=True)) / (variance + 1e-5).sqrt()).float()


def referenced(make, channels: int, count: int, **fields: bool) -> nn.Sequential:
    """A virtual normalization that takes the first rows of its input as its reference batch."""
    layer = make("virtual_batch_norm", **fields).norm(channels)
    layer[0].count = count
    return layer


def virtual(make, prepared: bool = True) -> StandardDiscriminator:
    """A small D with virtual batch normalization, and perhaps a reference batch of 5 images."""
    torch.manual_seed(0)
    method = make("virtual_batch_norm")
    discriminator = method.wrap(StandardDiscriminator((3, 16, 16), 0.125, norm=method.norm))
    if prepared:
        with torch.no_grad():
            method.prepare(discriminator, noise(5, 3, 16, 16, seed=2))
    return discriminator


def with_stddev(make, channels: int = 2, **fields: int) -> tuple[nn.Module, nn.Conv2d]:
    """D's last convolution with the deviation, and that convolution alone."""
    torch.manual_seed(0)
    discriminator = StandardDiscriminator((3, 16, 16), 0.125)
    plain = copy.deepcopy(discriminator.body.conv6)
    make("minibatch_stddev", **fields).wrap(discriminator)
    return discriminator.body.conv6, plain


def with_closeness(make, points: torch.Tensor) -> nn.Module:
    """A head whose features are its points: T = 1, one kernel of one dimension."""
    discriminator = StandardDiscriminator((1, 16, 16), 0.125)
    discriminator.head = nn.Linear(1, 1)
    make("minibatch_discrimination", kernels=1, dimensions=1).wrap(discriminator)
    head = discriminator.head
    with torch.no_grad():
        head.tensor.fill_(1.0)
        head.closeness.weight.fill_(1.0)
    return head(points) - head.head(points)
