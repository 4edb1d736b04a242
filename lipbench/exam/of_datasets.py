"""The cases that every dataset must pass, on the dataset itself: all of it is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lipbench import paths
from lipbench.data import Arrays, DatasetInfo
from lipbench.dataset import Source, misfit

SHARED = 0.01  # of the test samples, at most, may be training samples too: our choice


@dataclass(frozen=True)
class ExaminedDataset:
    """A dataset under examination; it is inspected and loaded once for all cases."""

    source: Source

    @cached_property
    def info(self) -> DatasetInfo:
        """Return its facts."""
        return self.source.inspect(paths.cache_root())

    @cached_property
    def arrays(self) -> Arrays:
        """Return its arrays."""
        return self.source.load(self.info, paths.cache_root())[0]


Case = Callable[[ExaminedDataset], str]


def its_arrays_are_what_its_facts_say(subject: ExaminedDataset) -> str:
    """Counts, shapes and types are those that `inspect` told without loading."""
    info, arrays = subject.info, subject.arrays
    assert not (wrong := misfit(arrays, info)), wrong
    what = f"images, {info.image_size} pixels wide" if info.is_of_images else "points"
    return f"{info.n_train:,} + {info.n_test:,} {what}"


def its_labels_are_its_classes(subject: ExaminedDataset) -> str:
    """Labels count the classes from 0, and every class has a training sample."""
    classes = len(subject.info.classes)
    for split in ("train", "test"):
        labels = subject.arrays[f"{split}_labels"]
        low, high = int(labels.min()), int(labels.max())
        inside = low >= 0 and high < max(1, classes)
        assert inside, f"{split} labels are {low} to {high}; there are {classes} classes"
    missing = set(range(classes)) - set(subject.arrays["train_labels"].tolist())
    assert not missing, f"classes without a training sample: {sorted(missing)[:10]}"
    return f"{classes} classes"


def its_samples_are_no_blanks(subject: ExaminedDataset) -> str:
    """Images use the range of a byte, as those scaled wrongly do not; others vary, all finite."""
    images = subject.arrays["train_samples"]
    if not subject.info.is_of_images:
        assert np.isfinite(images).all(), "values are not finite"
        spread = images.std(axis=0)
        assert (spread > 0).all(), "a value is the same in all samples"
        return f"values {images.min():.3g} to {images.max():.3g}, deviations to {spread.max():.3g}"
    low, high = int(images.min()), int(images.max())
    assert high > 1, f"values are {low} to {high}: images in [0, 1] were cast to bytes"
    assert high - low >= 64, f"values are {low} to {high} of 0 to 255"
    return f"values {low} to {high}, mean {images.mean():.0f}"


def it_is_the_same_each_time(subject: ExaminedDataset) -> str:
    """Asked again, it has the same fingerprint, the same samples in the same order."""
    cache = paths.cache_root()
    again = subject.source.inspect(cache)
    assert again.fingerprint == subject.info.fingerprint, "its fingerprint changes"
    loaded, _ = subject.source.load(again, cache)
    for name, array in subject.arrays.items():
        assert np.array_equal(array, loaded[name]), f"{name} differ when they are loaded again"
    return f"fingerprint {again.fingerprint[:12]}"


def its_splits_share_no_samples(subject: ExaminedDataset) -> str:
    """No test sample is a training sample, bit by bit, but for 1% at most."""
    train, test = (
        [
            hashlib.sha256(sample.tobytes()).digest()
            for sample in subject.arrays[f"{split}_samples"]
        ]
        for split in ("train", "test")
    )
    known = set(train)
    shared = sum(picture in known for picture in test)
    assert shared <= SHARED * len(test), f"{shared:,} of {len(test):,} test samples are in train"
    return f"{shared:,} of {len(test):,} test samples are training samples"


CASES: tuple[Case, ...] = (
    its_arrays_are_what_its_facts_say,
    its_labels_are_its_classes,
    its_samples_are_no_blanks,
    it_is_the_same_each_time,
    its_splits_share_no_samples,
)
