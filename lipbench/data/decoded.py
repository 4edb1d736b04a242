"""Datasets of image files: decoded once (`decoding`), and kept in the cache (`store`).

Pictures of the test split that are in the train split too, pixel by pixel after decoding and
scaling, are counted; where the splits are not a data set's own, more than 1% of the test images
are refused (our choice).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from lipbench.data import Arrays, DatasetInfo, decoding, store
from lipbench.data.decoding import Decoded
from lipbench.data.files import Files, shown
from lipbench.data.layout import Layout
from lipbench.errors import UserError

LARGEST_SHARED = 0.01  # of the test images


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
class Pictures:
    """Image files with their splits and classes, and how they are scaled."""

    files: Files
    layout: Layout
    scaling: Image.Resampling | None = Image.Resampling.BICUBIC  # None: all have one size


def load(
    info: DatasetInfo,
    cache: Path,
    root: Path,
    find: Callable[[], Pictures],
    has_own_splits: bool = False,
) -> tuple[Arrays, tuple[str, ...]]:
    """Return the arrays, decoding all images at the first use of this content, and notes.

    `find` is called where they are not in the cache; `root` is where they are, for messages.
    Raises UserError as `find` does, where an image cannot be decoded, where the splits share too
    many pictures and are not the data set's own, and where the images are of an older decoding
    and no longer in the cache.
    """
    stored = store.read(info, cache)
    findings = _findings(stored[1]) if stored else None
    if stored is None or (findings is None and info.version != 1):
        if info.version != decoding.VERSION:
            raise UserError(
                "these runs' images were decoded by an older lipbench (version "
                f"{info.version}, now {decoding.VERSION}), and {store.path_of(info, cache)} is "
                "missing or damaged; run the suite anew"
            )
        pictures = find()
        stored = store.make(info, cache, lambda arrays: asdict(_fill(arrays, pictures)))
        findings = _findings(stored[1])
    return stored[0], _notes(info, findings, root, has_own_splits) if findings else ()


def notes(
    info: DatasetInfo, cache: Path, root: Path, has_own_splits: bool = False
) -> tuple[str, ...]:
    """Return the notes on images that were decoded before; raise UserError as `load` does."""
    findings = _findings(store.read_facts(info, cache))
    return _notes(info, findings, root, has_own_splits) if findings else ()


def _fill(arrays: Arrays, pictures: Pictures) -> Findings:
    layout, decoded = pictures.layout, []
    for split, names in (("train", layout.train), ("test", layout.test)):
        images = arrays[f"{split}_samples"]
        if len(names) != len(images):
            raise UserError(
                f"{shown(pictures.files.root)} has {len(names):,} {split} images; "
                f"there should be {len(images):,}"
            )
        decoded.append(decoding.decode_into(images, pictures.files, names, pictures.scaling))
        arrays[f"{split}_labels"][:] = [layout.labels[name] for name in names]
    return _found(layout, *decoded)


def _found(layout: Layout, train: Decoded, test: Decoded) -> Findings:
    of_train, of_test = (
        [hashlib.sha256(pixels.tobytes()).digest() for pixels in part.images]
        for part in (train, test)
    )
    twins = dict(zip(reversed(of_train), reversed(layout.train), strict=True))
    pairs = zip(layout.test, of_test, strict=True)
    shared = [(name, twins[picture]) for name, picture in pairs if picture in twins]
    return Findings(
        shared=len(shared),
        example=shared[0] if shared else None,
        repeated_train=len(of_train) - len(set(of_train)),
        repeated_test=len(of_test) - len(set(of_test)),
        with_frames=train.with_frames + test.with_frames,
        cropped=train.cropped + test.cropped,
    )


def _notes(
    info: DatasetInfo, findings: Findings, root: Path, has_own_splits: bool
) -> tuple[str, ...]:
    """Return what decoding found, a sentence each; raise UserError for splits that overlap."""
    notes = []
    if findings.example:
        twin = " and ".join(map(shown, findings.example))
        told = (
            f"test images that are in the train split too: {findings.shared:,} of "
            f"{info.n_test:,}, e.g. {twin}"
        )
        if findings.shared > LARGEST_SHARED * info.n_test and not has_own_splits:
            raise UserError(
                f"{shown(root)}: {told}; at most {LARGEST_SHARED:.0%} may be: remove the copies"
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


def _findings(facts: Any) -> Findings | None:
    """Return the findings among stored facts; None where there are none, or others."""
    try:
        return Findings(
            **{**facts, "example": tuple(facts["example"]) if facts["example"] else None}
        )
    except (TypeError, KeyError):
        return None
