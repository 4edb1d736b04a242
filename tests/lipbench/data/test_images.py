"""Folders and zips of images as datasets: identity, arrays, their cache, and shared pictures."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lipbench import data, dataset
from lipbench.data import DatasetInfo, decoded, decoding
from lipbench.datasets.images import Images
from lipbench.errors import UserError

Inspect = Callable[..., data.DatasetInfo]
Load = Callable[..., data.Dataset]
CPU = torch.device("cpu")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Return class folders of flat images: class a is dark, b is light, ten of each."""
    for label, base in (("a", 0), ("b", 100)):
        (tmp_path / "flat" / label).mkdir(parents=True)
        for index in range(10):
            pixels = np.full((8, 8, 3), base + index, dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "flat" / label / f"{index}.png")
    return tmp_path / "flat"


def stored(cache: Path) -> Path:
    (path,) = (cache / "datasets").iterdir()
    return path


def same(one: data.Dataset, other: data.Dataset) -> bool:
    """Return whether two datasets have the same arrays."""
    return all(
        torch.equal(getattr(getattr(one, split), part), getattr(getattr(other, split), part))
        for split in ("train", "test")
        for part in ("samples", "labels")
    )


def test_pixels_and_labels_are_those_of_the_files(flat: Path, load: Load) -> None:
    dataset = load(flat)
    assert dataset.classes == ("a", "b")
    assert (len(dataset.train), len(dataset.test)) == (16, 4)
    seen = []
    for split in (dataset.train, dataset.test):
        values = split.samples[:, 0, 0, 0]
        assert torch.equal(split.labels, (values >= 100).long())
        seen += values.tolist()
    assert sorted(seen) == [*range(10), *range(100, 110)]


def test_a_zip_of_a_folder_is_the_same_dataset(
    root: Path, inspect: Inspect, load: Load, tmp_path: Path
) -> None:
    zipped = Path(shutil.make_archive(str(tmp_path / "archive"), "zip", root))
    assert inspect(root) == inspect(zipped)
    of_folder = load(root)
    stored(tmp_path / "cache").unlink()
    assert same(load(zipped), of_folder)


def test_the_fingerprint_is_the_contents_not_the_paths(root: Path, inspect: Inspect) -> None:
    before = inspect(root).fingerprint
    moved = root.rename(root.with_name("moved"))
    assert inspect(moved).fingerprint == before
    Image.new("RGB", (8, 8), "red").save(moved / "a" / "1.png")
    assert inspect(moved).fingerprint != before


def test_the_sides_are_those_of_the_first_image_after_its_rotation(
    tmp_path: Path, make: Any, inspect: Inspect
) -> None:
    make.folder(tmp_path / "set" / "a")
    first = tmp_path / "set" / "a" / "0.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (24, 8)).save(first, exif=exif)
    with pytest.raises(UserError, match=r"set: a/0.png is 8 x 24, not square; give dataset.image"):
        inspect(tmp_path / "set")
    assert inspect(tmp_path / "set", 16).image_size == 16


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("LA", 1), ("1", 1), ("RGB", 3)])
def test_gray_images_have_one_channel(
    tmp_path: Path, make: Any, load: Load, mode: str, channels: int
) -> None:
    make.folder(tmp_path / "set" / "a", mode=mode)
    assert load(tmp_path / "set").train.samples.shape == (4, 8, 8, channels)


def test_gray_files_of_every_kind_go_together(tmp_path: Path, make: Any, load: Load) -> None:
    make.folder(tmp_path / "set" / "a", mode="L")
    make.one(tmp_path / "set" / "a" / "with_alpha.png", "LA")
    gray = Image.open(make.one(tmp_path / "set" / "a" / "palette.png", "L"))
    gray.convert("P").save(tmp_path / "set" / "a" / "palette.png")
    assert len(load(tmp_path / "set").train) == 6
    make.one(tmp_path / "set" / "a" / "red.png")
    with pytest.raises(UserError, match=r"a/red.png has colours, but a/0.png is gray"):
        load(tmp_path / "set")


def test_what_was_chosen_and_left_out_is_noted(root: Path, inspect: Inspect) -> None:
    (root / "README.txt").write_text("of these images")
    (root / "a" / ".hidden").write_text("")
    assert inspect(root).notes == (
        "no train and test folders: a fifth of each class is the test split",
        "files left out because they are no images: 1, .txt (1)",
    )


def splits_of(path: Path, make: Any, shared: int, count: int = 100) -> Path:
    """Return train and test folders of so many images; so many of test's are in train too."""
    make.folder(path / "train" / "a", 5)
    make.folder(path / "test" / "a", count)
    for index in range(shared):
        picture = Image.open(path / "train" / "a" / f"{index}.png")
        picture.save(path / "test" / "a" / f"{index}.png", compress_level=0)  # other bytes
    return path


def test_one_shared_picture_of_a_hundred_is_noted_whether_decoded_or_cached(
    tmp_path: Path, make: Any, load: Load, inspect: Inspect
) -> None:
    path = splits_of(tmp_path / "set", make, shared=1)
    pair = "test/a/0.png and train/a/0.png"
    told = f"test images that are in the train split too: 1 of 100, e.g. {pair}"
    assert inspect(path).notes == ()
    assert load(path).notes == (told,)
    assert load(path).notes == (told,)  # from the cache
    assert inspect(path).notes == (told,)  # as a plan shows it from then on


def test_more_shared_pictures_are_refused_whether_decoded_or_cached(
    tmp_path: Path, make: Any, load: Load
) -> None:
    path = splits_of(tmp_path / "set", make, shared=2)
    for _ in range(2):
        with pytest.raises(UserError) as refused:
            load(path)
        assert str(refused.value) == (
            f"{path}: test images that are in the train split too: 2 of 100, e.g. "
            "test/a/0.png and train/a/0.png; at most 1% may be: remove the copies"
        )


def test_pictures_that_scaling_makes_the_same_are_shared(
    tmp_path: Path, make: Any, load: Load
) -> None:
    path = splits_of(tmp_path / "set", make, shared=0)
    Image.new("RGB", (8, 8), "red").save(path / "train" / "a" / "x.png")
    Image.new("RGB", (32, 32), "red").save(path / "test" / "a" / "y.png")
    (note,) = load(path).notes
    assert note.startswith("test images that are in the train split too: 1 of 101,")
    assert note.endswith("e.g. test/a/y.png and train/a/x.png")


def test_repeats_frames_and_crops_are_noted(tmp_path: Path, make: Any, load: Load) -> None:
    path = splits_of(tmp_path / "set", make, shared=0, count=5)
    shutil.copy(path / "train" / "a" / "0.png", path / "train" / "a" / "again.png")
    make.one(path / "test" / "a" / "wide.png", size=(16, 8))
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(path / "train" / "a" / "x.gif", save_all=True, append_images=frames[1:])
    assert load(path).notes == (
        "images that repeat another one of their split: 1 (1 in train, 0 in test)",
        "files with several frames, of which the first is used: 1",
        "images that are not square, cropped to the middle: 1",
    )


def test_images_are_decoded_once_and_then_read_from_the_cache(
    root: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(root)
    monkeypatch.setattr(decoding, "decode", None)
    assert same(load(root), first)


def test_files_changed_between_planning_and_loading_are_refused(
    root: Path, inspect: Inspect, cache: Path
) -> None:
    info = inspect(root)
    Image.new("RGB", (8, 8), "red").save(root / "a" / "1.png")
    with pytest.raises(UserError, match="has changed since"):
        dataset.load(Images(str(root)), info, cache, CPU)


def test_of_an_image_that_cannot_be_decoded_nothing_is_cached(
    root: Path, load: Load, cache: Path
) -> None:
    broken = root / "b" / "3.png"
    broken.write_bytes(broken.read_bytes()[:40])
    with pytest.raises(UserError, match=r"b/3.png is not a readable image"):
        load(root)
    assert not list(cache.glob("datasets/*"))


def test_a_cached_array_with_damage_anywhere_is_never_believed(
    root: Path, load: Load, cache: Path
) -> None:
    sound = load(root)
    path = stored(cache)
    content = path.read_bytes()
    for at in range(0, len(content), 23):
        damaged = bytearray(content)
        damaged[at] ^= 1 << at % 8
        path.write_bytes(damaged)
        assert same(load(root), sound), at


def without_findings(path: Path) -> None:
    """Write the arrays as the first version of the decoding did."""
    with np.load(path) as found:
        arrays = {name: found[name] for name in found if name != "findings"}
    np.savez(path, **arrays)  # type: ignore[arg-type]


def spoiled_with(member: str, value: np.ndarray) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        with np.load(path) as found:
            arrays = dict(found)
        np.savez(path, **{**arrays, member: value})

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"null"),
        lambda path: path.write_bytes(path.read_bytes()[:500]),
        lambda path: path.write_bytes(bytes(len(path.read_bytes()))),
        lambda path: Image.new("L", (3, 3)).save(path, "PNG"),
        lambda path: (np.save(f"{path}.npy", np.zeros(3)), Path(f"{path}.npy").rename(path)),
        without_findings,
        spoiled_with("findings", np.frombuffer(b"{}", np.uint8)),
        spoiled_with("findings", np.frombuffer(b"[1]", np.uint8)),
        spoiled_with("train_samples", np.zeros((8, 8, 8, 3), np.float32)),
        spoiled_with("train_samples", np.zeros((7, 8, 8, 3), np.uint8)),
        spoiled_with("test_labels", np.zeros(3, np.int64)),
    ],
)
def test_a_cached_array_that_is_another_is_decoded_again(
    root: Path, load: Load, cache: Path, spoil: Callable[[Path], object]
) -> None:
    sound = load(root)
    spoil(stored(cache))
    assert same(load(root), sound)
    with np.load(stored(cache)) as found:
        assert set(found) == {
            "findings",
            *(f"{s}_{p}" for s in ("train", "test") for p in ("samples", "labels")),
        }


def test_a_cache_that_cannot_be_written_is_explained(
    root: Path, inspect: Inspect, load: Load, cache: Path
) -> None:
    cache.mkdir()
    (cache / "fingerprints").write_text("a file stands in the way")
    with pytest.raises(UserError, match=rf"cannot write to the cache {cache}/fingerprints: "):
        inspect(root)
    (cache / "fingerprints").unlink()
    (cache / "datasets").write_text("a file stands in the way")
    with pytest.raises(UserError, match=rf"cannot write to the cache {cache}/datasets: "):
        load(root)


def of_version_1(info: DatasetInfo) -> DatasetInfo:
    """Return a dataset as plans have it that were made before notes and versions were there."""
    old = {"fingerprint": "1" * 64, "notes": (), "version": 1}
    return dataclasses.replace(info, **old)  # type: ignore[arg-type]


def test_arrays_of_an_older_decoding_are_read_while_the_cache_has_them(
    root: Path, inspect: Inspect, cache: Path
) -> None:
    info = of_version_1(inspect(root))
    arrays = {
        "train_samples": np.full((8, 8, 8, 3), 3, np.uint8),
        "train_labels": np.zeros(8, np.int64),
        "test_samples": np.full((2, 8, 8, 3), 4, np.uint8),
        "test_labels": np.zeros(2, np.int64),
    }
    (cache / "datasets").mkdir()
    np.savez(cache / "datasets" / f"{'1' * 32}-8-3.npz", **arrays)  # type: ignore[arg-type]
    assert (dataset.load(Images(str(root)), info, cache, CPU).train.samples == 3).all()


def test_without_them_one_line_says_so(root: Path, inspect: Inspect, cache: Path) -> None:
    with pytest.raises(UserError) as refused:
        dataset.load(Images(str(root)), of_version_1(inspect(root)), cache, CPU)
    assert str(refused.value) == (
        "these runs' images were decoded by an older lipbench (version 1, now 2), and "
        f"{cache}/datasets/{'1' * 32}-8-3.npz is missing or damaged; run the suite anew"
    )


def test_a_change_of_the_decoding_is_another_dataset(
    root: Path, inspect: Inspect, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = inspect(root)
    assert before.version == decoding.VERSION == 2
    monkeypatch.setattr(decoding, "VERSION", 3)
    assert inspect(root).fingerprint != before.fingerprint


def test_the_dataset_images_needs_a_path(inspect: Inspect, cache: Path) -> None:
    with pytest.raises(UserError, match="needs a folder or zip of class folders"):
        Images().inspect(cache)
    assert decoded.LARGEST_SHARED == 0.01
