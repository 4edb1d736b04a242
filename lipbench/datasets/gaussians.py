"""Mixtures of Gaussians in the plane: modes on a ring, or on a square grid.

The ring of 8 with radius 2 and deviation 0.02 is that of Metz et al., Unrolled Generative
Adversarial Networks, ICLR 2017. Srivastava et al., VEEGAN, NIPS 2017, use a ring of 8 and a grid
of 25; the grid's spacing 2 and deviation 0.05 are those of code in circulation for both theirs and
Gulrajani et al.'s (which divides by 2.828 besides). Counts of points are our choice.
"""

from __future__ import annotations

import functools
import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le

from lipbench.data import Arrays, DatasetInfo
from lipbench.dataset import Source
from lipbench.errors import UserError

Number = Annotated[int, Ge(1), Le(10_000_000)]


@dataclass(frozen=True)
class Gaussians(Source):
    """Points of equally many round Gaussians, on a ring (8) or a square grid (25).

    `scale` is the ring's radius, or the grid's spacing; `std` each Gaussian's deviation, by
    default 0.02 on the ring and 0.05 on the grid. A label is the number of the point's mode. The
    points are in their own scale.
    """

    title = "points of a mixture of Gaussians in the plane"
    papers = ("metz2017", "srivastava2017")
    splits = (
        "Each mode has as many points as any other, or one more. The test points are drawn by "
        "the same law as the training points, after them."
    )

    arrangement: Literal["ring", "grid"] = "ring"
    modes: Annotated[int, Ge(1), Le(10_000)] | None = None
    scale: Annotated[float, Gt(0)] = 2.0
    std: Annotated[float, Gt(0)] | None = None
    train: Number = 20_000
    test: Number = 10_000
    seed: Annotated[int, Ge(0)] = 0

    def inspect(self, cache: Path) -> DatasetInfo:
        digest = hashlib.sha256()
        for name, array in sorted(self._arrays().items()):
            digest.update(f"{name} {array.shape}\n".encode() + array.tobytes())
        classes = tuple(map(str, range(len(self._centres()))))
        return DatasetInfo("gaussians", digest.hexdigest(), (2,), self.train, self.test, classes)

    def load(self, info: DatasetInfo, cache: Path) -> tuple[Arrays, tuple[str, ...]]:
        return self._arrays(), ()

    def _arrays(self) -> Arrays:
        centres = self._centres()
        if self.train < len(centres):
            raise UserError(f"{self.train} training points are too few for {len(centres)} modes")
        std = self.std or (0.02 if self.arrangement == "ring" else 0.05)
        return _drawn(centres, std, (self.train, self.test), self.seed)

    def _centres(self) -> tuple[tuple[float, float], ...]:
        """Return the modes: of a ring from the right, counterclockwise; of a grid by rows."""
        modes = self.modes or (8 if self.arrangement == "ring" else 25)
        if self.arrangement == "ring":
            angles = [2 * math.pi * mode / modes for mode in range(modes)]
            return tuple((self.scale * math.cos(a), self.scale * math.sin(a)) for a in angles)
        side = math.isqrt(modes)
        if side**2 != modes:
            raise UserError(f"a grid of {modes} modes is no square, as 25 is")
        places = [self.scale * (place - (side - 1) / 2) for place in range(side)]
        return tuple((x, y) for y in places for x in places)


@functools.lru_cache(maxsize=4)
def _drawn(
    centres: tuple[tuple[float, float], ...], std: float, counts: tuple[int, int], seed: int
) -> Arrays:
    """Return the points of both splits, from one generator, training points first."""
    draw = np.random.default_rng(seed)
    arrays: Arrays = {}
    for split, count in zip(("train", "test"), counts, strict=True):
        labels = draw.permutation(np.arange(count, dtype=np.int64) % len(centres))
        points = np.asarray(centres)[labels] + std * draw.standard_normal((count, 2))
        arrays |= {f"{split}_samples": points.astype(np.float32), f"{split}_labels": labels}
    return arrays
