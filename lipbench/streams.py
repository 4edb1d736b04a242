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
    """What a generator maps to samples: independent values of one law, `dim` of them a sample.

    Those of a conditional generator have one more column, which says of which class the sample
    shall be: so wherever latents go, their labels go.
    """

    dim: int
    law: Law = "normal"  # standard normal, or uniform in [-1, 1]
    classes: int = 0  # that labels are drawn from; 0: the generator is unconditional
    shares: tuple[float, ...] = ()  # of the classes, as the data has them; empty: equal ones

    @property
    def columns(self) -> int:
        """Return how many values there are a sample, its label included."""
        return self.dim + bool(self.classes)

    def draw(
        self,
        count: int,
        seed: int,
        stream: str,
        *index: int | str,
        labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return a (count, columns) float32 tensor on the CPU, a function of these arguments.

        The labels of a conditional generator are drawn with the classes' shares, from a stream of
        their own, or are those given, (count,).
        """
        values = self._drawn(torch.empty(count, self.dim), generator(seed, stream, *index))
        if not self.classes:
            return values
        if labels is None:
            source = generator(seed, f"labels of {stream}", *index)
            labels = torch.multinomial(self._shares(), count, replacement=True, generator=source)
        return torch.cat([values, labels.to("cpu", torch.float32)[:, None]], dim=1)

    def labels(self, drawn: torch.Tensor) -> torch.Tensor | None:
        """Return the labels (count,) in what `draw` returned, int64; None where there are none."""
        return drawn[:, self.dim].long() if self.classes else None

    def random(self, count: int, device: torch.device) -> torch.Tensor:
        """Return a (count, columns) float32 tensor, drawn from the device's global generator."""
        values = self._drawn(torch.empty(count, self.dim, device=device), None)
        if not self.classes:
            return values
        labels = torch.multinomial(self._shares().to(device), count, replacement=True)
        return torch.cat([values, labels[:, None].float()], dim=1)

    def _shares(self) -> torch.Tensor:
        return torch.tensor(self.shares or (1.0,) * self.classes)

    def _drawn(self, empty: torch.Tensor, source: torch.Generator | None) -> torch.Tensor:
        if self.law == "uniform":
            return empty.uniform_(-1, 1, generator=source)
        return empty.normal_(generator=source)
