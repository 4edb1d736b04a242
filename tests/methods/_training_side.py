"""What tests of several methods share: training side."""

from __future__ import annotations

import torch
from torch import nn

from lipbench.architectures.standard_cnn import StandardDiscriminator
from lipbench.method import Batch
from lipbench.networks import Generator
from lipbench.streams import Latents


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def logits(real: list[float], fake: list[float], step: int = 0) -> Batch:
    """A batch of which only the logits matter."""
    real_logits = torch.tensor(real, requires_grad=True)
    fake_logits = torch.tensor(fake, requires_grad=True)
    images = torch.zeros(len(real), 1, 1, 1)
    return Batch(images, images, real_logits, fake_logits, step)


class Shifts(Generator):
    """G(z) = z + one number: its parameter is known."""

    def __init__(self) -> None:
        super().__init__(Latents(2))
        self.shift = nn.Parameter(torch.zeros(1))

    def compute(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs + self.shift


class Corner(StandardDiscriminator):
    """D(x) = the first pixel of the first row: it sees any augmentation."""

    def __init__(self, size: int) -> None:
        super().__init__((1, 16, 16), 0.125)
        self.scale = nn.Parameter(torch.ones(()))
        self.seen: list[torch.Tensor] = []

    def compute(self, inputs: torch.Tensor) -> torch.Tensor:
        self.seen.append(inputs)
        return self.scale * inputs[:, 0, 0, 0]


def augmentations(make, images: torch.Tensor, **fields: float) -> torch.Tensor:
    discriminator = Corner(16)
    torch.manual_seed(0)
    given = Batch(images, images, torch.zeros(len(images)), torch.zeros(len(images)))
    make("consistency_regularization", **fields).penalty(discriminator, given)
    (seen,) = discriminator.seen
    return seen
