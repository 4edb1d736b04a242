"""The datasets that torchvision downloads, from small files of their genuine formats."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torchvision.datasets

from lipbench.datasets.cifar10 import Cifar10
from lipbench.datasets.cifar100 import Cifar100
from lipbench.datasets.fashion_mnist import FashionMnist
from lipbench.datasets.mnist import Mnist
from lipbench.datasets.svhn import Svhn
from lipbench.errors import UserError

DRAW = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every download."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def write(path: Path, content: bytes) -> str:
    """Write a file, and return its MD5 sum."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return md5(content)


def tar(path: Path, members: dict[str, bytes]) -> str:
    """Write a gzipped tar of members, and return its MD5 sum."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return md5(path.read_bytes())


def batch(count: int, labels: str) -> tuple[bytes, np.ndarray]:
    """Return a pickled batch of CIFAR's layout, and its images (N, H, W, C)."""
    rows = DRAW.integers(0, 256, (count, 3072), dtype=np.uint8)
    content = pickle.dumps({"data": rows, labels: list(range(count))})
    return content, rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def idx(values: np.ndarray) -> bytes:
    """Return bytes as MNIST's files hold them: a magic number, lengths, values."""
    lengths = b"".join(length.to_bytes(4, "big") for length in values.shape)
    return bytes([0, 0, 8, values.ndim]) + lengths + values.astype(np.uint8).tobytes()


def test_the_checksums_in_our_identities_are_torchvisions():
    known = torchvision.datasets
    assert Cifar10._identity == f"cifar10 {known.CIFAR10.tgz_md5}"
    assert Cifar100._identity == f"cifar100 {known.CIFAR100.tgz_md5}"
    assert Svhn._identity.split()[1:] == [known.SVHN.split_list[s][2] for s in ("train", "test")]
    for ours, theirs in ((Mnist, known.MNIST), (FashionMnist, known.FashionMNIST)):
        assert ours._identity.split()[1:] == [checksum for _, checksum in theirs.resources]
    assert FashionMnist._classes == tuple(known.FashionMNIST.classes)


def test_the_fingerprint_of_cifar10_is_that_of_earlier_runs(tmp_path):
    of_old = hashlib.sha256(b"cifar10 c58f30108f718f92721af3b95e74349a").hexdigest()
    assert Cifar10().inspect(tmp_path).fingerprint == of_old


@pytest.mark.parametrize("source", [Cifar10, Cifar100, Svhn, Mnist, FashionMnist])
def test_they_are_planned_before_they_are_there(source, tmp_path):
    info = source().inspect(tmp_path)
    assert info.image_size == 32
    assert len(set(info.classes)) == len(info.classes) >= 10


@pytest.mark.parametrize("source", [Cifar10, Cifar100, Svhn, Mnist, FashionMnist])
def test_offline_one_line_says_which_files_to_put_where(source, tmp_path):
    info = source().inspect(tmp_path)
    with pytest.raises(UserError) as refused:
        source().load(info, tmp_path)
    told = str(refused.value)
    assert "no route to host" in told
    assert f"Put {source._files} there" in told
    assert str(tmp_path / "data") in told
    assert "\n" not in told


@pytest.mark.parametrize("source", [Cifar10, Cifar100, Svhn, Mnist, FashionMnist])
def test_a_path_that_is_no_folder_is_refused_when_it_is_inspected(source, tmp_path):
    with pytest.raises(UserError, match=r"nowhere is no folder; make it, or leave it out"):
        source(path=str(tmp_path / "nowhere")).inspect(tmp_path)


@pytest.mark.parametrize(
    ("source", "name", "folder", "files", "labels", "meta"),
    [
        (
            Cifar10,
            "CIFAR10",
            "cifar-10-batches-py",
            (["data_batch_1", "data_batch_2"], ["test_batch"]),
            "labels",
            ("batches.meta", "label_names"),
        ),
        (
            Cifar100,
            "CIFAR100",
            "cifar-100-python",
            (["train"], ["test"]),
            "fine_labels",
            ("meta", "fine_label_names"),
        ),
    ],
)
def test_cifars_archive_is_unpacked_and_read(
    source, name, folder, files, labels, meta, tmp_path, monkeypatch
):
    theirs, members, images = getattr(torchvision.datasets, name), {}, {}
    for file in (*files[0], *files[1]):
        members[f"{folder}/{file}"], images[file] = batch(3, labels)
    members[f"{folder}/{meta[0]}"] = pickle.dumps({meta[1]: list(source._classes)})
    checksum = tar(tmp_path / theirs.filename, members)
    lists = [[[file, md5(members[f"{folder}/{file}"])] for file in part] for part in files]
    monkeypatch.setattr(theirs, "tgz_md5", checksum)
    monkeypatch.setattr(theirs, "train_list", lists[0])
    monkeypatch.setattr(theirs, "test_list", lists[1])
    meta_md5 = md5(members[f"{folder}/{meta[0]}"])
    monkeypatch.setattr(theirs, "meta", {"filename": meta[0], "key": meta[1], "md5": meta_md5})
    mine = source(path=str(tmp_path))
    arrays, _ = mine.load(mine.inspect(tmp_path), tmp_path)
    train = np.concatenate([images[file] for file in files[0]])
    assert np.array_equal(arrays["train_samples"], train)
    assert np.array_equal(arrays["test_samples"], images[files[1][0]])
    assert arrays["test_labels"].tolist() == [0, 1, 2]
    assert arrays["train_labels"].dtype == np.int64


def test_an_archive_that_is_cut_short_is_refused_with_its_folder(tmp_path):
    (tmp_path / "cifar-100-python.tar.gz").write_bytes(b"\x1f\x8b\x08 cut")
    mine = Cifar100(path=str(tmp_path))
    with pytest.raises(UserError, match=f"CIFAR-100 is not in {tmp_path}, or damaged"):
        mine.load(mine.inspect(tmp_path), tmp_path)


def test_svhns_matrices_are_read_and_their_tens_are_zeros(tmp_path, monkeypatch):
    theirs, images, listed = torchvision.datasets.SVHN, {}, {}
    for split, count in (("train", 4), ("test", 2)):
        images[split] = DRAW.integers(0, 256, (32, 32, 3, count), dtype=np.uint8)
        labels = np.array([[10], [1], [9], [10]], np.uint8)[:count]
        scipy.io.savemat(tmp_path / f"{split}_32x32.mat", {"X": images[split], "y": labels})
        url, name, _ = theirs.split_list[split]
        listed[split] = [url, name, md5((tmp_path / name).read_bytes())]
    monkeypatch.setattr(theirs, "split_list", listed)
    mine = Svhn(path=str(tmp_path))
    arrays, _ = mine.load(mine.inspect(tmp_path), tmp_path)
    assert np.array_equal(arrays["train_samples"], images["train"].transpose(3, 0, 1, 2))
    assert arrays["train_labels"].tolist() == [0, 1, 9, 0]
    assert arrays["test_samples"].shape == (2, 32, 32, 3)


def mnist_files(root: Path, spoil: Callable[[bytes], bytes] = lambda content: content):
    """Write MNIST's four files, and return torchvision's list of them and the images."""
    resources, images = [], {}
    for split, count in (("train", 4), ("t10k", 2)):
        images[split] = DRAW.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        for kind, values in (("images", images[split]), ("labels", np.arange(count))):
            name = f"{split}-{kind}-idx{values.ndim}-ubyte.gz"
            resources.append((name, write(root / name, gzip.compress(spoil(idx(values))))))
    return resources, images


@pytest.mark.parametrize(("source", "name"), [(Mnist, "MNIST"), (FashionMnist, "FashionMNIST")])
def test_mnists_files_are_read_into_a_frame_of_zeros(source, name, tmp_path, monkeypatch):
    resources, images = mnist_files(tmp_path / name / "raw")
    monkeypatch.setattr(getattr(torchvision.datasets, name), "resources", resources)
    mine = source(path=str(tmp_path))
    arrays, _ = mine.load(mine.inspect(tmp_path), tmp_path)
    assert arrays["train_samples"].shape == (4, 32, 32, 1)
    assert np.array_equal(arrays["train_samples"][:, 2:-2, 2:-2, 0], images["train"])
    assert arrays["test_samples"].sum() == images["t10k"].astype(int).sum()
    assert arrays["train_labels"].tolist() == [0, 1, 2, 3]
    assert arrays["test_labels"].dtype == np.int64


def test_a_file_of_mnists_that_is_cut_short_is_refused(tmp_path, monkeypatch):
    resources, _ = mnist_files(tmp_path / "MNIST" / "raw", lambda content: content[:-1])
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", resources)
    mine = Mnist(path=str(tmp_path))
    with pytest.raises(UserError, match=r"MNIST is not in .*, or damaged"):
        mine.load(mine.inspect(tmp_path), tmp_path)
