"""Instance noise (Sønderby et al., ICLR 2017; Arjovsky & Bottou, ICLR 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lipbench.discriminators import Discriminator, find, replace
from lipbench.method import Batch, Method, Positive, Trait


class Noisy(nn.Module):
    """Add Gaussian noise to what a module gets, in training mode."""

    std: Tensor

    def __init__(self, body: nn.Module, std: Tensor) -> None:
        super().__init__()
        self.body = body
        self.register_buffer("std", std)

    def forward(self, images: Tensor) -> Tensor:
        """Return the module's outputs."""
        if self.training:
            images = images + self.std * torch.randn_like(images)
        return self.body(images)


class InstanceNoise(Method):
    """Add Gaussian noise to all images that the discriminator sees in training.

    D(x + e) with e ~ N(0, std^2), drawn anew for each image and each pass, real and generated, in
    the updates of D and of G, and at the points of any gradient penalty. `annealed` lets the
    deviation fall linearly to 0 over the run; it is set at each update of D for what follows, so
    the next update of D begins with the deviation of the one before. The deviation, of images in
    [-1, 1], and the schedule are our choice.
    """

    label = "Instance noise"
    papers = ("sonderby2017", "arjovsky2017principled")
    traits = frozenset({Trait.BOUNDS_NOTHING})

    std: Positive = 0.1
    annealed: bool = True

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        std = next(discriminator.parameters()).new_tensor(self.std)
        body = discriminator.body
        replace(discriminator, body, Noisy(body, std))
        return discriminator

    def penalty(self, discriminator: Discriminator, batch: Batch) -> Tensor:
        if self.annealed:
            find(discriminator, Noisy).std.fill_(self.std * (1 - batch.progress))
        return super().penalty(discriminator, batch)
