"""Datasets: content, splits, and files that cannot be read."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lipbench import data
from lipbench.data import cifar10, images, splits
from lipbench.errors import UserError

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return class folders of flat images: class a is dark, b is light, ten of each."""
    for label, base in (("a", 0), ("b", 100)):
        (tmp_path / "set" / label).mkdir(parents=True)
        for index in range(10):
            pixels = np.full((8, 8, 3), base + index, dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / label / f"{index}.png")
    return tmp_path / "set"


@pytest.fixture
def zipped(folder: Path) -> Path:
    return Path(shutil.make_archive(str(folder.parent / "archive"), "zip", folder))


def load(path: Path, cache: Path, size: int | None = None) -> data.Dataset:
    info = data.inspect("images", path, size, cache)
    return data.load(info, path, cache, CPU)


def test_the_digits_are_sklearns_in_a_stratified_split(tmp_path):
    info = data.inspect("digits", None, None, tmp_path)
    digits = data.load(info, None, tmp_path, CPU)
    assert (info.n_train, info.n_test) == (len(digits.train), len(digits.test)) == (1198, 599)
    assert digits.train.images.shape == (1198, 16, 16, 1)
    assert digits.train.images.dtype == torch.uint8
    assert digits.train.images.max() == 255
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


def test_a_folder_of_class_folders_is_split_and_keeps_pixels_and_labels(folder, tmp_path):
    dataset = load(folder, tmp_path / "cache")
    assert dataset.classes == ("a", "b")
    assert (len(dataset.train), len(dataset.test)) == (16, 4)
    for split in (dataset.train, dataset.test):
        values = split.images[:, 0, 0, 0]
        assert torch.equal(split.labels, (values >= 100).long())


def test_train_and_test_folders_are_taken_as_the_split(folder, tmp_path):
    both = tmp_path / "both"
    shutil.copytree(folder, both / "train")
    shutil.copytree(folder / "a", both / "test" / "a")
    dataset = load(both, tmp_path / "cache")
    assert (len(dataset.train), len(dataset.test)) == (20, 10)
    assert (dataset.test.images < 100).all()


def test_a_zip_of_a_folder_is_the_same_dataset(folder, zipped, tmp_path):
    of_folder = data.inspect("images", folder, None, tmp_path / "cache")
    of_zip = data.inspect("images", zipped, None, tmp_path / "cache")
    assert of_folder == of_zip
    a, b = load(folder, tmp_path / "one"), load(zipped, tmp_path / "two")
    assert torch.equal(a.train.images, b.train.images)


def test_the_fingerprint_is_the_contents_not_the_paths(folder, tmp_path):
    before = data.inspect("images", folder, None, tmp_path / "cache").fingerprint
    moved = folder.rename(folder.with_name("moved"))
    assert data.inspect("images", moved, None, tmp_path / "cache").fingerprint == before
    Image.new("RGB", (8, 8)).save(moved / "a" / "0.png", optimize=True)
    Image.new("RGB", (8, 8), "red").save(moved / "a" / "1.png")
    assert data.inspect("images", moved, None, tmp_path / "cache").fingerprint != before


def test_images_are_decoded_once_and_then_read_from_the_cache(folder, tmp_path, monkeypatch):
    first = load(folder, tmp_path / "cache")
    info = data.inspect("images", folder, None, tmp_path / "cache")
    monkeypatch.setattr(images, "_decode", None)
    again = data.load(info, folder, tmp_path / "cache", CPU)
    assert torch.equal(first.train.images, again.train.images)


def test_other_sizes_are_cropped_to_a_square_and_scaled(tmp_path):
    (tmp_path / "set" / "a").mkdir(parents=True)
    wide = np.zeros((8, 24, 3), dtype=np.uint8)
    wide[:, 8:16] = 200  # the middle square
    for name in "12345":
        Image.fromarray(wide).save(tmp_path / "set" / "a" / f"{name}.png")
    with pytest.raises(UserError, match="24 x 8, not square"):
        data.inspect("images", tmp_path / "set", None, tmp_path / "cache")
    dataset = load(tmp_path / "set", tmp_path / "cache", size=16)
    assert dataset.train.images.shape == (4, 16, 16, 3)
    assert (dataset.train.images == 200).all()


def test_gray_images_have_one_channel(tmp_path):
    (tmp_path / "set" / "a").mkdir(parents=True)
    for name in "12345":
        Image.new("L", (8, 8), 7).save(tmp_path / "set" / "a" / f"{name}.png")
    assert load(tmp_path / "set", tmp_path / "cache").train.images.shape == (4, 8, 8, 1)
    Image.new("RGB", (8, 8)).save(tmp_path / "set" / "a" / "6.png")
    with pytest.raises(UserError, match=r"a/6.png has colours, but a/1.png is gray"):
        load(tmp_path / "set", tmp_path / "cache")


def test_a_cached_array_cut_short_is_decoded_again(folder, tmp_path):
    first = load(folder, tmp_path / "cache")
    (stored,) = (tmp_path / "cache" / "datasets").glob("*.npz")
    stored.write_bytes(stored.read_bytes()[:500])
    assert torch.equal(load(folder, tmp_path / "cache").train.images, first.train.images)


def test_files_changed_between_planning_and_loading_are_refused(folder, tmp_path):
    info = data.inspect("images", folder, None, tmp_path / "cache")
    Image.new("RGB", (8, 8), "red").save(folder / "a" / "1.png")
    with pytest.raises(UserError, match="has changed since"):
        data.load(info, folder, tmp_path / "cache", CPU)


def test_images_of_more_than_8_bits_are_refused(tmp_path):
    (tmp_path / "set" / "a").mkdir(parents=True)
    Image.fromarray(np.full((8, 8), 3000, dtype=np.uint16)).save(tmp_path / "set" / "a" / "1.png")
    with pytest.raises(UserError, match=r"1.png has the mode I;16, not 8 bits"):
        data.inspect("images", tmp_path / "set", None, tmp_path / "cache")


def test_a_corrupt_image_is_named_and_nothing_is_cached(folder, tmp_path):
    broken = folder / "b" / "3.png"
    broken.write_bytes(broken.read_bytes()[:40])
    with pytest.raises(UserError, match=r"b/3.png is not a readable image"):
        load(folder, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("datasets/*"))


def test_a_corrupt_zip_member_is_named(zipped, tmp_path):
    content = bytearray(zipped.read_bytes())
    with zipfile.ZipFile(zipped) as archive:
        info = archive.getinfo("a/5.png")
    content[info.header_offset + 60] ^= 0xFF
    zipped.write_bytes(content)
    with pytest.raises(UserError, match=r"a/5.png is"):
        load(zipped, tmp_path / "cache")


@pytest.mark.parametrize(
    ("name", "message"),
    [("nowhere", "does not exist"), ("empty", "holds no images"), ("text.zip", "nor a zip file")],
)
def test_a_path_without_images_is_explained(tmp_path, name, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.zip").write_text("not a zip")
    with pytest.raises(UserError, match=message):
        data.inspect("images", tmp_path / name, None, tmp_path / "cache")


def test_cifar10_can_be_planned_before_it_is_downloaded(tmp_path):
    info = data.inspect("cifar10", None, None, tmp_path)
    assert (info.n_train, info.n_test, info.image_size) == (50_000, 10_000, 32)


def test_cifar10_is_read_as_torchvision_reads_it(tmp_path, monkeypatch):
    """A stand-in of the same shape: the archive itself is not ours to ship."""

    class Stand:
        def __init__(self, root: str, train: bool, download: bool) -> None:
            self.data = np.full((6 if train else 2, 32, 32, 3), 9, dtype=np.uint8)
            self.targets = [3] * len(self.data)

    monkeypatch.setattr("torchvision.datasets.CIFAR10", Stand)
    info = data.inspect("cifar10", None, None, tmp_path)
    dataset = data.load(info, None, tmp_path, CPU)
    assert dataset.train.images.shape == (6, 32, 32, 3)
    assert dataset.test.labels.tolist() == [3, 3]


def test_a_failed_download_says_what_to_do(tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.CIFAR10", refuse)
    info = data.inspect("cifar10", None, None, tmp_path)
    with pytest.raises(UserError, match=r"no route to host.*dataset.path=FOLDER"):
        cifar10.load(info, None, tmp_path)
