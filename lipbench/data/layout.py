"""The splits and classes that the folders of images stand for.

A folder that holds everything else is passed over. Then, where all folders of the top level are
called train, training, test, testing, val, valid or validation, in any case, and one of them is a
train folder, they are the splits: `test` is the test split, or `val` without a `test`; with both,
`val` is left out. Without such folders, or with `train` alone, a fifth of each class is the test
split (our choice).

A class is a folder that holds images, named by its path below the split: `a/x` and `b/x` are two.
Images without a class folder are one class.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from lipbench.data import splits
from lipbench.data.files import Files, shown
from lipbench.errors import UserError

_TEST_FRACTION = 1 / 5
_SPLITS = {
    **{name: name for name in ("train", "test", "val")},
    **{"training": "train", "testing": "test", "valid": "val", "validation": "val"},
}
_ONLY_CLASS = "images"  # of images without a class folder


@dataclass(frozen=True)
class Layout:
    """Which images are in which split, and their classes."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    classes: tuple[str, ...]
    labels: dict[str, int]  # of each image, an index of `classes`
    notes: tuple[str, ...]  # what was chosen, a sentence each


def layout(files: Files) -> Layout:
    """Return the splits and classes of some files; raise UserError where they are not clear."""
    wrapper = _wrapper(files.names)
    inner = {name: name.removeprefix(wrapper) for name in files.names}
    folders = sorted({name.partition("/")[0] for name in inner.values() if "/" in name})
    flat = [name for name in files.names if "/" not in inner[name]]
    by_split = _by_split(files.root, folders) if not flat else {}
    if not by_split:
        classes_of = {name: _parent(path) for name, path in inner.items()}
        _check_classes(files, classes_of)
        return _drawn(files.names, classes_of, "no train and test folders")
    of_split: dict[str, list[str]] = {split: [] for split in by_split}
    classes_of = {}
    split_of = {folder: split for split, folder in by_split.items()}
    for name, path in inner.items():
        folder, _, rest = path.partition("/")
        of_split[split_of[folder]].append(name)
        classes_of[name] = _parent(rest)
    for members in of_split.values():
        _check_classes(files, {name: classes_of[name] for name in members})
    train = of_split["train"]
    if len(of_split) == 1:
        return _drawn(train, classes_of, f"{by_split['train']}/ without a test folder")
    test_split = "test" if "test" in of_split else "val"
    test = of_split[test_split]
    notes = []
    if test_split == "val":
        notes.append(f"the test split is {by_split['val']}/")
    elif "val" in of_split:
        left_out = len(of_split["val"])
        notes.append(f"{by_split['val']}/ is left out; images in it: {left_out:,}")
    of_train, of_test = ({classes_of[name] for name in part} for part in (train, test))
    if unknown := sorted(of_test - of_train):
        raise UserError(
            f"{shown(files.root)}: {by_split[test_split]}/ has classes that {by_split['train']}/ "
            f"has not: {_listed(unknown)}"
        )
    if missing := sorted(of_train - of_test):
        notes.append(f"classes without test images: {_listed(missing)}")
    return _made(train, test, classes_of, notes)


def _wrapper(names: Iterable[str]) -> str:
    """Return the folders, with a slash, that hold all images and are neither class nor split."""
    parents = [PurePosixPath(name).parent.parts for name in names]
    depth = 0
    while True:
        inner = {parts[depth : depth + 1] for parts in parents}
        deeper = all(len(parts) > depth + 1 for parts in parents)
        if len(inner) > 1 or not deeper or next(iter(inner))[0].lower() in _SPLITS:
            return "".join(f"{part}/" for part in parents[0][:depth])
        depth += 1


def _by_split(root: Path, folders: list[str]) -> dict[str, str]:
    """Return the folder of each split, or nothing where these folders are not splits."""
    if any(folder.lower() not in _SPLITS for folder in folders):
        return {}
    found: dict[str, str] = {}
    for folder in folders:
        split = _SPLITS[folder.lower()]
        if split in found:
            raise UserError(
                f"{shown(root)}: {found[split]}/ and {folder}/ are both a {split} split; "
                "rename one"
            )
        found[split] = folder
    return found if "train" in found else {}


def _check_classes(files: Files, classes_of: dict[str, str]) -> None:
    """Raise UserError for images beside class folders, and for splits among class folders."""
    classes = set(classes_of.values())
    if len(classes) > 1 and "" in classes:
        stray = next(name for name, label in classes_of.items() if not label)
        raise files.refuse(stray, "lies beside the class folders; move it into one of them")
    for name, label in classes_of.items():
        parts = PurePosixPath(label).parts
        for part in parts if len(parts) > 1 else ():
            if part.lower() in _SPLITS:
                raise files.refuse(
                    name,
                    f"lies in a folder {shown(part)}/ among class folders, which is no split: "
                    "splits are the folders of the top level, where each is called train, test or "
                    "val and one is a train folder",
                )


def _drawn(names: Iterable[str], classes_of: dict[str, str], why: str) -> Layout:
    """Return a layout whose test split is drawn."""
    members = np.array(sorted(names), dtype=object)
    classes, labels = np.unique([classes_of[name] for name in members], return_inverse=True)
    train, test = splits.stratified(labels, _TEST_FRACTION)
    note = f"{why}: a fifth of each class is the test split"
    made = _made(members[train].tolist(), members[test].tolist(), classes_of, [note])
    if not made.test:
        raise UserError(
            "a fifth of each class is the test split, and no class has the 3 images that it needs "
            f"(images: {len(members)}, classes: {len(classes)}); give a train and a test folder"
        )
    return made


def _made(
    train: list[str], test: list[str], classes_of: dict[str, str], notes: list[str]
) -> Layout:
    used = sorted({classes_of[name] for name in (*train, *test)})
    index = {label: number for number, label in enumerate(used)}
    labels = {name: index[classes_of[name]] for name in (*train, *test)}
    classes = tuple(label or _ONLY_CLASS for label in used)
    return Layout(tuple(train), tuple(test), classes, labels, tuple(notes))


def _parent(name: str) -> str:
    return name.rpartition("/")[0]


def _listed(names: list[str]) -> str:
    listed = ", ".join(shown(name) or _ONLY_CLASS for name in names[:5])
    return f"{listed}, ... ({len(names)})" if len(names) > 5 else listed
