"""Real samples as arrays, with a train and a test split, and what datasets share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

# Of each split, samples and labels, int64 (N,). Samples are images, uint8 (N, H, W, C), or other
# data, such as points in the plane, float32 (N, *shape).
Arrays = dict[str, "np.ndarray"]


def described(shape: tuple[int, ...]) -> str:
    """Return what samples of a shape are: "images of 32 pixels", "points of 2 values"."""
    if len(shape) == 3:
        return f"images of {' x '.join(map(str, dict.fromkeys(shape[1:])))} pixels"
    return f"points of {' x '.join(map(str, shape))} values"


def named(shape: tuple[int, ...]) -> str:
    """Return what samples of a shape are called: images or points."""
    return "images" if len(shape) == 3 else "points"


def stored(shape: tuple[int, ...]) -> tuple[tuple[int, ...], str]:
    """Return the shape and the type of such samples in arrays: images are (H, W, C) there."""
    return ((*shape[1:], shape[0]), "uint8") if len(shape) == 3 else (shape, "float32")


@dataclass(frozen=True)
class DatasetInfo:
    """What a plan needs to know of a dataset. The fingerprint names its content, not its path."""

    name: str
    fingerprint: str
    shape: tuple[int, ...]  # of a sample: (C, H, W) of an image, (D,) of a point
    n_train: int
    n_test: int
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()  # what was chosen or left out, a sentence each, for the user
    version: int = 1  # of the source's decoding; part of the fingerprint

    @property
    def is_of_images(self) -> bool:
        """Return whether its samples are images."""
        return len(self.shape) == 3

    @property
    def samples(self) -> str:
        """Return what its samples are called: images or points."""
        return named(self.shape)

    @property
    def stored(self) -> tuple[tuple[int, ...], str]:
        """Return the shape and the type of a sample in its arrays."""
        return stored(self.shape)

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
    """Samples and their labels (N,), int64.

    Samples are images of shape (N, H, W, C), uint8, or other data, float32 of shape (N, *shape).
    They are on the labels' device, but for those that are mapped from disk: these are the CPU's.
    """

    samples: Tensor
    labels: Tensor
    classes: int = 0  # how many there are, with or without a sample here
    is_mapped: bool = False  # whether the samples are read from disk when they are used

    @property
    def device(self) -> torch.device:
        """Return where networks get the samples."""
        return self.labels.device

    def at(self, index: Tensor) -> Tensor:
        """Return some of the samples on the device."""
        return self.samples[index.to(self.samples.device)].to(self.device)

    def shares(self, classes: int) -> tuple[float, ...]:
        """Return which share of the samples each of so many classes has; nothing for 0."""
        counts = self.labels.bincount(minlength=classes)[:classes].tolist()
        return tuple(count / len(self) for count in counts)

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of a sample as networks take it: (C, H, W) of an image, (D,)."""
        shape = tuple(self.samples.shape[1:])
        return (shape[-1], *shape[:-1]) if len(shape) == 3 else shape

    def __len__(self) -> int:
        return len(self.samples)


@dataclass(frozen=True)
class Dataset:
    """A dataset in memory, or mapped into it. Sorted as its source is: never take its first N."""

    name: str
    fingerprint: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()  # what decoding found, a sentence each, for the user
