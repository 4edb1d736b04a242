"""The digits, CIFAR-10, and how a dataset without splits is split."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lipbench.data import splits
from lipbench.dataset import load
from lipbench.datasets.cifar10 import Cifar10
from lipbench.datasets.digits import Digits
from lipbench.errors import UserError

CPU = torch.device("cpu")


def test_the_digits_are_sklearns_in_a_stratified_split(tmp_path):
    info = Digits().inspect(tmp_path)
    digits = load(Digits(), info, tmp_path, CPU)
    assert (info.n_train, info.n_test) == (len(digits.train), len(digits.test)) == (1198, 599)
    assert digits.train.samples.shape == (1198, 16, 16, 1)
    assert digits.train.samples.dtype == torch.uint8
    assert digits.train.samples.max() == 255
    shares = digits.test.labels.bincount() / (
        digits.train.labels.bincount() + digits.test.labels.bincount()
    )
    assert ((shares - 1 / 3).abs() < 0.01).all()


def test_a_stratified_split_is_whole_disjoint_and_the_same_each_time():
    labels = np.repeat([0, 1], [10, 30])  # sorted by class, as folders come
    train, test = splits.stratified(labels, 0.2)
    assert np.array_equal(np.union1d(train, test), np.arange(40))
    assert np.bincount(labels[test]).tolist() == [2, 6]
    assert np.array_equal(test, splits.stratified(labels, 0.2)[1])
    assert not np.array_equal(test, [0, 1, *range(10, 16)])  # never the first of a sorted set


def test_cifar10_can_be_planned_before_it_is_downloaded(tmp_path):
    info = Cifar10().inspect(tmp_path)
    assert (info.n_train, info.n_test, info.image_size) == (50_000, 10_000, 32)


def test_cifar10_is_read_as_torchvision_reads_it(tmp_path, monkeypatch):
    """A stand-in of the same shape: the archive itself is not ours to ship."""

    class Stand:
        def __init__(self, root: str, train: bool, download: bool) -> None:
            self.data = np.full((6 if train else 2, 32, 32, 3), 9, dtype=np.uint8)
            self.targets = [3] * len(self.data)

    monkeypatch.setattr("torchvision.datasets.CIFAR10", Stand)
    info = Cifar10().inspect(tmp_path)
    dataset = load(Cifar10(), info, tmp_path, CPU)
    assert dataset.train.samples.shape == (6, 32, 32, 3)
    assert dataset.test.labels.tolist() == [3, 3]


def test_a_failed_download_says_what_to_do(tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.CIFAR10", refuse)
    info = Cifar10().inspect(tmp_path)
    with pytest.raises(UserError, match=r"no route to host.*dataset.path=FOLDER"):
        Cifar10().load(info, tmp_path)
