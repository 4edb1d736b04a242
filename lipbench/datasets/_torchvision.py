"""What datasets share that torchvision downloads, checks and reads.

torchvision compares an archive with its MD5 sum before it unpacks it. Those sums are the identity
of such a dataset, so a suite can be planned before the data is there. Files that were unpacked by
hand are compared too, but for MNIST's, Fashion-MNIST's and CelebA's images.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lipbench.data import Arrays, DatasetInfo
from lipbench.dataset import Source
from lipbench.errors import UserError

DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class Downloaded(Source):
    """A dataset of torchvision's, downloaded to `path` (the cache where none is given)."""

    _identity: ClassVar[str] = ""  # its name, and the MD5 sums that torchvision checks
    _shape: ClassVar[tuple[int, int, int]] = (3, 32, 32)
    _counts: ClassVar[tuple[int, int]] = (0, 0)  # of the train and the test split
    _classes: ClassVar[tuple[str, ...]] = ()
    _files: ClassVar[str] = ""  # what to put into the folder by hand, and whence

    path: str | None = None

    def inspect(self, cache: Path) -> DatasetInfo:
        """Return the facts; raise UserError where `path` is given and no folder."""
        if self.path and not Path(self.path).is_dir():
            raise UserError(
                f"dataset.path {self.path} is no folder; make it, or leave it out to use the cache"
            )
        name = self._identity.partition(" ")[0]
        fingerprint = hashlib.sha256(self._identity.encode()).hexdigest()
        return DatasetInfo(name, fingerprint, self._shape, *self._counts, self._classes)

    def load(self, info: DatasetInfo, cache: Path) -> tuple[Arrays, tuple[str, ...]]:
        train_images, train_labels = self.read(cache, train=True)
        test_images, test_labels = self.read(cache, train=False)
        arrays = {
            "train_samples": train_images,
            "train_labels": train_labels,
            "test_samples": test_images,
            "test_labels": test_labels,
        }
        return arrays, ()

    def _root(self, cache: Path) -> Path:
        return Path(self.path) if self.path else cache / "data"

    def read(self, cache: Path, train: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return a split's images, uint8 (N, H, W, C), and labels, int64 (N,)."""
        raise NotImplementedError

    def opened(self, name: str, cache: Path, **options: object) -> Any:
        """Return a dataset of torchvision's by its name there, downloaded if it is not there.

        Raises UserError where it is neither there nor can be downloaded, or is damaged.
        """
        import torchvision.datasets

        root = self._root(cache)
        try:
            root.mkdir(parents=True, exist_ok=True)
            # Its progress bar would be drawn over ours.
            with open(os.devnull, "w") as null, contextlib.redirect_stderr(null):
                return getattr(torchvision.datasets, name)(str(root), download=True, **options)
        except MemoryError:
            raise
        except Exception as error:  # its readers raise nearly everything for damaged files
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UserError(
                f"{self.title} is not in {root}, or damaged, and could not be downloaded "
                f"({reason}). Put {self._files} there, or name another folder: "
                "--set dataset.path=FOLDER"
            ) from error


def framed(pixels: np.ndarray) -> np.ndarray:
    """Return gray images (N, 28, 28) in a frame of 2 zeros, as (N, 32, 32, 1).

    Architectures double a size up to 32: our choice.
    """
    return np.pad(pixels, ((0, 0), (2, 2), (2, 2)))[..., None]
