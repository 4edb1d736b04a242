"""What a picture of a run in the plane is drawn from: D's surface, real and generated points."""

from __future__ import annotations

import io
import zipfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np

FILE = "plane.npz"


@dataclass(frozen=True)
class Plane:
    """D over a square of the plane at the end of training, with real and generated points.

    Arrays of float32. `x` and `y` (N,) are the values of the grid of `logits` (N, N), a row for
    each y; `arrows_x` and `arrows_y` (M,) those of the coarser grid of `gradients` (M, M, 2), of
    the logit by the point. `generated` (K, 2) are of the latents that the run's pictures have;
    `real` (L, 2) are training points, sorted by label and evenly spaced in that order.
    """

    x: np.ndarray
    y: np.ndarray
    logits: np.ndarray
    arrows_x: np.ndarray
    arrows_y: np.ndarray
    gradients: np.ndarray
    generated: np.ndarray
    real: np.ndarray

    @property
    def is_finite(self) -> bool:
        """Return whether every value is finite."""
        return all(bool(np.isfinite(array).all()) for array in asdict(self).values())

    def write(self, file: BinaryIO) -> None:
        """Write it as an npz file: the same values, the same bytes."""
        np.savez(file, **asdict(self))

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return what a file holds, or None if it is gone or not whole."""
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
                found = cls(**{field.name: stored[field.name] for field in fields(cls)})
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        return found if found._fits and found.is_finite else None

    @property
    def _fits(self) -> bool:
        """Return whether the arrays have numbers, and the shapes of each other."""
        values = list(asdict(self).values())
        return (
            all(array.dtype == np.float32 for array in values)
            and self.logits.shape == (*self.y.shape, *self.x.shape)
            and self.gradients.shape == (*self.arrows_y.shape, *self.arrows_x.shape, 2)
            and all(points.shape == (len(points), 2) for points in (self.generated, self.real))
        )
