"""Which folders are splits, and which are classes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from lipbench.data import layout
from lipbench.data.files import Files
from lipbench.errors import UserError


def files(*folders: str, count: int = 5) -> Files:
    """Return the names of so many images in each folder."""
    names = [f"{folder}/{index}.png".lstrip("/") for folder in folders for index in range(count)]
    return Files(Path("set"), tuple(sorted(names)), (), "", lambda name: b"")


def shape(made: layout.Layout) -> tuple[dict[str, int], dict[str, int]]:
    """Return the images that each split has of each folder."""
    of_train, of_test = (
        dict(Counter(name.rpartition("/")[0] for name in part)) for part in (made.train, made.test)
    )
    return of_train, of_test


DRAWN = "no train and test folders: a fifth of each class is the test split"


@pytest.mark.parametrize("train", ["train", "Train", "TRAIN"])
@pytest.mark.parametrize("test", ["test", "Test", "val", "VAL", "valid", "Validation"])
@pytest.mark.parametrize("above", ["", "archive/", "archive/images/"])
def test_split_folders_are_the_splits_in_any_case(train: str, test: str, above: str) -> None:
    given = [f"{above}{split}/{label}" for split in (train, test) for label in "ab"]
    made = layout.layout(files(*given))
    assert shape(made) == (
        {f"{above}{train}/a": 5, f"{above}{train}/b": 5},
        {f"{above}{test}/a": 5, f"{above}{test}/b": 5},
    )
    assert made.classes == ("a", "b")
    assert {made.labels[name] for name in made.test if "/b/" in name} == {1}
    said = () if test.lower() == "test" else (f"the test split is {test}/",)
    assert made.notes == said


def test_training_and_testing_are_splits_too() -> None:
    made = layout.layout(files("training/a", "Testing/a"))
    assert shape(made) == ({"training/a": 5}, {"Testing/a": 5})
    assert made.notes == ()


def test_of_train_val_and_test_val_is_left_out_and_that_is_said() -> None:
    made = layout.layout(files("train/a", "val/a", "test/a"))
    assert shape(made) == ({"train/a": 5}, {"test/a": 5})
    assert made.notes == ("val/ is left out; images in it: 5",)


def test_of_train_alone_a_fifth_of_each_class_is_the_test_split() -> None:
    made = layout.layout(files("train/a", "train/b"))
    assert shape(made) == ({"train/a": 4, "train/b": 4}, {"train/a": 1, "train/b": 1})
    assert made.notes == ("train/ without a test folder: a fifth of each class is the test split",)
    assert made.classes == ("a", "b")


@pytest.mark.parametrize(
    ("folders", "classes"),
    [
        (("a", "b"), ("a", "b")),
        (("train", "test", "other"), ("other", "test", "train")),
        (("test", "val"), ("test", "val")),
        (("a/x", "b/x"), ("a/x", "b/x")),
        (("a", "a/x"), ("a", "a/x")),
        (("set/a", "set/b"), ("a", "b")),
        (("a",), ("a",)),
        (("set/a",), ("a",)),
        (("",), ("images",)),
        (("train",), ("images",)),
        (("test",), ("test",)),
    ],
)
def test_other_folders_of_images_are_classes_by_their_path(
    folders: tuple[str, ...], classes: tuple[str, ...]
) -> None:
    made = layout.layout(files(*folders))
    assert made.classes == classes
    assert len(made.train) == 4 * len(folders)
    assert set(made.train) | set(made.test) == set(files(*folders).names)
    if folders != ("train",):
        assert made.notes == (DRAWN,)


def test_classes_within_splits_may_be_called_like_splits() -> None:
    made = layout.layout(files("train/test", "train/b", "test/test", "test/b"))
    assert made.classes == ("b", "test")
    assert shape(made)[1] == {"test/test": 5, "test/b": 5}


def test_images_directly_in_split_folders_are_one_class() -> None:
    made = layout.layout(files("train", "test"))
    assert made.classes == ("images",)
    assert shape(made) == ({"train": 5}, {"test": 5})


def test_a_class_without_test_images_is_said() -> None:
    made = layout.layout(files("train/a", "train/b", "test/a"))
    assert made.classes == ("a", "b")
    assert made.notes == ("classes without test images: b",)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (("train/a", "test/a", "test/c"), "test/ has classes that train/ has not: c"),
        (("train/a", "Train/a"), "Train/ and train/ are both a train split"),
        (("train/a", "val/a", "valid/a"), "val/ and valid/ are both a val split"),
        (("train/a", "test/a", "extra/a"), "lies in a folder test/ among class folders"),
        (("test/a", "val/a"), "lies in a folder test/ among class folders"),
        (("x/train/a", "y/test/a"), "lies in a folder train/ among class folders"),
        (("a/train", "a/test", "b/train", "b/test"), "lies in a folder test/ among class folders"),
        (("", "a"), "set: 0.png lies beside the class folders"),
        (("train", "train/a", "test/a"), "train/0.png lies beside the class folders"),
        (("", "train/a", "test/a"), "set: 0.png lies beside the class folders"),
    ],
)
def test_folders_that_are_not_clear_are_refused(folders: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError) as refused:
        layout.layout(files(*folders))
    assert message in str(refused.value)


@pytest.mark.parametrize(("folders", "count"), [(("a",), 1), (("a",), 2), (("a", "b", "c"), 2)])
def test_too_few_images_for_a_test_split_are_refused(folders: tuple[str, ...], count: int) -> None:
    with pytest.raises(UserError, match="no class has the 3 images"):
        layout.layout(files(*folders, count=count))
