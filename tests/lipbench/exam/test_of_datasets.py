"""The exam of datasets: the digits pass it, and each kind of mistake fails a case."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from lipbench import exam
from lipbench.data import DatasetInfo
from lipbench.dataset import Source
from lipbench.datasets.digits import Digits

COUNTER = itertools.count()


def test_the_digits_pass():
    assert all(line.passed for line in exam.examine(Digits()))


@dataclass(frozen=True)
class Noise(Source):
    """Four and two images of noise in two classes, which the cases below spoil."""

    spoiled: dict[str, Any] = field(default_factory=dict)

    def inspect(self, cache):
        fingerprint = self.spoiled.get("fingerprint", lambda: "f" * 64)()
        return DatasetInfo("noise", fingerprint, (3, 8, 8), 4, 2, ("a", "b"))

    def load(self, info, cache):
        draw = np.random.default_rng(0)
        arrays = {
            "train_samples": draw.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8),
            "train_labels": np.array([0, 1, 0, 1]),
            "test_samples": draw.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8),
            "test_labels": np.array([0, 1]),
        }
        for name, change in self.spoiled.items():
            if name in arrays:
                arrays[name] = change(arrays)
        return arrays, ()


@pytest.mark.parametrize(
    ("spoiled", "case", "words"),
    [
        (
            {"train_samples": lambda a: a["train_samples"][:3]},
            "its arrays are what its facts say",
            "(3, 8, 8, 3)",
        ),
        (
            {"test_samples": lambda a: a["test_samples"] / 255},
            "its arrays are what its facts say",
            "float64, not uint8",
        ),
        (
            {"train_labels": lambda a: a["train_labels"] + 1},
            "its labels are its classes",
            "1 to 2; there are 2",
        ),
        (
            {"train_labels": lambda a: a["train_labels"] * 0},
            "its labels are its classes",
            "without a training sample: [1]",
        ),
        (
            {"train_samples": lambda a: a["train_samples"] // 255},
            "its samples are no blanks",
            "cast to bytes",
        ),
        (
            {"train_samples": lambda a: a["train_samples"] + np.uint8(next(COUNTER))},
            "it is the same each time",
            "train_samples differ",
        ),
        (
            {"fingerprint": lambda: str(next(COUNTER))},
            "it is the same each time",
            "fingerprint changes",
        ),
        (
            {"test_samples": lambda a: a["train_samples"][:2]},
            "its splits share no samples",
            "2 of 2 test samples",
        ),
    ],
)
def test_each_mistake_fails_its_case_with_a_reason(spoiled, case, words):
    assert all(line.passed for line in exam.examine(Noise()))
    lines = {line.case: line for line in exam.examine(replace(Noise(), spoiled=spoiled))}
    assert not lines[case].passed
    assert words in lines[case].measured
