from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from lipbench.data import Dataset, Split
from lipbench.protocols import Protocol, Selection, Use, protocol
from lipbench.scoring import extractors
from lipbench.scoring.features import Extractor
from lipbench.scoring.reference import Reference, draw, stratified_index

DIGITS = protocol("digits")


@pytest.fixture(scope="module")
def extractor(cpu: torch.device, cache: Path) -> Extractor:
    return extractors.load(DIGITS, cache).to(cpu)


@pytest.fixture(scope="module")
def reference(digits: Dataset, extractor: Extractor, cache: Path) -> Reference:
    return Reference(DIGITS, digits, extractor, cache)


def test_an_index_of_a_sorted_dataset_has_every_class() -> None:
    labels = torch.arange(10).repeat_interleave(100)
    index = stratified_index(labels, 250, "test")
    assert labels[index].bincount().tolist() == [25] * 10
    assert len(index.unique()) == 250
    assert not index.equal(torch.arange(250))


def test_an_index_keeps_the_shares_of_unequal_classes() -> None:
    labels = torch.tensor([0] * 61 + [1] * 30 + [2] * 10)
    drawn = labels[stratified_index(labels, 50, "test")].bincount()
    assert drawn.tolist() == [30, 15, 5]  # 30.2, 14.85, 4.95: the largest remainders get one


def test_an_index_is_one_draw_by_name() -> None:
    labels = torch.zeros(500, dtype=torch.long)
    first = stratified_index(labels, 100, "test")
    assert first.equal(stratified_index(labels, 100, "test"))
    assert not first.equal(stratified_index(labels, 100, "train"))
    assert stratified_index(labels, 500, "test").equal(torch.arange(500))


def halves(n_fake: int = 1000) -> Protocol:
    """The digits' protocol with the two halves of the test split, and floors of that too."""
    return dataclasses.replace(
        DIGITS,
        version=0,
        n_real=300,
        n_fake=n_fake,
        selection=Selection("test", 299, 1000, ("fd_digits",)),
        scores={"fd_digits": Use(), "precision_digits": Use(n_real=100, n_fake=50)},
    )


def test_a_checkpoint_is_chosen_by_real_images_that_are_not_reported_on(digits: Dataset) -> None:
    draws = draw(halves(), digits)
    assert (len(draws.real), len(draws.selection)) == (300, 299)
    assert not torch.isin(draws.real, draws.selection).any()
    for index in (draws.real, draws.selection):
        assert digits.test.labels[index].bincount().min() >= 25  # of 10 classes


def test_a_floor_shares_no_image_with_the_real_ones(digits: Dataset) -> None:
    within = dataclasses.replace(halves(200), floor_split="test")
    draws = draw(within, digits)
    assert draws.floor is not None
    assert not torch.isin(draws.floor, draws.real).any()
    assert not draws.floor.equal(draws.floor.sort().values)  # some scores take the first few


def test_where_too_few_real_images_are_left_there_is_no_floor(
    digits: Dataset, extractor: Extractor, tmp_path: Path
) -> None:
    within = dataclasses.replace(halves(300), floor_split="test")
    assert draw(within, digits).floor is None
    assert Reference(within, digits, extractor, tmp_path).floors == {}


def test_a_score_with_fewer_real_images_has_every_class_of_them(
    digits: Dataset, extractor: Extractor, tmp_path: Path
) -> None:
    made = Reference(halves(), digits, extractor, tmp_path)
    assert len(made.real("fd_digits").features.pooled) == 300
    few = made.real("precision_digits").features
    assert len(few.pooled) == 100
    assert few.logits.argmax(dim=1).bincount(minlength=10).min() >= 7


def test_scores_with_the_same_images_share_them(reference: Reference) -> None:
    assert reference.real("fd_digits") is reference.real("recall_digits")
    assert reference.real("fd_digits") is not reference.selection("fd_digits")
    assert reference.real("parzen_pixels").features.pooled.shape == (599, 256)


def test_the_floors_of_the_digits_are_those_of_good_images(reference: Reference) -> None:
    floors = reference.floors
    assert 0 < floors["fd_digits"] < 10
    assert 9.5 < floors["cs_digits"] <= 10
    assert floors["modes_covered_digits"] == 10
    assert floors["precision_digits"] > 0.8
    assert floors["recall_digits"] > 0.8


def test_the_floor_of_authenticity_is_of_images_that_were_not_trained_on(
    reference: Reference,
) -> None:
    assert 0.3 < reference.floors["authenticity_digits"] < 0.8  # training images would have 0


def test_floors_are_read_and_not_computed_again(
    digits: Dataset, extractor: Extractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    floors = Reference(halves(), digits, extractor, tmp_path).floors
    monkeypatch.setattr(Reference, "_floor", None)
    assert Reference(halves(), digits, extractor, tmp_path).floors == floors


@pytest.mark.parametrize("spoiled", ["{ half of a file", "", "null", "another value"])
def test_floors_whose_file_is_damaged_are_computed_again(
    digits: Dataset, extractor: Extractor, tmp_path: Path, spoiled: str
) -> None:
    floors = Reference(halves(), digits, extractor, tmp_path).floors
    (path,) = (tmp_path / "floors").iterdir()
    sound = path.read_text()
    changed = json.loads(sound)
    changed["value"]["fd_digits"] += 1.0  # a value that reads well, and is not what was written
    path.write_text(json.dumps(changed) if spoiled == "another value" else spoiled)
    assert Reference(halves(), digits, extractor, tmp_path).floors == floors
    assert path.read_text() == sound


def test_floors_of_another_protocol_or_dataset_are_others(
    digits: Dataset, extractor: Extractor, tmp_path: Path
) -> None:
    Reference(halves(), digits, extractor, tmp_path)
    Reference(halves(900), digits, extractor, tmp_path)
    renamed = dataclasses.replace(digits, fingerprint="0" * 64)
    Reference(halves(), renamed, extractor, tmp_path)
    assert len(list((tmp_path / "floors").iterdir())) == 3


def test_the_order_of_a_split_does_not_change_which_classes_are_drawn(
    digits: Dataset, extractor: Extractor, tmp_path: Path
) -> None:
    order = digits.train.labels.argsort(stable=True)
    train = Split(digits.train.samples[order], digits.train.labels[order])
    in_classes = dataclasses.replace(digits, train=train, fingerprint="sorted")
    floors = Reference(halves(), in_classes, extractor, tmp_path).floors
    assert floors["fd_digits"] < 10
    assert floors["precision_digits"] > 0.7  # of 50 images, which are not the first classes
