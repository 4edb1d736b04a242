"""SVHN, Street View House Numbers (Netzer et al., 2011), cropped digits, through torchvision.

The `extra` split is left out: the training split is the one of 73,257 images (our choice).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lipbench.datasets._torchvision import DIGITS, Downloaded


@dataclass(frozen=True)
class Svhn(Downloaded):
    """SVHN's cropped digits in colour, downloaded to the cache or `path`."""

    title = "SVHN"
    papers = ("netzer2011",)
    splits = "The splits are the data set's own, without its extra images."

    _identity = "svhn e26dedcc434d2e4c54c9b2d4a06d8373 eb5a983be6a315427106f1b164d9cef3"
    _counts = (73_257, 26_032)
    _classes = DIGITS
    _files = "train_32x32.mat and test_32x32.mat of http://ufldl.stanford.edu/housenumbers"

    def read(self, cache: Path, train: bool) -> tuple[np.ndarray, np.ndarray]:
        split = self.opened("SVHN", cache, split="train" if train else "test")
        return np.ascontiguousarray(split.data.transpose(0, 2, 3, 1)), split.labels
