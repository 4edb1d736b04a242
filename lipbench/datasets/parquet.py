"""Images in Parquet files, as Hugging Face's datasets store them.

The images are encoded bytes (PNG, JPEG, ...) in a column `image` or `img`, alone or as the field
`bytes` of a struct. Labels are integers or names in a column `label`, `labels` or `fine_label`;
the classes' names are those of Hugging Face's metadata, if it is there. Of a folder, the files
train-*, test-* and validation-*, or those in folders of these names, are the splits. Without a
test split, `validation` is it; without that, a fifth of each class is (our choice).
"""

from __future__ import annotations

import bisect
import contextlib
import functools
import hashlib
import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from annotated_types import Ge
from PIL import Image

from lipbench.data import Arrays, DatasetInfo, decoded, decoding, fingerprints, splits
from lipbench.data.decoded import Pictures
from lipbench.data.files import Files, shown
from lipbench.data.layout import Layout
from lipbench.dataset import Source
from lipbench.errors import UserError

if TYPE_CHECKING:
    import pyarrow

_IMAGES = ("image", "img")
_LABELS = ("label", "labels", "fine_label")
_SPLIT = re.compile(r"(train|test|validation|valid|val)(?![a-z])")
_TEST_FRACTION = 1 / 5
_GROUPS = 4  # row groups in memory while images are decoded


@dataclass(frozen=True)
class Parquet(Source):
    """A Parquet file, or a folder of train-*.parquet and test-*.parquet, of encoded images.

    `image_size` is the side, in pixels, to crop and scale them to; without one, all images must
    have the size of the first.
    """

    title = "images from Parquet files"

    path: str | None = None
    image_size: Annotated[int, Ge(1)] | None = None

    def inspect(self, cache: Path) -> DatasetInfo:
        """Return the facts; raise UserError for files that are damaged, or without images."""
        shards, pictures = self._found()
        layout, files = pictures.layout, pictures.files
        info = DatasetInfo(
            "parquet",
            _fingerprint(shards, cache),
            decoding.shape(files, self.image_size),
            len(layout.train),
            len(layout.test),
            layout.classes,
            layout.notes,
            decoding.VERSION,
        )
        return replace(info, notes=(*info.notes, *decoded.notes(info, cache, files.root)))

    def load(self, info: DatasetInfo, cache: Path) -> tuple[Arrays, tuple[str, ...]]:
        """Return the arrays, decoding all images at the first use of this content."""

        def find() -> Pictures:
            shards, pictures = self._found()
            if _fingerprint(shards, cache) != info.fingerprint:
                raise UserError(
                    f"{shown(self.path)} has changed since this command read it; run it again"
                )
            return pictures

        return decoded.load(info, cache, Path(self.path or ""), find)

    def _found(self) -> tuple[list[_Shard], Pictures]:
        if self.path is None:
            raise UserError(
                "the dataset 'parquet' needs a Parquet file, or a folder of them: "
                "--set dataset.path=PATH"
            )
        root = Path(self.path)
        shards, notes = _shards(root)
        files = Files(
            root,
            tuple(name for shard in shards for name in shard.names),
            (),
            _signature(shards),
            _reader(shards),
        )
        scaling = Image.Resampling.BICUBIC if self.image_size else None
        return shards, Pictures(files, _layout(shards, notes), scaling)


class _Shard:
    """One Parquet file of a split: its rows' names, and their labels."""

    def __init__(self, root: Path, path: Path, split: str) -> None:
        """Read what is beside the images; raise UserError for a damaged file or one without."""
        import pyarrow.parquet

        facts = path.stat()
        self.path, self.split = path, split
        self.name = path.name if path == root else path.relative_to(root).as_posix()
        self.mark = (split, str(path.resolve()), facts.st_size, facts.st_mtime_ns)
        with _damage(path):
            self._file = pyarrow.parquet.ParquetFile(path)
            schema = self._file.schema_arrow
        self._images = next((name for name in _IMAGES if name in schema.names), "")
        if not self._images or not _holds_bytes(schema.field(self._images).type):
            raise UserError(
                f"{shown(path)} has no images: no column {' or '.join(_IMAGES)} of bytes among "
                f"{', '.join(map(shown, schema.names))}"
            )
        self.label = next((name for name in _LABELS if name in schema.names), "")
        self.classes = _class_names(schema.metadata or {}, self.label)
        rows = [
            self._file.metadata.row_group(n).num_rows for n in range(self._file.num_row_groups)
        ]
        self._starts = [0, *itertools.accumulate(rows)]
        self.names = [f"{self.name}[{row}]" for row in range(self._starts[-1])]

    def labels(self) -> list[Any]:
        """Return the labels as the file has them; none where there is no column of them."""
        if not self.label:
            return []
        with _damage(self.path):
            return self._file.read(columns=[self.label]).column(0).to_pylist()

    def group(self, row: int) -> tuple[int, int]:
        """Return the row group of a row, and its place there."""
        number = bisect.bisect_right(self._starts, row) - 1
        return number, row - self._starts[number]

    def images(self, number: int) -> pyarrow.ChunkedArray:
        """Return the images of a row group."""
        with _damage(self.path):
            return self._file.read_row_group(number, columns=[self._images]).column(0)


@contextlib.contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Raise UserError for what pyarrow finds wrong with a file."""
    import pyarrow

    try:
        yield
    except (OSError, pyarrow.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{shown(path)} cannot be read ({reason})") from error


def _shards(root: Path) -> tuple[list[_Shard], tuple[str, ...]]:
    """Return the files of the splits, training ones first, and notes on what was chosen."""
    if root.is_file():
        return [_Shard(root, root, "")], (
            "a single file: a fifth of each class is the test split",
        )
    paths = [path for path in sorted(root.rglob("*.parquet")) if path.is_file()]
    if not paths:
        missing = "holds no *.parquet" if root.is_dir() else "does not exist"
        raise UserError(
            f"dataset.path {shown(root)} {missing}; give a Parquet file, or a folder of them"
        )
    of_split: dict[str, list[Path]] = {}
    for path in paths:
        of_split.setdefault(_split(path), []).append(path)
    notes = []
    if "train" not in of_split:
        if set(of_split) - {""}:
            raise UserError(f"{shown(root)} has no train-*.parquet beside {shown(paths[0].name)}")
        of_split = {"train": of_split[""]}
    elif others := of_split.pop("", []):
        notes.append(f"files left out because they are of no split: {len(others):,}")
    test = "test" if "test" in of_split else "val"
    if test not in of_split:
        notes.append("no test files: a fifth of each class is the test split")
    elif test == "val":
        notes.append("the test split is the validation files")
    elif "val" in of_split:
        notes.append(f"validation files left out: {len(of_split['val']):,}")
    chosen = [(split, path) for split in ("train", test) for path in of_split.get(split, [])]
    folders = {path.parent.parent if _is_split(path.parent) else path.parent for _, path in chosen}
    if len(folders) > 1:
        listed = ", ".join(shown(folder) for folder in sorted(folders)[:5])
        raise UserError(f"the Parquet files lie in several folders; give one of them: {listed}")
    drawn = test not in of_split
    shards = [_Shard(root, path, "" if drawn else split) for split, path in chosen]
    return shards, tuple(notes)


def _split(path: Path) -> str:
    """Return the split of a file by its name, or by its folder's; empty where it has none."""
    found = _SPLIT.match(path.stem) or (_is_split(path.parent) and _SPLIT.match(path.parent.name))
    name = found[1] if found else ""
    return "val" if name.startswith("val") else name


def _is_split(folder: Path) -> bool:
    return bool(_SPLIT.fullmatch(folder.name))


def _layout(shards: list[_Shard], notes: tuple[str, ...]) -> Layout:
    """Return the splits and classes; raise UserError for labels that are no classes."""
    labels, classes = _labels(shards)
    names = [name for shard in shards for name in shard.names]
    if not shards[0].split and names:
        train_index, test_index = splits.stratified(np.array(labels), _TEST_FRACTION)
        train, test = ([names[index] for index in part] for part in (train_index, test_index))
    else:
        is_train = [shard.split == "train" for shard in shards for _ in shard.names]
        train = list(itertools.compress(names, is_train))
        test = list(itertools.compress(names, (not each for each in is_train)))
    if not train or not test:
        raise UserError(
            f"{shown(shards[0].path)}: too few images for a train and a test split: {len(names)}"
        )
    by_name = dict(zip(names, labels, strict=True))
    return Layout(tuple(train), tuple(test), classes, by_name, notes)


def _labels(shards: list[_Shard]) -> tuple[list[int], tuple[str, ...]]:
    """Return the label of each row, an index of the classes, and the classes."""
    if any(shard.label != shards[0].label for shard in shards):
        raise UserError(f"{shown(shards[0].path)} and others differ in their column of labels")
    if not shards[0].label:
        return [0] * sum(len(shard.names) for shard in shards), ()
    values: list[Any] = []
    for shard in shards:
        of_shard = shard.labels()
        are_names = bool(of_shard) and isinstance(of_shard[0], str)
        for row, value in enumerate(of_shard):
            is_number = isinstance(value, int) and value >= 0
            if not (isinstance(value, str) if are_names else is_number):
                raise UserError(
                    f"{shown(shard.path)}: row {row} has the {shard.label} {value!r}, which is no "
                    "class: neither a number from 0 nor a name, as the first row has it"
                )
        values += of_shard
    if any(isinstance(value, str) for value in values):
        names = tuple(sorted(set(map(str, values))))
        index = {name: number for number, name in enumerate(names)}
        return [index[str(value)] for value in values], names
    known = shards[0].classes or tuple(map(str, range(max(values, default=0) + 1)))
    if max(values, default=0) >= len(known):
        raise UserError(
            f"{shown(shards[0].path)}: the {shards[0].label} {max(values)} is none of the "
            f"{len(known)} classes that its metadata names"
        )
    return values, known


def _class_names(metadata: dict[bytes, bytes], label: str) -> tuple[str, ...]:
    """Return the names in Hugging Face's metadata; none where there are none."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return tuple(map(str, features[label]["names"]))
    except (KeyError, TypeError, ValueError):
        return ()


def _holds_bytes(kind: pyarrow.DataType) -> bool:
    """Return whether a column has encoded images: bytes, or a struct with bytes."""
    import pyarrow.types as types

    if types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and _holds_bytes(kind.field(place).type)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _reader(shards: list[_Shard]) -> Callable[[str], bytes]:
    """Return a function from a row's name to its image; see `Files.read`."""
    by_name = {shard.name: shard for shard in shards}
    lock = threading.Lock()

    @functools.lru_cache(maxsize=_GROUPS)
    def images(name: str, number: int) -> pyarrow.ChunkedArray:
        return by_name[name].images(number)

    def read(name: str) -> bytes:
        file, _, row = name.removesuffix("]").rpartition("[")
        number, place = by_name[file].group(int(row))
        with lock:  # one file handle, several decoding threads; rows come in their order
            value = images(file, number)[place].as_py()
        content = value["bytes"] if isinstance(value, dict) else value
        if content is None:
            raise UserError(f"{shown(by_name[file].path)}: row {row} has no bytes of an image")
        return bytes(content)

    return read


def _signature(shards: list[_Shard]) -> str:
    """Return what changes when a file does, as told by paths, sizes and times."""
    return json.dumps([shard.mark for shard in shards])


def _fingerprint(shards: list[_Shard], cache: Path) -> str:
    """Return the sha256 of the files' contents in their order, with their splits."""
    version = f"parquet {decoding.VERSION}"

    def compute() -> str:
        digest = hashlib.sha256(version.encode())
        for shard in shards:
            with _damage(shard.path), shard.path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{shard.split} {content}\n".encode())
        return digest.hexdigest()

    return fingerprints.remembered(cache, f"{version}\n{_signature(shards)}", compute)
