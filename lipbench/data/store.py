"""Decoded images in the cache: made once, and read by every later run.

A dataset of up to `LARGEST_RESIDENT` bytes is one npz file, whose checksums show any damage, and
is read into memory. A larger one is a folder of npy files, which are mapped into memory: pages are
read when a batch needs them, and all workers of a machine share them. Of those, types, shapes and
lengths are checked; the pixels are not read for it.
"""

from __future__ import annotations

import contextlib
import json
import lzma
import math
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lipbench import atomic, cached
from lipbench.data import Arrays, DatasetInfo

LARGEST_RESIDENT = 2**31  # bytes of both splits' images: 2 GiB, our choice

# Fill the arrays, and return facts of them as JSON values.
Fill = Callable[[Arrays], dict[str, Any]]
# Facts are None in files that were written before there were any.
Stored = tuple[Arrays, Any]

# A damaged array file shows as any of these; what np.load reads is covered by zip's checksums.
_DAMAGE = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    TypeError,
    RuntimeError,
    MemoryError,
    SyntaxError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


def path_of(info: DatasetInfo, cache: Path) -> Path:
    """Return the file, or the folder, of a dataset's arrays in the cache."""
    name = f"{info.fingerprint[:32]}-{info.image_size}-{info.channels}"
    return cache / "datasets" / (name if is_large(info) else f"{name}.npz")


def is_large(info: DatasetInfo) -> bool:
    """Return whether a dataset's images are mapped into memory, not read into it."""
    return (info.n_train + info.n_test) * math.prod(info.shape) > LARGEST_RESIDENT


def read(info: DatasetInfo, cache: Path) -> Stored | None:
    """Return the arrays and their facts; None where there are no sound ones."""
    path = path_of(info, cache)
    try:
        arrays, facts = _mapped(path, info) if is_large(info) else _loaded(path)
        sound = all(
            arrays[name].shape == shape and arrays[name].dtype == kind
            for name, (shape, kind) in _forms(info).items()
        )
    except _DAMAGE:
        return None
    return (arrays, facts) if sound else None


def read_facts(info: DatasetInfo, cache: Path) -> Any:
    """Return the facts alone; None where there are none."""
    path = path_of(info, cache)
    try:
        if is_large(info):
            return json.loads((path / "facts.json").read_bytes())
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return json.loads(stored["findings"].tobytes())
    except _DAMAGE:
        return None


def make(info: DatasetInfo, cache: Path, fill: Fill) -> Stored:
    """Let `fill` fill the arrays, keep them in the cache and return them with their facts.

    Raises UserError where the cache cannot be written.
    """
    path = path_of(info, cache)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cached.refusal(path, error) from error
    return _made_as_folder(path, info, fill) if is_large(info) else _made_as_file(path, info, fill)


def _made_as_file(path: Path, info: DatasetInfo, fill: Fill) -> Stored:
    arrays = {name: np.empty(shape, kind) for name, (shape, kind) in _forms(info).items()}
    facts = fill(arrays)
    kept = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    try:
        # numpy's type of an open file is wider than BinaryIO.
        atomic.replace(path, lambda file: np.savez(file, findings=kept, **arrays))  # type: ignore[arg-type]
    except OSError as error:
        raise cached.refusal(path, error) from error
    return arrays, facts


def _made_as_folder(path: Path, info: DatasetInfo, fill: Fill) -> Stored:
    try:
        with _new_folder(path) as folder:
            arrays: Arrays = {
                name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", kind, shape)
                for name, (shape, kind) in _forms(info).items()
            }
            facts = fill(arrays)
            for array in arrays.values():
                assert isinstance(array, np.memmap)
                array.flush()
            (folder / "facts.json").write_text(json.dumps(facts))
            if read(info, path.parent.parent) is None:  # else another process was faster
                shutil.rmtree(path, ignore_errors=True)
                os.replace(folder, path)
        return _mapped(path, info)
    except OSError as error:
        raise cached.refusal(path, error) from error


@contextlib.contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside a path; those that killed processes left are removed."""
    for left in atomic.folders_left(path):
        shutil.rmtree(left, ignore_errors=True)
    folder = atomic.folder_beside(path)
    try:
        folder.chmod(0o755)  # mkdtemp's 0700 would hide the images from colleagues
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _mapped(path: Path, info: DatasetInfo) -> Stored:
    # Copy-on-write: torch takes no read-only array without a warning, and nothing writes.
    arrays = {name: np.load(path / f"{name}.npy", mmap_mode="c") for name in _forms(info)}
    return arrays, json.loads((path / "facts.json").read_bytes())


def _loaded(path: Path) -> Stored:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        arrays = dict(stored)
    kept = arrays.pop("findings", None)
    return arrays, None if kept is None else json.loads(kept.tobytes())


def _forms(info: DatasetInfo) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return the shape and the type of each array."""
    sample, kind = info.stored
    forms: dict[str, tuple[tuple[int, ...], str]] = {}
    for split, count in (("train", info.n_train), ("test", info.n_test)):
        forms[f"{split}_samples"] = (count, *sample), kind
        forms[f"{split}_labels"] = (count,), "int64"
    return forms
