"""scikit-learn's 1,797 real handwritten digits, 8 x 8 pixels, which need no download.

Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
Repository, 1998; scikit-learn ships its test set. They are scaled up (bilinear) to 16 x 16
because the architectures start there; a third of each class is the test split (our choices).
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Ge
from PIL import Image

from lipbench import signals
from lipbench.data import Arrays, DatasetInfo, fingerprints, splits
from lipbench.dataset import Source

_LARGEST_VALUE = 16  # the original's gray values are 0 to 16
_TEST_FRACTION = 1 / 3
_COUNTS = (1198, 599)
_VERSION = 1  # of the code below: a change of it makes another dataset


@dataclass(frozen=True)
class Digits(Source):
    """scikit-learn's handwritten digits, without a download; 16 pixels wide unless told."""

    title = (
        "scikit-learn's handwritten digits, the test set of the UCI Optical Recognition of "
        "Handwritten Digits"
    )
    papers = ("alpaydin1998", "pedregosa2011")
    splits = (
        "The images, of 8 × 8 pixels, were enlarged bilinearly. A third of each class, drawn once "
        "for all runs, is the test split."
    )

    image_size: Annotated[int, Ge(1)] | None = None

    def inspect(self, cache: Path) -> DatasetInfo:
        size = self.image_size or 16

        def compute() -> str:
            arrays, digest = _arrays(size), hashlib.sha256()
            for split in ("test", "train"):  # in this order ever since: another is another dataset
                for part in ("samples", "labels"):
                    digest.update(arrays[f"{split}_{part}"].tobytes())
            return digest.hexdigest()

        # What makes the arrays: scikit-learn is slow to import, and a plan needs but their name.
        makers = [f"{n} {metadata.version(n)}" for n in ("scikit-learn", "pillow", "numpy")]
        signature = "\n".join([f"digits {_VERSION} at {size}", *makers])
        fingerprint = fingerprints.remembered(cache, signature, compute)
        return DatasetInfo("digits", fingerprint, (1, size, size), *_COUNTS, tuple("0123456789"))

    def load(self, info: DatasetInfo, cache: Path) -> tuple[Arrays, tuple[str, ...]]:
        return _arrays(info.image_size), ()


@functools.cache
def _arrays(size: int) -> Arrays:
    with signals.blocked():  # it starts a process of multiprocessing's, which no signal may end
        from sklearn.datasets import load_digits

    digits = load_digits()
    gray = np.round(digits.images * (255 / _LARGEST_VALUE)).astype(np.uint8)
    images = np.stack(
        [
            np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))
            for image in gray
        ]
    )[..., None]
    labels = digits.target.astype(np.int64)
    train, test = splits.stratified(labels, _TEST_FRACTION)
    return {
        "train_samples": images[train],
        "train_labels": labels[train],
        "test_samples": images[test],
        "test_labels": labels[test],
    }
