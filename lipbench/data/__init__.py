"""Real images as uint8 arrays, with a train and a test split, and what datasets share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

Arrays = dict[str, "np.ndarray"]  # images uint8 (N, H, W, C) and labels int64 (N,), a split each


@dataclass(frozen=True)
class DatasetInfo:
    """What a plan needs to know of a dataset. The fingerprint names its content, not its path."""

    name: str
    fingerprint: str
    shape: tuple[int, ...]  # of a sample: (C, H, W) of an image
    n_train: int
    n_test: int
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()  # what was chosen or left out, a sentence each, for the user
    version: int = 1  # of the source's decoding; part of the fingerprint

    @property
    def image_size(self) -> int:
        """Return the images' width, and height, in pixels."""
        return self.shape[-1]

    @property
    def channels(self) -> int:
        """Return the images' number of channels."""
        return self.shape[0]


@dataclass(frozen=True)
class Split:
    """Images of shape (N, H, W, C), uint8, and their labels (N,), int64, on one device."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Dataset:
    """A dataset in memory. Sorted as its source is: never take its first N."""

    name: str
    fingerprint: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()  # what decoding found, a sentence each, for the user
