"""CIFAR-10 (Krizhevsky, 2009) as torchvision reads it, downloaded once.

The fingerprint is that of the one archive torchvision accepts, so a suite can be planned
before the data is there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from lipbench.data import Arrays, DatasetInfo
from lipbench.dataset import Source
from lipbench.errors import UserError

_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
_ARCHIVE_MD5 = "c58f30108f718f92721af3b95e74349a"  # torchvision.datasets.CIFAR10.tgz_md5
_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"


@dataclass(frozen=True)
class Cifar10(Source):
    """CIFAR-10, downloaded to `path` (the cache where none is given) if it is not there."""

    title = "CIFAR-10"
    papers = ("krizhevsky2009",)
    splits = "The splits are the data set's own."

    path: str | None = None
    image_size: Literal[32] | None = None

    def inspect(self, cache: Path) -> DatasetInfo:
        fingerprint = hashlib.sha256(f"cifar10 {_ARCHIVE_MD5}".encode()).hexdigest()
        return DatasetInfo("cifar10", fingerprint, (3, 32, 32), 50_000, 10_000, _CLASSES)

    def load(self, info: DatasetInfo, cache: Path) -> tuple[Arrays, tuple[str, ...]]:
        root = Path(self.path) if self.path else cache / "data"
        (train_images, train_labels), (test_images, test_labels) = (
            _split(root, train) for train in (True, False)
        )
        arrays = {
            "train_samples": train_images,
            "train_labels": train_labels,
            "test_samples": test_images,
            "test_labels": test_labels,
        }
        return arrays, ()


def _split(root: Path, train: bool) -> tuple[np.ndarray, np.ndarray]:
    from torchvision.datasets import CIFAR10

    try:
        root.mkdir(parents=True, exist_ok=True)
        # Its progress bar would be drawn over ours.
        with open(os.devnull, "w") as null, contextlib.redirect_stderr(null):
            dataset = CIFAR10(str(root), train=train, download=True)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"CIFAR-10 is not in {root} and could not be downloaded ({error}). "
            f"Put {_URL} there, unpacked or not, or name its folder: --set dataset.path=FOLDER"
        ) from error
    return dataset.data, np.asarray(dataset.targets, dtype=np.int64)
