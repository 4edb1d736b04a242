"""Randomness by name: every random value is a function of (seed, stream, index).

Nothing depends on what was drawn before, so two methods at one seed see the same initial
weights, batches and latents, a resumed run needs no generator state, and scoring or drawing
samples cannot disturb training. The method is in none of the names.
"""

from __future__ import annotations

import hashlib
import random

import numpy as np
import torch


def derive(seed: int, stream: str, *index: int | str) -> int:
    """Return the 63-bit seed of one draw from a stream, e.g. `derive(0, "latents", 17, 2)`."""
    key = "/".join(map(str, (seed, stream, *index)))
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little") >> 1


def generator(seed: int, stream: str, *index: int | str) -> torch.Generator:
    """Return a CPU generator for one draw. Draws are made on the CPU, so devices agree."""
    return torch.Generator().manual_seed(derive(seed, stream, *index))


def seed_globals(seed: int) -> None:
    """Seed the generators that all code of the process shares: a run begins with the same ones."""
    derived = derive(seed, "globals")
    torch.manual_seed(derived)
    random.seed(derived)
    np.random.seed(derived % 2**32)


def latents(count: int, dimension: int, seed: int, stream: str, *index: int | str) -> torch.Tensor:
    """Return `count` standard normal latents, a (count, dimension) float32 tensor on the CPU."""
    return torch.randn(count, dimension, generator=generator(seed, stream, *index))
