"""STL-10, CelebA, LSUN and ImageNet from small files of their genuine formats, and their store."""

from __future__ import annotations

import dataclasses
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision.datasets
from PIL import Image

from lipbench import dataset
from lipbench.data import decoding, store
from lipbench.datasets.celeba import Celeba
from lipbench.datasets.imagenet import Imagenet
from lipbench.datasets.images import Images
from lipbench.datasets.lsun import Lsun
from lipbench.datasets.stl10 import Stl10
from lipbench.errors import UserError

CPU = torch.device("cpu")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def photo(path: Path, size: tuple[int, int], seed: int = 0, mode: str = "RGB") -> np.ndarray:
    """Write an image, and return its pixels as a reader sees them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return np.asarray(Image.open(path).convert("RGB"))


def bilinear(pixels: np.ndarray, size: int) -> np.ndarray:
    """Return an image as torchvision's Resize makes it of a Pillow image."""
    resize = torchvision.transforms.Resize(size)
    return np.asarray(resize(Image.fromarray(pixels)))


@pytest.fixture
def stl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """Write STL-10's archive with three unlabeled and two test images, and return them."""
    draw = np.random.default_rng(0)
    images = {
        split: draw.integers(0, 256, (count, 96, 96, 3), dtype=np.uint8)
        for split, count in (("unlabeled", 3), ("test", 2), ("train", 1))
    }
    theirs = torchvision.datasets.STL10
    archive = tmp_path / "stl10" / theirs.filename
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        for split, pixels in images.items():
            columns_first = pixels.transpose(0, 3, 2, 1)  # as its MATLAB code wrote them
            for kind, content in (("X", columns_first), ("y", np.ones(len(pixels), np.uint8))):
                about = tarfile.TarInfo(f"stl10_binary/{split}_{kind}.bin")
                about.size = content.nbytes
                tar.addfile(about, io.BytesIO(content.tobytes()))
    monkeypatch.setattr(theirs, "tgz_md5", None)
    for name in ("train_list", "test_list"):
        monkeypatch.setattr(theirs, name, [[file, None] for file, _ in getattr(theirs, name)])
    monkeypatch.setattr(Stl10, "_counts", (3, 2))
    return images


def test_stl10_is_its_unlabeled_images_scaled_to_48_pixels(stl, tmp_path, cache, monkeypatch):
    mine = Stl10(path=str(tmp_path / "stl10"))
    loaded = dataset.load(mine, mine.inspect(cache), cache, CPU)
    assert loaded.train.shape == (3, 48, 48)
    assert loaded.classes == ()
    for split, theirs in ((loaded.train, "unlabeled"), (loaded.test, "test")):
        wanted = np.stack([bilinear(image, 48) for image in stl[theirs]])
        assert np.array_equal(split.samples.numpy(), wanted)
        assert split.labels.tolist() == [0] * len(wanted)
    monkeypatch.setattr("torchvision.datasets.STL10", None)  # scaled once, then read
    again = dataset.load(mine, mine.inspect(cache), cache, CPU)
    assert torch.equal(again.train.samples, loaded.train.samples)


def test_stl10_at_96_pixels_is_as_it_comes(stl, tmp_path, cache):
    mine = Stl10(path=str(tmp_path / "stl10"), image_size=96)
    loaded = dataset.load(mine, mine.inspect(cache), cache, CPU)
    assert np.array_equal(loaded.train.samples.numpy(), stl["unlabeled"])


def test_an_stl10_of_another_length_is_refused(stl, tmp_path, cache, monkeypatch):
    monkeypatch.setattr(Stl10, "_counts", (4, 2))
    mine = Stl10(path=str(tmp_path / "stl10"))
    with pytest.raises(UserError, match=r"STL-10 has 3 unlabeled images, not 4"):
        mine.load(mine.inspect(cache), cache)


@pytest.mark.parametrize("source", [Stl10, Celeba])
def test_they_are_planned_before_they_are_there_and_refused_offline(source, cache, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    info = source().inspect(cache)
    with pytest.raises(UserError) as refused:
        source().load(info, cache)
    assert f"Put {source._files} there" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_checksums_of_stl10_and_celeba_are_torchvisions():
    known = {name: checksum for _, checksum, name in torchvision.datasets.CelebA.file_list}
    assert Stl10._identity.split()[2] == torchvision.datasets.STL10.tgz_md5
    wanted = [known[name] for name in ("img_align_celeba.zip", "list_eval_partition.txt")]
    assert Celeba._identity.split()[2:] == wanted


@pytest.fixture
def faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """Write CelebA's folder with six faces, of which one is for validation; return them."""
    folder = tmp_path / "faces" / "celeba"
    names = [f"{number:06d}.jpg" for number in range(1, 7)]
    images = {
        name: photo(folder / "img_align_celeba" / name, (178, 218), seed)
        for seed, name in enumerate(names)
    }
    lists = {
        "list_eval_partition.txt": ["0", "0", "1", "2", "0", "2"],
        "identity_CelebA.txt": ["7"] * 6,
        "list_bbox_celeba.txt": ["1 2 3 4"] * 6,
        "list_landmarks_align_celeba.txt": [" ".join("1" * 10)] * 6,
        "list_attr_celeba.txt": [" ".join(["-1", "1"] * 20)] * 6,
    }
    for file, values in lists.items():
        headed = "bbox" in file or "landmarks" in file or "attr" in file
        rows = [f"{name} {value}" for name, value in zip(names, values, strict=True)]
        (folder / file).write_text("\n".join([*(["6", "a b"] if headed else []), *rows]) + "\n")
    listed = [(key, None, name) for key, _, name in torchvision.datasets.CelebA.file_list]
    monkeypatch.setattr(torchvision.datasets.CelebA, "file_list", listed)
    monkeypatch.setattr(Celeba, "_counts", (3, 2))
    return images


def test_celeba_is_the_middle_of_its_faces_in_its_own_splits(faces, tmp_path, cache):
    mine = Celeba(path=str(tmp_path / "faces"))
    loaded = dataset.load(mine, mine.inspect(cache), cache, CPU)
    for split, names in ((loaded.train, (1, 2, 5)), (loaded.test, (4, 6))):
        middles = [faces[f"{number:06d}.jpg"][20:198] for number in names]
        assert np.array_equal(split.samples.numpy(), [bilinear(face, 64) for face in middles])
    assert loaded.notes == ("images that are not square, cropped to the middle: 5",)


def test_a_face_that_is_missing_or_cut_short_is_refused_by_name(faces, tmp_path, cache):
    mine = Celeba(path=str(tmp_path / "faces"))
    face = tmp_path / "faces" / "celeba" / "img_align_celeba" / "000002.jpg"
    face.write_bytes(face.read_bytes()[:300])
    with pytest.raises(UserError, match=r"000002.jpg is not a readable image"):
        mine.load(mine.inspect(cache), cache)
    face.unlink()
    with pytest.raises(UserError, match=r"000002.jpg: No such file"):
        mine.load(mine.inspect(cache), cache)


def test_lists_of_another_length_are_refused(faces, tmp_path, cache, monkeypatch):
    monkeypatch.setattr(Celeba, "_counts", (4, 2))
    mine = Celeba(path=str(tmp_path / "faces"))
    with pytest.raises(UserError, match=r"has 3 train images; there should be 4"):
        mine.load(mine.inspect(cache), cache)


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    """Return a folder in ImageNet's layout: two classes of two training and one image."""
    root = tmp_path / "ilsvrc"
    for seed, name in enumerate(
        (
            "train/n01/n01_1.JPEG",
            "train/n01/n01_2.JPEG",
            "train/n02/n02_1.JPEG",
            "train/n02/n02_2.JPEG",
            "val/n01/v_1.JPEG",
            "val/n02/v_2.JPEG",
        )
    ):
        photo(root / name, (160, 140 + seed), seed)
    photo(root / "train/n02/n02_2.JPEG", (150, 150), 9, "L")  # some are gray
    (root / "meta.bin").write_bytes(b"torchvision's")
    return root


def test_imagenets_folders_are_its_splits_and_classes(imagenet, cache):
    mine = Imagenet(str(imagenet))
    info = mine.inspect(cache)
    loaded = dataset.load(mine, info, cache, CPU)
    assert (info.shape, info.classes) == ((3, 128, 128), ("n01", "n02"))
    assert loaded.train.labels.tolist() == [0, 0, 1, 1]
    assert loaded.test.labels.tolist() == [0, 1]
    first = np.asarray(Image.open(imagenet / "train/n01/n01_1.JPEG"))[:, 10:150]
    assert np.array_equal(loaded.train.samples[0].numpy(), bilinear(first, 128))
    gray = loaded.train.samples[3]
    assert torch.equal(gray[..., 0], gray[..., 2])


def test_imagenets_identity_is_its_files_names_and_sizes(imagenet, cache, tmp_path):
    before = Imagenet(str(imagenet)).inspect(cache).fingerprint
    assert Imagenet(str(imagenet), 32).inspect(cache).fingerprint == before
    moved = imagenet.rename(tmp_path / "elsewhere")
    assert Imagenet(str(moved)).inspect(cache).fingerprint == before
    photo(moved / "test" / "t_1.JPEG", (8, 8))  # test images have no labels, and are not used
    assert Imagenet(str(moved)).inspect(cache).fingerprint == before
    (moved / "val/n01/v_1.JPEG").write_bytes(b"longer or shorter")
    assert Imagenet(str(moved)).inspect(cache).fingerprint != before


def empty(root: Path) -> None:
    (root / "train" / "n03").mkdir()


def stray(root: Path) -> None:
    photo(root / "train" / "stray.JPEG", (8, 8))


def unknown(root: Path) -> None:
    photo(root / "val" / "n09" / "x.JPEG", (8, 8))


def without_val(root: Path) -> None:
    (root / "val").rename(root.parent / "val")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (empty, "the folder train/n03 is empty"),
        (stray, "train/stray.JPEG should lie in a class folder, train/CLASS/"),
        (unknown, "val/ has a class that train/ has not: n09"),
        (without_val, "has no images in val/CLASS/"),
    ],
)
def test_a_folder_in_another_layout_than_imagenets_is_refused(
    imagenet, cache, spoil: Callable[[Path], None], words
):
    spoil(imagenet)
    with pytest.raises(UserError, match=words):
        Imagenet(str(imagenet)).inspect(cache)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (Imagenet(), "needs the folder that has train/ and val/"),
        (Lsun(), "needs the folder that has bedroom_train/"),
        (Imagenet("/nowhere"), "dataset.path /nowhere does not exist"),
        (Lsun("/nowhere"), "dataset.path /nowhere/bedroom_train does not exist"),
    ],
)
def test_a_path_that_is_not_there_is_refused_when_it_is_inspected(source, words, cache):
    with pytest.raises(UserError, match=words):
        source.inspect(cache)


def test_lsun_is_one_category_with_a_drawn_test_split(tmp_path, cache):
    for seed in range(10):
        photo(tmp_path / "church_outdoor_train" / f"{seed}" / "x.webp", (80, 70), seed)
    mine = Lsun(str(tmp_path), "church_outdoor", held_out=3)
    loaded = dataset.load(mine, mine.inspect(cache), cache, CPU)
    assert (len(loaded.train), len(loaded.test), loaded.classes) == (7, 3, ())
    assert loaded.train.shape == (3, 64, 64)
    assert Lsun(str(tmp_path), "church_outdoor", held_out=4).inspect(cache) != mine.inspect(cache)
    with pytest.raises(UserError, match=r"has 10 images, and dataset.held_out is 30,000"):
        Lsun(str(tmp_path), "church_outdoor").inspect(cache)


def test_lsuns_database_is_refused_with_the_command_that_writes_its_images(tmp_path, cache):
    (tmp_path / "bedroom_train_lmdb").mkdir()
    with pytest.raises(UserError, match=r"is a database; .* python data.py export .*_lmdb"):
        Lsun(str(tmp_path)).inspect(cache)


def test_images_above_the_limit_are_mapped_and_are_the_same(root, tmp_path, monkeypatch):
    source = Images(str(root))
    in_memory, _ = source.load(source.inspect(tmp_path / "a"), tmp_path / "a")
    monkeypatch.setattr(store, "LARGEST_RESIDENT", 0)
    for _ in range(2):  # made, then read
        mapped, _ = source.load(source.inspect(tmp_path / "b"), tmp_path / "b")
        assert all(isinstance(array, np.memmap) for array in mapped.values())
        assert all(np.array_equal(mapped[name], in_memory[name]) for name in in_memory)
        monkeypatch.setattr(decoding, "decode_into", None)


def test_the_limit_is_2_gib_of_both_splits(root, tmp_path):
    info = dataclasses.replace(Images(str(root)).inspect(tmp_path), shape=(3, 128, 128))
    few, many = (dataclasses.replace(info, n_train=n, n_test=90) for n in (43_600, 43_601))
    assert [store.is_large(each) for each in (few, many)] == [False, True]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "facts.json").unlink(),
        lambda folder: (folder / "facts.json").write_text("{"),
        lambda folder: (folder / "test_labels.npy").write_bytes(b""),
        lambda folder: (folder / "train_samples.npy").write_bytes(
            (folder / "train_samples.npy").read_bytes()[:-1]
        ),
        lambda folder: np.save(folder / "train_samples.npy", np.zeros((8, 8, 8, 3))),
    ],
)
def test_a_mapped_file_that_is_missing_cut_or_another_is_made_again(
    root, tmp_path, monkeypatch, spoil: Callable[[Path], Any]
):
    monkeypatch.setattr(store, "LARGEST_RESIDENT", 0)
    source = Images(str(root))
    info = source.inspect(tmp_path / "cache")
    sound = {
        name: array.copy() for name, array in source.load(info, tmp_path / "cache")[0].items()
    }
    spoil(store.path_of(info, tmp_path / "cache"))
    again, _ = source.load(info, tmp_path / "cache")
    assert all(np.array_equal(again[name], sound[name]) for name in sound)


def test_of_a_mapped_dataset_that_cannot_be_decoded_nothing_is_left(root, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "LARGEST_RESIDENT", 0)
    source = Images(str(root))
    info = source.inspect(tmp_path / "cache")
    (root / "b" / "3.png").write_bytes(b"no image")
    monkeypatch.setattr("lipbench.datasets.images._fingerprint", lambda *_: info.fingerprint)
    with pytest.raises(UserError, match=r"b/3.png is not a readable image"):
        source.load(info, tmp_path / "cache")
    assert not list((tmp_path / "cache" / "datasets").iterdir())
