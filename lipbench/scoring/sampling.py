"""Draw samples from a live generator without disturbing it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from lipbench.scoring.features import exact_float32

_BATCH_SIZE = 250


class NonFiniteImages(ArithmeticError):  # noqa: N818 - it names what happened
    """A generator made images, or points, that hold inf or nan, so it cannot be scored."""


def frozen(generator: nn.Module) -> nn.Module:
    """Return a float32 copy in eval mode: running batch-norm statistics, no power iteration."""
    return copy.deepcopy(generator).float().eval().requires_grad_(False)


def sample(
    generator: nn.Module, latents: Tensor, device: torch.device, batch_size: int = _BATCH_SIZE
) -> Tensor:
    """Return the samples of a frozen generator for latents (N, dimension).

    Images are uint8 (N, C, H, W), points float32 (N, D) as they are. Raises NonFiniteImages
    if a value is inf or nan, which rounding would hide.
    """
    samples = []
    with exact_float32(device):
        for batch in latents.split(batch_size):
            outputs = generator(batch.to(device))
            if not torch.isfinite(outputs).all():
                what = "images" if outputs.dim() == 4 else "points"
                raise NonFiniteImages(f"the generator's {what} hold inf or nan")
            samples.append(to_uint8(outputs) if outputs.dim() == 4 else outputs)
    return torch.cat(samples)


def to_uint8(images: Tensor) -> Tensor:
    """Return images in [-1, 1] as uint8, rounded to the nearest, values outside clamped."""
    return (images * 127.5 + 127.5).clamp(0, 255).round().to(torch.uint8)
