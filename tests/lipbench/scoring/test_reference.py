from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lipbench.data import Dataset, Split
from lipbench.errors import UserError
from lipbench.protocols import protocol
from lipbench.scoring import extractors, reference
from lipbench.scoring.features import Extractor

DIGITS = protocol("digits")


@pytest.fixture(scope="module")
def extractor(cpu: torch.device, cache: Path) -> Extractor:
    return extractors.load(DIGITS, cache).to(cpu)


def stored(cache: Path) -> Path:
    (path,) = (cache / "statistics").iterdir()
    return path


def test_an_index_of_a_sorted_dataset_has_every_class() -> None:
    labels = torch.arange(10).repeat_interleave(100)
    index = reference.stratified_index(labels, 250, "test")
    assert labels[index].bincount().tolist() == [25] * 10
    assert len(index.unique()) == 250
    assert not index.equal(torch.arange(250))


def test_an_index_keeps_the_shares_of_unequal_classes() -> None:
    labels = torch.tensor([0] * 61 + [1] * 30 + [2] * 10)
    drawn = labels[reference.stratified_index(labels, 50, "test")].bincount()
    assert drawn.tolist() == [30, 15, 5]  # 30.2, 14.85, 4.95: the largest remainders get one


def test_an_index_is_one_draw_by_name() -> None:
    labels = torch.zeros(500, dtype=torch.long)
    first = reference.stratified_index(labels, 100, "test")
    assert first.equal(reference.stratified_index(labels, 100, "test"))
    assert not first.equal(reference.stratified_index(labels, 100, "train"))
    assert reference.stratified_index(labels, 500, "test").equal(torch.arange(500))


def test_the_floor_of_the_digits_is_small(
    digits: Dataset, extractor: Extractor, cache: Path
) -> None:
    floors = reference.load(DIGITS, digits, extractor, cache).floors
    assert 0 < floors["fd_digits"] < 10
    assert 9.5 < floors["cs_digits"] <= 10
    assert floors["modes_covered"] == 10


def test_a_stored_reference_is_read_and_not_computed_again(
    digits: Dataset, extractor: Extractor, tmp_path: Path
) -> None:
    computed = reference.load(DIGITS, digits, extractor, tmp_path)
    path = stored(tmp_path)
    with np.load(path, allow_pickle=False) as arrays:
        changed = dict(arrays) | {"floors": np.array([1.0, 2.0, 3.0])}
    np.savez(path, **changed)
    read = reference.load(DIGITS, digits, extractor, tmp_path)
    assert list(read.floors.values()) == [1.0, 2.0, 3.0]
    np.testing.assert_array_equal(read.statistics.covariance, computed.statistics.covariance)
    assert read.statistics.mean.dtype == computed.statistics.mean.dtype


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def _flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _pickle(path: Path) -> None:
    np.savez(path, key=np.array([object()], dtype=object))


def _foreign(path: Path) -> None:
    with np.load(path, allow_pickle=False) as arrays:
        changed = dict(arrays) | {"key": np.array("another"), "floors": np.zeros(3)}
    np.savez(path, **changed)


@pytest.mark.parametrize("spoil", [_truncate, _flip_a_bit, _empty, _pickle, _foreign])
def test_a_spoilt_file_is_computed_again(
    spoil: Callable[[Path], None], digits: Dataset, extractor: Extractor, tmp_path: Path
) -> None:
    sound = reference.load(DIGITS, digits, extractor, tmp_path)
    path = stored(tmp_path)
    content = path.read_bytes()
    spoil(path)
    assert reference.load(DIGITS, digits, extractor, tmp_path).floors == sound.floors
    assert path.read_bytes() == content


def test_another_dataset_size_or_protocol_is_another_file(
    digits: Dataset, extractor: Extractor, tmp_path: Path
) -> None:
    reference.load(DIGITS, digits, extractor, tmp_path)
    other = dataclasses.replace(digits, fingerprint="0" * 64)
    reference.load(DIGITS, other, extractor, tmp_path)
    reference.load(
        dataclasses.replace(DIGITS, preprocessing="another"), digits, extractor, tmp_path
    )
    larger = [
        Split(split.images.repeat_interleave(2, 1).repeat_interleave(2, 2), split.labels)
        for split in (digits.train, digits.test)
    ]
    resized = dataclasses.replace(digits, train=larger[0], test=larger[1])
    reference.load(DIGITS, resized, extractor, tmp_path)
    assert len(list((tmp_path / "statistics").iterdir())) == 4


def test_features_are_kept_only_for_a_kernel_distance(
    digits: Dataset, extractor: Extractor, cache: Path, tmp_path: Path
) -> None:
    without = reference.load(DIGITS, digits, extractor, cache).statistics.pooled
    kernel = dataclasses.replace(DIGITS, kernel_subsets=5, kernel_subset_size=100)
    assert without.shape == (0, 64)
    for _ in range(2):  # computed, then read
        kept = reference.load(kernel, digits, extractor, tmp_path).statistics.pooled
        assert kept.shape == (599, 64)


def test_the_order_of_a_split_does_not_change_which_classes_are_drawn(
    digits: Dataset, extractor: Extractor, tmp_path: Path
) -> None:
    order = digits.train.labels.argsort(stable=True)
    train = Split(digits.train.images[order], digits.train.labels[order])
    in_classes = dataclasses.replace(digits, train=train, fingerprint="sorted")
    floors = reference.load(DIGITS, in_classes, extractor, tmp_path).floors
    assert floors["modes_covered"] == 10
    assert floors["fd_digits"] < 10


def test_a_cache_that_cannot_be_written_is_the_users_to_mend(
    digits: Dataset, extractor: Extractor, tmp_path: Path
) -> None:
    (tmp_path / "statistics").write_text("a file stands in the way")
    with pytest.raises(UserError, match="cannot write real statistics to"):
        reference.load(DIGITS, digits, extractor, tmp_path)
