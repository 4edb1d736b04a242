"""Gradients of a network by its images or points, one by one, in batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from lipbench.discriminators import gradient
from lipbench.errors import UserError

BATCH = 64


class NonFiniteDiscriminator(UserError):  # noqa: N818 - it names what happened
    """A discriminator whose weights, logits or gradients are not finite: it has diverged."""


def require_finite(values: Tensor, what: str) -> None:
    """Raise NonFiniteDiscriminator for a discriminator's own numbers that are not finite."""
    if not values.isfinite().all():
        raise NonFiniteDiscriminator(f"the discriminator's {what} are not finite")


@dataclass(frozen=True)
class Slopes:
    """A network's logits (N,) at images (N, C, H, W), and its gradients' norms (N,) there."""

    images: Tensor
    logits: Tensor
    norms: Tensor

    @classmethod
    def at(cls, network: nn.Module, images: Tensor) -> Self:
        """Return the slopes of a network at images."""
        parts = [slopes(network, batch) for batch in images.split(BATCH)]
        logits, norms = (torch.cat(values) for values in zip(*parts, strict=True))
        return cls(images, logits, norms)

    def steepest(self, count: int) -> Tensor:
        """Return so many of the images, with the largest gradients."""
        return self.images[self.norms.topk(min(count, len(self.norms))).indices]


def slopes(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits (B,) and the gradients' norms (B,) at images (B, C, H, W)."""
    logits, gradients = gradient(network, images)
    return logits.detach().flatten(), gradients.detach().flatten(1).norm(dim=1)


@torch.no_grad()
def logits(network: nn.Module, images: Tensor) -> Tensor:
    """Return the logits (N,) of images (N, C, H, W)."""
    return torch.cat([network(batch).flatten() for batch in images.split(BATCH)])


def between(real: Tensor, fake: Tensor, seed: int) -> Tensor:
    """Return a sample between each real one and a generated one, uniform on the line."""
    count = min(len(real), len(fake))
    draw = torch.Generator().manual_seed(seed)
    mix = torch.rand(count, *[1] * (real.dim() - 1), generator=draw).to(real)
    return real[:count].lerp(fake[:count], mix)
