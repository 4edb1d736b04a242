"""Any folder, or zip, of images: which files (`files`), splits and classes (`layout`), pixels.

Images are decoded once (`decoding`) and cached as one array, named by the content of the files.
A change of the decoding makes another dataset; the arrays of an older one are read as long as the
cache has them. Pictures of the test split that are in the train split too, pixel by pixel after
decoding and scaling, are counted; more than 1% of the test images are refused (our choice).
"""

from __future__ import annotations

import hashlib
import json
import lzma
import zipfile
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge

from lipbench import atomic, cached
from lipbench.data import Arrays, DatasetInfo, decoding, fingerprints
from lipbench.data import files as files_
from lipbench.data.decoding import Decoded
from lipbench.data.files import Files, shown
from lipbench.data.layout import Layout, layout
from lipbench.dataset import Source
from lipbench.errors import UserError

LARGEST_SHARED = 0.01  # of the test images
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


@dataclass(frozen=True)
class Findings:
    """Facts of a dataset that only its decoded images show."""

    shared: int  # test images that are in the train split too
    example: tuple[str, str] | None  # one of them, and its twin in the train split
    repeated_train: int  # images of the split that are there before
    repeated_test: int
    with_frames: int  # files with more frames than the one decoded
    cropped: int  # images that were not square


@dataclass(frozen=True)
class Images(Source):
    """A folder or zip of images, in folders for classes and splits where it has such.

    `image_size` is the side, in pixels, to crop and scale them to.
    """

    title = "images from a folder"

    path: str | None = None
    image_size: Annotated[int, Ge(1)] | None = None

    @property
    def _given(self) -> Path:
        if self.path is None:
            raise UserError(
                "the dataset 'images' needs a folder or zip of class folders: "
                "--set dataset.path=PATH"
            )
        return Path(self.path)

    def inspect(self, cache: Path) -> DatasetInfo:
        """Return the facts; raise UserError where images are not square and no size is told."""
        files = files_.find(self._given)
        made = layout(files)
        first = decoding.picture(files, files.names[0]).image
        if self.image_size is None and first.width != first.height:
            raise files.refuse(
                files.names[0],
                f"is {first.width} x {first.height}, not square; give dataset.image_size to crop "
                "and scale the images",
            )
        size, channels = self.image_size or first.width, 1 if first.mode == "L" else 3
        info = DatasetInfo(
            "images",
            _fingerprint(files, cache),
            (channels, size, size),
            len(made.train),
            len(made.test),
            made.classes,
            (*made.notes, *files_.notes(files)),
            decoding.VERSION,
        )
        findings = _read_findings(_stored(info, cache))  # of images that were decoded before
        found = _notes(info, findings, files.root) if findings else ()
        return replace(info, notes=(*info.notes, *found))

    def load(self, info: DatasetInfo, cache: Path) -> tuple[Arrays, tuple[str, ...]]:
        """Return the arrays, decoding all images at the first use of this content.

        Raises UserError where an image cannot be decoded, where the splits share too many
        pictures, and where the images are of an older decoding and no longer in the cache.
        """
        stored = _stored(info, cache)
        read = _read(stored, info)
        if read is None:
            if info.version != decoding.VERSION:
                raise UserError(
                    "these runs' images were decoded by an older lipbench (version "
                    f"{info.version}, now {decoding.VERSION}), and {stored} is missing or "
                    "damaged; run the suite anew"
                )
            read = _make(info, self._given, cache)
            _write(stored, *read)
        arrays, findings = read
        return arrays, _notes(info, findings, self._given) if findings else ()


def _stored(info: DatasetInfo, cache: Path) -> Path:
    name = f"{info.fingerprint[:32]}-{info.image_size}-{info.channels}.npz"
    return cache / "datasets" / name


def _make(info: DatasetInfo, path: Path, cache: Path) -> tuple[Arrays, Findings]:
    files = files_.find(path)
    if _fingerprint(files, cache) != info.fingerprint:
        raise UserError(
            f"{shown(files.root)} has changed since this command read it; run it again"
        )
    made = layout(files)
    train, test = (
        decoding.decode(files, names, info.image_size, info.channels)
        for names in (made.train, made.test)
    )
    arrays = {
        "train_samples": train.images,
        "train_labels": _labels(made, made.train),
        "test_samples": test.images,
        "test_labels": _labels(made, made.test),
    }
    return arrays, _found(made, train, test)


def _labels(made: Layout, names: tuple[str, ...]) -> np.ndarray:
    return np.array([made.labels[name] for name in names], np.int64)


def _found(made: Layout, train: Decoded, test: Decoded) -> Findings:
    of_train, of_test = (
        [hashlib.sha256(pixels.tobytes()).digest() for pixels in part.images]
        for part in (train, test)
    )
    twins = dict(zip(reversed(of_train), reversed(made.train), strict=True))
    pairs = zip(made.test, of_test, strict=True)
    shared = [(name, twins[picture]) for name, picture in pairs if picture in twins]
    return Findings(
        shared=len(shared),
        example=shared[0] if shared else None,
        repeated_train=len(of_train) - len(set(of_train)),
        repeated_test=len(of_test) - len(set(of_test)),
        with_frames=train.with_frames + test.with_frames,
        cropped=train.cropped + test.cropped,
    )


def _notes(info: DatasetInfo, findings: Findings, path: Path | None) -> tuple[str, ...]:
    """Return what decoding found, a sentence each; raise UserError for splits that overlap."""
    notes = []
    if findings.example:
        twin = " and ".join(map(shown, findings.example))
        told = (
            f"test images that are in the train split too: {findings.shared:,} of "
            f"{info.n_test:,}, e.g. {twin}"
        )
        if findings.shared > LARGEST_SHARED * info.n_test:
            raise UserError(
                f"{shown(path)}: {told}; at most {LARGEST_SHARED:.0%} may be: remove the copies"
            )
        notes.append(told)
    repeated = findings.repeated_train + findings.repeated_test
    if repeated:
        notes.append(
            f"images that repeat another one of their split: {repeated:,} "
            f"({findings.repeated_train:,} in train, {findings.repeated_test:,} in test)"
        )
    if findings.with_frames:
        notes.append(
            f"files with several frames, of which the first is used: {findings.with_frames:,}"
        )
    if findings.cropped:
        notes.append(f"images that are not square, cropped to the middle: {findings.cropped:,}")
    return tuple(notes)


def _read(path: Path, info: DatasetInfo) -> tuple[Arrays, Findings | None] | None:
    """Return stored arrays and findings (older files have none); None without a sound file."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = dict(stored)
        kept = arrays.pop("findings", None)
        findings = None if kept is None else _findings(kept)
        sound = all(_fits(arrays, split, n, info) for split, n in _sizes(info))
    except _DAMAGE:
        return None
    return (arrays, findings) if sound and (findings or info.version == 1) else None


def _read_findings(path: Path) -> Findings | None:
    """Return the findings of a stored file, without its arrays; None where it has none."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return _findings(stored["findings"])
    except _DAMAGE:
        return None


def _findings(kept: np.ndarray) -> Findings:
    facts: dict[str, Any] = json.loads(kept.tobytes())
    return Findings(**{**facts, "example": tuple(facts["example"]) if facts["example"] else None})


def _sizes(info: DatasetInfo) -> tuple[tuple[str, int], ...]:
    return ("train", info.n_train), ("test", info.n_test)


def _fits(arrays: Arrays, split: str, count: int, info: DatasetInfo) -> bool:
    images, labels = arrays[f"{split}_samples"], arrays[f"{split}_labels"]
    shape = (count, info.image_size, info.image_size, info.channels)
    right_images = images.shape == shape and images.dtype == np.uint8
    return right_images and labels.shape == (count,) and labels.dtype == np.int64


def _write(path: Path, arrays: Arrays, findings: Findings) -> None:
    kept = np.frombuffer(json.dumps(asdict(findings)).encode(), np.uint8)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # numpy's type of an open file is wider than BinaryIO.
        atomic.replace(path, lambda file: np.savez(file, findings=kept, **arrays))  # type: ignore[arg-type]
    except OSError as error:
        raise cached.refusal(path, error) from error


def _fingerprint(files: Files, cache: Path) -> str:
    """Return the sha256 of all names and contents."""
    version = decoding.VERSION

    def compute() -> str:
        digest = hashlib.sha256(f"images version {version}".encode())
        for name in files.names:
            digest.update(f"{name}\0{hashlib.sha256(files.read(name)).hexdigest()}\n".encode())
        return digest.hexdigest()

    return fingerprints.remembered(cache, f"images {version}\n{files.signature}", compute)
