"""Any folder, or zip, of images: `train/` and `test/` folders of class folders, or class folders.

Images are decoded once and cached as one array, named by the content of the files. Without a
`train/` and a `test/` folder, a fifth of each class becomes the test split (our choice).
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import threading
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, UnidentifiedImageError

from lipbench import atomic, machine
from lipbench.data import Arrays, DatasetInfo, fingerprints, splits
from lipbench.errors import UserError

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".tif", ".tiff", ".webp"}
_TEST_FRACTION = 1 / 5
_VERSION = 1  # of the decoding below; a change of it is another dataset
_GRAY_MODES = {"1", "L"}
_MODES = {
    *_GRAY_MODES,
    "P",
    "LA",
    "PA",
    "RGB",
    "RGBA",
    "RGBX",
    "CMYK",
    "YCbCr",
}  # 8 bits a channel


@dataclass(frozen=True)
class _Files:
    """The image files of a folder or a zip: names relative to it, and how to read one."""

    root: Path
    names: tuple[str, ...]
    signature: str  # changes when a file does, as told by names, sizes and times
    read: Callable[[str], bytes]


def inspect(path: Path | None, image_size: int | None, cache: Path) -> DatasetInfo:
    """Return the facts of a folder or zip of images.

    Raises UserError where it is missing, holds no images or is not square and `image_size` (the
    side, in pixels, to crop and scale to) is not given.
    """
    files = _find(path)
    train, test, classes = _layout(files)
    with _open(files, files.names[0]) as image:
        channels = 1 if image.mode in _GRAY_MODES else 3
        size = image_size or image.width
        if image_size is None and image.width != image.height:
            raise UserError(
                f"{files.root}: {files.names[0]} is {image.width} x {image.height}, not square; "
                "give dataset.image_size to crop and scale the images"
            )
    fingerprint = _fingerprint(files, cache)
    return DatasetInfo("images", fingerprint, size, channels, len(train), len(test), classes)


def load(info: DatasetInfo, path: Path | None, cache: Path) -> Arrays:
    """Return the arrays, decoding all images at the first use of this content and size."""
    stored = cache / "datasets" / f"{info.fingerprint[:32]}-{info.image_size}-{info.channels}.npz"
    if stored.exists():
        # A file cut short, by a disk that was full, is as good as none.
        damage = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)
        with contextlib.suppress(*damage), stored.open("rb") as file:
            return dict(np.load(file, allow_pickle=False))
    files = _find(path)
    if _fingerprint(files, cache) != info.fingerprint:
        raise UserError(f"{files.root} has changed since this command read it; run it again")
    train, test, classes = _layout(files)
    decoded: Arrays = {}
    for split, names in (("train", train), ("test", test)):
        decoded[f"{split}_images"] = _decode(files, names, info)
        decoded[f"{split}_labels"] = np.array([classes.index(_label(n)) for n in names], np.int64)
    stored.parent.mkdir(parents=True, exist_ok=True)
    atomic.replace(stored, lambda file: np.savez(file, **decoded))  # type: ignore[arg-type]
    return decoded


def _find(path: Path | None) -> _Files:
    """Return the image files under a path, sorted by name."""
    if path is None:
        raise UserError(
            "the dataset 'images' needs a folder or zip of class folders: --set dataset.path=PATH"
        )
    root = path.expanduser()
    if root.is_dir():
        names, marks, read = _in_folder(root)
    elif root.is_file():
        names, marks, read = _in_zip(root)
    else:
        raise UserError(f"dataset.path {path} does not exist; give a folder or zip of images")
    if not names:
        raise UserError(f"dataset.path {path} holds no images ({', '.join(sorted(_SUFFIXES))})")
    signature = "\n".join([f"images {_VERSION}", str(root.resolve()), *marks])
    return _Files(root, tuple(sorted(names)), signature, read)


def _is_image(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return path.suffix.lower() in _SUFFIXES and not hidden


def _in_folder(root: Path) -> tuple[list[str], list[str], Callable[[str], bytes]]:
    names, marks = [], []
    for folder, folders, files in os.walk(root, followlinks=True):
        folders.sort()
        for entry in sorted(files):
            name = (Path(folder) / entry).relative_to(root).as_posix()
            if _is_image(name):
                stat = os.stat(root / name)
                names.append(name)
                marks.append(f"{name} {stat.st_size} {stat.st_mtime_ns}")
    return names, marks, lambda name: (root / name).read_bytes()


def _in_zip(root: Path) -> tuple[list[str], list[str], Callable[[str], bytes]]:
    try:
        archive = zipfile.ZipFile(root)
    except zipfile.BadZipFile as error:
        raise UserError(f"dataset.path {root} is neither a folder nor a zip file") from error
    entries = [
        info for info in archive.infolist() if not info.is_dir() and _is_image(info.filename)
    ]
    stat = root.stat()
    lock = threading.Lock()

    def read(name: str) -> bytes:
        try:
            with lock:  # one file handle, several decoding threads
                return archive.read(name)
        except (zipfile.BadZipFile, zlib.error) as error:
            raise UserError(f"{root}: {name} is corrupt ({error})") from error

    return [info.filename for info in entries], [f"{stat.st_size} {stat.st_mtime_ns}"], read


def _label(name: str) -> str:
    return PurePosixPath(name).parent.name


def _layout(files: _Files) -> tuple[list[str], list[str], tuple[str, ...]]:
    """Return the names of the train and the test images, and the classes."""
    classes = tuple(sorted({_label(name) for name in files.names}))

    def under(split: str) -> list[str]:
        return [name for name in files.names if split in PurePosixPath(name).parts[:-1]]

    train, test = under("train"), under("test")
    if train and test:
        return train, test, classes
    labels = np.array([classes.index(_label(name)) for name in files.names])
    train_index, test_index = splits.stratified(labels, _TEST_FRACTION)
    names = np.array(files.names)
    return names[train_index].tolist(), names[test_index].tolist(), classes


def _fingerprint(files: _Files, cache: Path) -> str:
    """Return the sha256 of all names and contents."""

    def compute() -> str:
        digest = hashlib.sha256(f"images version {_VERSION}".encode())
        for name in files.names:
            digest.update(f"{name}\0{hashlib.sha256(files.read(name)).hexdigest()}\n".encode())
        return digest.hexdigest()

    return fingerprints.remembered(cache, files.signature, compute)


def _open(files: _Files, name: str) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(files.read(name)))
        image.load()
    except (OSError, UnidentifiedImageError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{files.root}: {name} is not a readable image ({error})") from error
    if image.mode not in _MODES:
        raise UserError(f"{files.root}: {name} has the mode {image.mode}, not 8 bits a channel")
    return image


def _decode(files: _Files, names: list[str], info: DatasetInfo) -> np.ndarray:
    """Return the images as uint8 (N, H, W, C)."""
    shape = (len(names), info.image_size, info.image_size, info.channels)
    images = np.empty(shape, dtype=np.uint8)
    with ThreadPoolExecutor(machine.cores()) as pool:
        for index, pixels in enumerate(pool.map(lambda n: _pixels(files, n, info), names)):
            images[index] = pixels
    return images


def _pixels(files: _Files, name: str, info: DatasetInfo) -> np.ndarray:
    image = _open(files, name)
    if info.channels == 1 and image.mode not in _GRAY_MODES:
        raise UserError(f"{files.root}: {name} has colours, but {files.names[0]} is gray")
    image = image.convert("L" if info.channels == 1 else "RGB")
    size = info.image_size
    if image.size != (size, size):
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image).reshape(size, size, info.channels)
