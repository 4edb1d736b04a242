"""Randomness by name: every random value is a function of (seed, stream, index).

Nothing depends on what was drawn before, so two methods at one seed see the same initial
weights, batches and latents, a resumed run needs no generator state, and scoring or drawing
samples cannot disturb training. The method is in none of the names.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

Law = Literal["normal", "uniform"]


def derive(seed: int, stream: str, *index: int | str) -> int:
    """Return the 63-bit seed of one draw from a stream, e.g. `derive(0, "latents", 17, 2)`."""
    key = "/".join(map(str, (seed, stream, *index)))
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little") >> 1


def generator(seed: int, stream: str, *index: int | str) -> torch.Generator:
    """Return a CPU generator for one draw. Draws are made on the CPU, so devices agree."""
    return torch.Generator().manual_seed(derive(seed, stream, *index))


def seed_torch(seed: int, device: torch.device) -> None:
    """Seed what plain `torch.rand` draws from: the CPU's global generator, and the device's.

    `torch.manual_seed` seeds every kind of accelerator, there or not, and takes as long as a
    fifth of a small network's update.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        torch.cuda.default_generators[index].manual_seed(seed)


def seed_globals(seed: int) -> None:
    """Seed the generators that all code of the process shares: a run begins with the same ones."""
    derived = derive(seed, "globals")
    torch.manual_seed(derived)
    random.seed(derived)
    np.random.seed(derived % 2**32)


@dataclass(frozen=True)
class Latents:
    """What a generator maps to samples: independent values of one law, `dim` of them a sample."""

    dim: int
    law: Law = "normal"  # standard normal, or uniform in [-1, 1]

    def draw(self, count: int, seed: int, stream: str, *index: int | str) -> torch.Tensor:
        """Return a (count, dim) float32 tensor on the CPU, a function of these arguments."""
        return self._drawn(torch.empty(count, self.dim), generator(seed, stream, *index))

    def random(self, count: int, device: torch.device) -> torch.Tensor:
        """Return a (count, dim) float32 tensor, drawn from the device's global generator."""
        return self._drawn(torch.empty(count, self.dim, device=device), None)

    def _drawn(self, empty: torch.Tensor, source: torch.Generator | None) -> torch.Tensor:
        if self.law == "uniform":
            return empty.uniform_(-1, 1, generator=source)
        return empty.normal_(generator=source)
