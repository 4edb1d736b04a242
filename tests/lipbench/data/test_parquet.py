"""Parquet files of images, as Hugging Face's datasets store them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from lipbench import data, dataset
from lipbench.datasets.parquet import Parquet
from lipbench.errors import UserError

CPU = torch.device("cpu")


def png(seed: int, mode: str = "RGB", size: tuple[int, int] = (8, 8)) -> bytes:
    """Return an encoded image of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, "PNG")
    return file.getvalue()


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def write(
    path: Path,
    images: list[bytes | None],
    labels: list[Any] | None = None,
    names: list[str] | None = None,
    image: str = "image",
    label: str = "label",
    in_struct: bool = True,
    rows_of_a_group: int = 3,
) -> Path:
    """Write a file as the package `datasets` does: structs of bytes, and metadata in JSON."""
    values = [{"bytes": each, "path": None} for each in images] if in_struct else images
    columns: dict[str, Any] = {image: values}
    features: dict[str, Any] = {image: {"_type": "Image"}}
    if labels is not None:
        columns[label] = labels
        features[label] = {"names": names, "_type": "ClassLabel"} if names else {"dtype": "int64"}
    table = pa.table(columns)
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    path.parent.mkdir(parents=True, exist_ok=True)
    pa.parquet.write_table(
        table.replace_schema_metadata(about), path, row_group_size=rows_of_a_group
    )
    return path


IMAGES = [png(seed) for seed in range(10)]
LABELS = [0, 1] * 5


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., data.Dataset]:
    """Return a function from a path to its dataset."""

    def load(path: Path, size: int | None = None) -> data.Dataset:
        source, cache = Parquet(str(path), size), tmp_path / "cache"
        return dataset.load(source, source.inspect(cache), cache, CPU)

    return load


@pytest.mark.parametrize(
    ("image", "label", "in_struct"),
    [("image", "label", True), ("img", "labels", True), ("img", "fine_label", False)],
)
def test_shards_are_splits_with_their_images_labels_and_names(
    tmp_path, load, image, label, in_struct
):
    columns = {"image": image, "label": label, "in_struct": in_struct, "names": ["cat", "dog"]}
    folder = tmp_path / "set" / "data"
    write(folder / "train-00000-of-00002.parquet", IMAGES[:4], LABELS[:4], **columns)
    write(folder / "train-00001-of-00002.parquet", IMAGES[4:7], LABELS[4:7], **columns)
    write(folder / "test-00000-of-00001.parquet", IMAGES[7:], LABELS[7:], **columns)
    loaded = load(tmp_path / "set")
    assert loaded.classes == ("cat", "dog")
    assert np.array_equal(loaded.train.samples.numpy(), [pixels(each) for each in IMAGES[:7]])
    assert np.array_equal(loaded.test.samples.numpy(), [pixels(each) for each in IMAGES[7:]])
    assert loaded.train.labels.tolist() == LABELS[:7]
    assert loaded.test.labels.tolist() == LABELS[7:]


@pytest.mark.parametrize(
    ("labels", "classes", "numbers"),
    [
        (None, (), {0}),
        (LABELS, ("0", "1"), {0, 1}),
        (["dog", "cat"] * 5, ("cat", "dog"), {0, 1}),
    ],
)
def test_of_a_single_file_a_fifth_of_each_class_is_the_test_split(
    tmp_path, load, labels, classes, numbers
):
    loaded = load(write(tmp_path / "x.parquet", IMAGES, labels))
    assert (len(loaded.train), len(loaded.test), loaded.classes) == (8, 2, classes)
    assert set(loaded.test.labels.tolist()) == numbers
    info = Parquet(str(tmp_path / "x.parquet")).inspect(tmp_path / "cache")
    assert info.notes == ("a single file: a fifth of each class is the test split",)


def test_folders_are_splits_too_and_validation_stands_in_for_a_test_split(tmp_path, load):
    write(tmp_path / "set" / "train" / "0000.parquet", IMAGES[:6])
    write(tmp_path / "set" / "validation" / "0000.parquet", IMAGES[6:])
    write(tmp_path / "set" / "extra" / "0000.parquet", IMAGES[:1])
    source = Parquet(str(tmp_path / "set"))
    info = source.inspect(tmp_path / "cache")
    assert (info.n_train, info.n_test) == (6, 4)
    assert info.notes == (
        "files left out because they are of no split: 1",
        "the test split is the validation files",
    )
    write(tmp_path / "set" / "test" / "0000.parquet", IMAGES[9:])
    assert source.inspect(tmp_path / "cache").n_test == 1


def test_the_fingerprint_is_the_contents_and_splits_not_the_paths(tmp_path):
    def fingerprint(path: Path) -> str:
        return Parquet(str(path)).inspect(tmp_path / "cache").fingerprint

    write(tmp_path / "a" / "train-0.parquet", IMAGES[:6])
    write(tmp_path / "a" / "test-0.parquet", IMAGES[6:])
    before = fingerprint(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    assert fingerprint(tmp_path / "b") == before
    (tmp_path / "b" / "test-0.parquet").rename(tmp_path / "b" / "validation-0.parquet")
    assert fingerprint(tmp_path / "b") != before
    write(tmp_path / "b" / "train-0.parquet", IMAGES[1:6])
    assert fingerprint(tmp_path / "b") != before


def test_images_of_other_sizes_are_scaled_where_a_size_is_given(tmp_path, load):
    images = [*IMAGES[:9], png(9, size=(12, 10))]
    path = write(tmp_path / "x.parquet", images)
    with pytest.raises(UserError, match=r"x.parquet\[9\] is 12 x 10, the first image 8 x 8; give"):
        load(path)
    assert load(path, 16).train.shape == (3, 16, 16)


def test_gray_images_have_one_channel_and_coloured_ones_among_them_are_refused(tmp_path, load):
    gray = [png(seed, "L") for seed in range(10)]
    assert load(write(tmp_path / "x.parquet", gray)).train.shape == (1, 8, 8)
    with pytest.raises(UserError, match=r"y.parquet\[9\] has colours"):
        load(write(tmp_path / "y.parquet", [*gray[:9], png(9)]))


def without_images(path: Path) -> None:
    pa.parquet.write_table(pa.table({"text": ["x"], "label": [0]}), path)


def images_by_path(path: Path) -> None:
    pa.parquet.write_table(pa.table({"image": ["a.png"], "label": [0]}), path)


def without_rows(path: Path) -> None:
    pa.parquet.write_table(pa.table({"image": pa.array([], pa.binary())}), path)


def cut(path: Path) -> None:
    write(path, IMAGES)
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (without_images, "has no images: no column image or img of bytes among text, label"),
        (images_by_path, "has no images: no column image or img of bytes among image, label"),
        (cut, "x.parquet cannot be read"),
        (lambda path: path.write_bytes(b""), "x.parquet cannot be read"),
        (lambda path: path.write_bytes(b"PAR1 no Parquet PAR1"), "x.parquet cannot be read"),
        (lambda path: None, "x.parquet does not exist; give a Parquet file"),
        (lambda path: path.mkdir(), "x.parquet holds no *.parquet; give a Parquet file"),
        (lambda path: write(path, IMAGES[:1]), "too few images for a train and a test split: 1"),
        (without_rows, "too few images for a train and a test split: 0"),
        (lambda path: write(path, [None, *IMAGES]), "row 0 has no bytes of an image"),
        (lambda path: write(path, [b"x", *IMAGES]), "is not a readable image"),
        (lambda path: write(path, IMAGES, [-1] * 10), "row 0 has the label -1, which is no class"),
        (lambda path: write(path, IMAGES, [0.5] * 10), "row 0 has the label 0.5"),
        (lambda path: write(path, IMAGES, [None] * 10), "row 0 has the label None"),
        (lambda path: write(path, IMAGES, [2] * 10, ["a", "b"]), "the label 2 is none of the 2"),
        (
            lambda path: write(path / "validation-0.parquet", IMAGES),
            "has no train-*.parquet beside validation-0.parquet",
        ),
        (
            lambda path: [write(path / f / "train-0.parquet", IMAGES) for f in "ab"],
            "the Parquet files lie in several folders; give one of them",
        ),
    ],
)
def test_what_is_no_parquet_of_images_is_refused_when_it_is_inspected(
    tmp_path, make: Callable[[Path], object], words
):
    make(tmp_path / "x.parquet")
    with pytest.raises(UserError) as refused:
        Parquet(str(tmp_path / "x.parquet")).inspect(tmp_path / "cache")
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_page_that_is_damaged_is_refused_when_it_is_read(tmp_path, load):
    path = write(tmp_path / "x.parquet", IMAGES)
    source = Parquet(str(path))
    info = source.inspect(tmp_path / "cache")
    content = bytearray(path.read_bytes())
    content[4:60] = bytes(56)
    path.write_bytes(content)
    with pytest.raises(UserError):
        source.load(info, tmp_path / "cache")


def test_files_changed_between_planning_and_loading_are_refused(tmp_path):
    path = write(tmp_path / "x.parquet", IMAGES)
    source = Parquet(str(path))
    info = source.inspect(tmp_path / "cache")
    write(path, IMAGES[:9])
    with pytest.raises(UserError, match=r"x.parquet has changed since this command read it"):
        source.load(info, tmp_path / "cache")


def test_the_dataset_parquet_needs_a_path(tmp_path):
    with pytest.raises(UserError, match=r"needs a Parquet file, or a folder of them"):
        Parquet().inspect(tmp_path)
