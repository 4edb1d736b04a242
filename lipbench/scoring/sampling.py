"""Draw images from a live generator without disturbing it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from lipbench.scoring.features import exact_float32

_BATCH_SIZE = 250


class NonFiniteImages(ArithmeticError):  # noqa: N818 - it names what happened
    """A generator made images that hold inf or nan, so it cannot be scored."""


def frozen(generator: nn.Module) -> nn.Module:
    """Return a float32 copy in eval mode: running batch-norm statistics, no power iteration."""
    return copy.deepcopy(generator).float().eval().requires_grad_(False)


def sample(
    generator: nn.Module, latents: Tensor, device: torch.device, batch_size: int = _BATCH_SIZE
) -> Tensor:
    """Return the images of a frozen generator for latents (N, dimension), uint8 (N, C, H, W).

    Raises NonFiniteImages if a value is inf or nan, which rounding would hide.
    """
    images = []
    with exact_float32(device):
        for batch in latents.split(batch_size):
            outputs = generator(batch.to(device))
            if not torch.isfinite(outputs).all():
                raise NonFiniteImages("the generator's images hold inf or nan")
            images.append(to_uint8(outputs))
    return torch.cat(images)


def to_uint8(images: Tensor) -> Tensor:
    """Return images in [-1, 1] as uint8, rounded to the nearest, values outside clamped."""
    return (images * 127.5 + 127.5).clamp(0, 255).round().to(torch.uint8)
