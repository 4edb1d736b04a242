from __future__ import annotations

import json

import pytest
import torch

from lipbench.data import Dataset
from lipbench.protocols.scores import DIGITS_SHA256
from lipbench.scoring import digits as classifier
from lipbench.scoring import weights
from lipbench.scoring.features import extract
from lipbench.scoring.train_digits import accuracy, augmented, train

FACTS = json.loads(classifier.WEIGHTS.with_suffix(".json").read_text())


def test_the_shipped_weights_are_the_pinned_ones() -> None:
    assert weights.digest(classifier.WEIGHTS.read_bytes()) == DIGITS_SHA256 == FACTS["sha256"]


def test_the_shipped_weights_are_as_accurate_as_they_say(
    digits: Dataset, cpu: torch.device
) -> None:
    extractor = classifier.build(classifier.WEIGHTS.read_bytes()).to(cpu)
    features = extract(extractor, digits.test.samples.permute(0, 3, 1, 2))
    right = (features.logits.argmax(dim=1) == digits.test.labels).float().mean().item()
    assert features.pooled.shape == (599, 64)
    assert right == pytest.approx(FACTS["accuracy"], abs=1e-4)
    assert right > 0.98
    assert digits.fingerprint == FACTS["dataset_fingerprint"]
    assert (len(digits.train), len(digits.test)) == (FACTS["n_train"], FACTS["n_test"])


def test_larger_digits_are_scaled_to_the_classifiers_size(
    digits: Dataset, cpu: torch.device
) -> None:
    extractor = classifier.build(classifier.WEIGHTS.read_bytes()).to(cpu)
    images = digits.test.samples.permute(0, 3, 1, 2)
    doubled = images.repeat_interleave(2, 2).repeat_interleave(2, 3)
    right = extract(extractor, doubled).logits.argmax(dim=1) == digits.test.labels
    assert right.float().mean() > 0.97


def test_training_learns_and_a_seed_decides_it(digits: Dataset) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        state = torch.get_rng_state()
        first, again, other = (train(digits.train, epochs=2, seed=seed) for seed in (0, 0, 1))
        assert torch.get_rng_state().equal(state)
    finally:
        torch.set_num_threads(threads)
    assert accuracy(first, digits.test) > 0.5
    assert first.hidden.weight.equal(again.hidden.weight)
    assert not first.hidden.weight.equal(other.hidden.weight)


def test_augmented_digits_are_still_gray_images(digits: Dataset) -> None:
    images = digits.train.samples[:20].permute(0, 3, 1, 2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        moved = augmented(images)
    assert moved.shape == images.shape
    assert 0 <= moved.min() <= moved.max() <= 255
    assert 1 < (moved - images).abs().mean() < 60
