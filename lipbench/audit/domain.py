"""Where a network's constant is looked for: all images, or the box that holds some points."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Domain:
    """The samples between two, value by value: of images all those in [-1, 1] (our choice).

    `low` and `high` are numbers for images, (D,) for points.
    """

    low: Tensor
    high: Tensor

    @classmethod
    def of(cls, sets: Iterable[Tensor]) -> Self:
        """Return the domain of images (N, C, H, W), or the least box around points (N, D)."""
        samples = torch.cat(list(sets))
        if samples.dim() == 4:
            return cls(samples.new_tensor(-1.0), samples.new_tensor(1.0))
        return cls(samples.amin(0), samples.amax(0))

    @property
    def half(self) -> float:
        """Return half its widest side: 1 of images."""
        return (self.high - self.low).max().item() / 2

    @property
    def is_a_plane(self) -> bool:
        """Return whether its samples are points of two values, or one."""
        return self.low.dim() == 1 and len(self.low) <= 2

    def clamped(self, samples: Tensor) -> Tensor:
        """Return the samples of the domain that are nearest to some."""
        return samples.clamp(self.low.to(samples), self.high.to(samples))

    def grid(self, side: int) -> Tensor:
        """Return the points of a regular grid, (side^D, D), its ends those of the domain."""
        unit = torch.linspace(0, 1, side, dtype=self.low.dtype, device=self.low.device)
        places = torch.cartesian_prod(*[unit] * len(self.low)).view(-1, len(self.low))
        return self.low + (self.high - self.low) * places
