"""CIFAR-10 (Krizhevsky, 2009) as torchvision reads it, downloaded once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from lipbench.datasets._torchvision import Downloaded


@dataclass(frozen=True)
class Cifar10(Downloaded):
    """CIFAR-10, downloaded to `path` (the cache where none is given) if it is not there."""

    title = "CIFAR-10"
    papers = ("krizhevsky2009",)
    splits = "The splits are the data set's own."

    _identity = "cifar10 c58f30108f718f92721af3b95e74349a"
    _counts = (50_000, 10_000)
    _classes = (
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
    _files = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz, unpacked or not,"

    image_size: Literal[32] | None = None

    def read(self, cache: Path, train: bool) -> tuple[np.ndarray, np.ndarray]:
        split = self.opened("CIFAR10", cache, train=train)
        return split.data, np.asarray(split.targets, dtype=np.int64)
