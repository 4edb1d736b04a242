"""CIFAR-10 (Krizhevsky, 2009) as torchvision reads it, downloaded once.

The fingerprint is that of the one archive torchvision accepts, so a suite can be planned
before the data is there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import numpy as np

from lipbench.data import Arrays, DatasetInfo
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


def inspect(path: Path | None, image_size: int | None, cache: Path) -> DatasetInfo:
    """Return the facts of CIFAR-10, whether or not it has been downloaded."""
    if image_size not in (None, 32):
        raise UserError(f"dataset cifar10 is 32 pixels wide, not image_size {image_size}")
    fingerprint = hashlib.sha256(f"cifar10 {_ARCHIVE_MD5}".encode()).hexdigest()
    return DatasetInfo("cifar10", fingerprint, 32, 3, 50_000, 10_000, _CLASSES)


def load(info: DatasetInfo, path: Path | None, cache: Path) -> tuple[Arrays, tuple[str, ...]]:
    """Return CIFAR-10's arrays, and no notes.

    It is downloaded to `path` (the cache if None) if it isn't there. Raises UserError, saying
    what to do, where it is missing and cannot be downloaded.
    """
    root = path or cache / "data"
    train, test = (_split(root, train) for train in (True, False))
    arrays = {
        "train_images": train[0],
        "train_labels": train[1],
        "test_images": test[0],
        "test_labels": test[1],
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
