"""The contract of a dataset: where real samples come from, such as images.

A dataset is one file with one frozen dataclass that extends `Source`; its fields are what a suite
says of it, such as a path. Importing this module imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import ConfigDict

from lipbench import parameterized
from lipbench.data import Arrays, Dataset, DatasetInfo, Split
from lipbench.errors import UserError, blaming, place_of, shortened

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Source:
    """Where the samples of a dataset come from. Fields are what a suite says of it.

    A field called `path` is made absolute. `papers` are keys of a `references.bib` beside the
    file, or BibTeX entries; they are read without importing it.
    """

    title: ClassVar[str] = ""  # in a sentence: "CIFAR-10"; empty: its name
    papers: ClassVar[tuple[str, ...]] = ()
    splits: ClassVar[str] = ""  # how the train and the test split came about, a sentence or two

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )

    @classmethod
    def refuse_traps(cls) -> None:
        """Raise TypeError for a class that is no dataset yet, as when its file is loaded."""
        parameterized.refuse_traps(cls, Source, ("inspect", "load"))

    def inspect(self, cache: Path) -> DatasetInfo:
        """Return the facts of the dataset, cheaply: no image is decoded that need not be.

        The fingerprint names the content: other samples, labels or splits, another fingerprint.
        `cache` is a folder for what is costly to find out. Raises UserError where the dataset is
        missing or cannot be read.
        """
        raise NotImplementedError

    def load(self, info: DatasetInfo, cache: Path) -> tuple[Arrays, tuple[str, ...]]:
        """Return the arrays of a dataset that `inspect` described, and notes for the user.

        `train_samples` and `test_samples` are images, uint8 (N, H, W, C), or other data, float32
        (N, *shape), as networks shall see them; `train_labels` and `test_labels` are int64 (N,).
        Of samples that are a writable np.memmap, training reads from disk what it needs.
        Raises UserError where they cannot be read, or are other ones by now.
        """
        raise NotImplementedError


def facts(source: Source, cache: Path) -> DatasetInfo:
    """Return what `inspect` says. Raises UserError as it does, and for facts that cannot be."""
    with blaming(source.inspect):
        info = source.inspect(cache)
    if wrong := _impossible(info):
        raise UserError(f"inspect returned {wrong}", place_of(source.inspect))
    return info


def load(source: Source, info: DatasetInfo, cache: Path, device: torch.device) -> Dataset:
    """Return the dataset on a device; samples that are an np.memmap stay on disk.

    Raises UserError where it is missing or cannot be read, its splits share pictures, or its
    arrays are not what `inspect` said.
    """
    import numpy as np
    import torch

    with blaming(source.load):
        loaded = source.load(info, cache)
    if not isinstance(loaded, tuple) or len(loaded) != 2:
        raise UserError("load should return arrays and notes", place_of(source.load))
    arrays, notes = loaded
    if wrong := misfit(arrays, info):
        raise UserError(
            f"load returned other data than inspect says: {wrong}", place_of(source.load)
        )

    def split(which: str) -> Split:
        samples, labels = (
            torch.from_numpy(arrays[f"{which}_{part}"]) for part in ("samples", "labels")
        )
        is_mapped = isinstance(arrays[f"{which}_samples"], np.memmap)
        samples = samples if is_mapped else samples.to(device)
        return Split(samples, labels.to(device), len(info.classes), is_mapped)

    train, test = split("train"), split("test")
    return Dataset(info.name, info.fingerprint, train, test, info.classes, notes)


def misfit(arrays: Arrays, info: DatasetInfo) -> str:
    """Return in what arrays are not those of which `inspect` told, in a sentence; else nothing."""
    import numpy as np

    wanted = {f"{split}_{part}" for split in ("train", "test") for part in ("samples", "labels")}
    if not isinstance(arrays, dict) or set(arrays) != wanted:
        given = sorted(arrays) if isinstance(arrays, dict) else shortened(arrays)
        return f"its arrays are {given}, not {sorted(wanted)}"
    sample, kind = info.stored
    for split, count in (("train", info.n_train), ("test", info.n_test)):
        shapes = {
            f"{split}_samples": ((count, *sample), kind),
            f"{split}_labels": ((count,), "int64"),
        }
        for name, (shape, dtype) in shapes.items():
            array = arrays[name]
            if not isinstance(array, np.ndarray):
                return f"{name} is a {type(array).__name__}, no array of NumPy"
            if array.shape != shape:
                return f"{name} is {array.shape}; `inspect` says {shape}"
            if array.dtype != dtype:
                return f"{name} is {array.dtype}, not {dtype}"
            if array.dtype == np.float32 and not np.isfinite(array).all():
                return f"{name} hold nan or inf"
        labels = arrays[f"{split}_labels"]
        low, high, classes = int(labels.min()), int(labels.max()), len(info.classes)
        if low < 0 or high >= max(1, classes):
            return f"{split} labels are {low} to {high}; there are {classes} classes"
    return ""


def _impossible(info: DatasetInfo) -> str:
    """Return what of some facts cannot be, in a few words; else nothing."""
    if not isinstance(info, DatasetInfo):
        return f"{shortened(info)}, which is no DatasetInfo"
    if (
        not isinstance(info.shape, tuple)
        or not info.shape
        or not all(isinstance(length, int) and length > 0 for length in info.shape)
    ):
        return f"the shape {shortened(info.shape)}, which is no tuple of lengths"
    for name in ("n_train", "n_test"):
        value = getattr(info, name)
        if not isinstance(value, int) or value < 1:
            return f"{name} {shortened(value)}, which is no number of at least 1"
    if not isinstance(info.fingerprint, str) or not info.fingerprint:
        return f"the fingerprint {shortened(info.fingerprint)}, which is no text"
    named = isinstance(info.classes, tuple) and all(isinstance(c, str) for c in info.classes)
    if not named:
        return f"the classes {shortened(info.classes)}, which are no tuple of names"
    return ""
