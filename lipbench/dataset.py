"""The contract of a dataset: where real samples come from, such as images.

A dataset is one file with one frozen dataclass that extends `Source`; its fields are what a suite
says of it, such as a path. Importing this module imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import ConfigDict

from lipbench.data import Arrays, Dataset, DatasetInfo, Split

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
        strict=True, extra="forbid", allow_inf_nan=False
    )

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
        Raises UserError where they cannot be read, or are other ones by now.
        """
        raise NotImplementedError


def load(source: Source, info: DatasetInfo, cache: Path, device: torch.device) -> Dataset:
    """Return the dataset on a device.

    Raises UserError where it is missing or cannot be read, or its splits share pictures.
    """
    import torch

    arrays, notes = source.load(info, cache)

    def split(which: str) -> Split:
        samples, labels = (
            torch.from_numpy(arrays[f"{which}_{part}"]) for part in ("samples", "labels")
        )
        return Split(samples.to(device), labels.to(device))

    train, test = split("train"), split("test")
    return Dataset(info.name, info.fingerprint, train, test, info.classes, notes)
