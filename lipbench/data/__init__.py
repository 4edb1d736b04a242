"""Datasets: real images as uint8 arrays, with a train and a test split.

Each source is a module with two functions: `inspect` returns the facts of a suite's dataset (its
content's fingerprint, its sizes) without decoding it, and `load` the arrays, with notes on them.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from lipbench.errors import UserError, unknown

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

SOURCES = ("cifar10", "digits", "images")

Arrays = dict[str, "np.ndarray"]  # images uint8 (N, H, W, C) and labels int64 (N,), a split each


@dataclass(frozen=True)
class DatasetInfo:
    """What a plan needs to know of a dataset. The fingerprint names its content, not its path."""

    name: str
    fingerprint: str
    image_size: int
    channels: int
    n_train: int
    n_test: int
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()  # what was chosen or left out, a sentence each, for the user
    version: int = 1  # of the source's decoding; part of the fingerprint


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


def inspect(name: str, path: Path | None, image_size: int | None, cache: Path) -> DatasetInfo:
    """Return the facts of a dataset; raise UserError where it is missing or cannot be read."""
    info: DatasetInfo = _source(name).inspect(path, image_size, cache)
    return info


def load(info: DatasetInfo, path: Path | None, cache: Path, device: torch.device) -> Dataset:
    """Return the dataset on a device, decoding it at its first use.

    Raises UserError where it is missing or cannot be read, or its splits share pictures.
    """
    import torch

    arrays: Arrays
    arrays, notes = _source(info.name).load(info, path, cache)

    def split(which: str) -> Split:
        images, labels = (
            torch.from_numpy(arrays[f"{which}_{part}"]) for part in ("images", "labels")
        )
        return Split(images.to(device), labels.to(device))

    train, test = split("train"), split("test")
    return Dataset(info.name, info.fingerprint, train, test, info.classes, notes)


def _source(name: str) -> ModuleType:
    if name not in SOURCES:
        raise UserError(unknown("dataset", name, SOURCES))
    return importlib.import_module(f"lipbench.data.{name}")
