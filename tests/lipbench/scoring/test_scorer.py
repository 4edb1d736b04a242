from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.transforms.functional as vision
from torch import Tensor, nn

from lipbench.data import Dataset
from lipbench.errors import UserError
from lipbench.protocols import Use, protocol
from lipbench.scoring import NonFiniteImages, Scorer, ScoreRecord, prepare, reference
from lipbench.streams import Latents

DIGITS = protocol("digits")


class Replay(nn.Module):
    """A generator that shows given images, uint8 (N, C, H, W), in their order."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.images = nn.Buffer(images)
        self.shown = 0

    def forward(self, latents: Tensor) -> Tensor:
        index = torch.arange(self.shown, self.shown + len(latents)) % len(self.images)
        self.shown += len(latents)
        return self.images[index].float() / 127.5 - 1


class Dense(nn.Sequential):
    def __init__(self) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            super().__init__(
                nn.Linear(8, 256), nn.BatchNorm1d(256), nn.Tanh(), nn.Unflatten(1, (1, 16, 16))
            )


@pytest.fixture(scope="module")
def scorer(digits: Dataset, cpu: torch.device, cache: Path) -> Scorer:
    return Scorer(DIGITS, digits, cpu, cache)


@pytest.fixture(scope="module")
def real(digits: Dataset) -> Tensor:
    """The training images of the floor, (1000, 1, 16, 16)."""
    index = reference.draw(DIGITS, digits).floor
    assert index is not None
    return digits.train.samples[index].permute(0, 3, 1, 2)


def score(scorer: Scorer, images: Tensor) -> ScoreRecord:
    return scorer.score(Replay(images), latents=Latents(2), seed=0, update=0)


def test_scores_of_images_as_they_are_need_no_extractor(
    scorer: Scorer, digits: Dataset, cpu: torch.device, real: Tensor, tmp_path: Path
) -> None:
    """A record of such scores alone asks for no weights, and its numbers are the same."""
    of_pixels = dataclasses.replace(
        DIGITS,
        extractor="none",
        weights_sha256="",
        scores={"mmd_pixels": Use(), "parzen_pixels": Use()},
        primary="mmd_pixels",
        selection=dataclasses.replace(DIGITS.selection, scores=("mmd_pixels",)),
    )
    prepare(of_pixels, tmp_path)
    found = score(Scorer(of_pixels, digits, cpu, tmp_path), real)
    everything = score(scorer, real)
    for name in of_pixels.scores:
        assert found.scores[name] == everything.scores[name]
        assert found.floors[name] == everything.floors[name]
    assert not (tmp_path / "features").exists()


def test_real_images_in_the_generators_place_score_the_floor(scorer: Scorer, real: Tensor) -> None:
    record = score(scorer, real)
    apart = {"authenticity_digits", "parzen_pixels"}  # whose floors leave training images out
    scores = {name: v for name, v in record.scores.items() if name in record.floors}
    assert {k: v for k, v in scores.items() if k not in apart} == pytest.approx(
        {k: v for k, v in record.floors.items() if k not in apart}, rel=1e-9
    )
    assert record.scores["authenticity_digits"] == 0  # they are copies
    assert not record.collapsed


def test_a_record_says_what_it_is_and_is_plain_json(scorer: Scorer) -> None:
    record = scorer.score(Dense(), latents=Latents(8), seed=0, update=70)
    assert (record.update, record.checkpoint, record.protocol) == (70, "last", DIGITS.id)
    assert record.counts == {"n_real": 599, "n_fake": 1000, "sets": 3, "bootstrap": 20}
    assert set(record.scores) == set(record.errors) == set(DIGITS.scores)
    assert set(record.spreads) == {name for name, use in DIGITS.scores.items() if use.sets > 1}
    assert set(record.indices) == {"real", "selection", "training", "floor"}
    plain = json.dumps(record.to_json())
    assert json.dumps(json.loads(plain)) == plain


def test_what_chooses_a_checkpoint_has_other_latents_and_other_real_images(
    scorer: Scorer, real: Tensor
) -> None:
    generator = Dense()
    chosen = scorer.select(generator, latents=Latents(8), seed=0, update=3)
    reported = scorer.score(generator, latents=Latents(8), seed=0, update=3)
    assert (chosen.checkpoint, set(chosen.scores)) == ("selection", set(DIGITS.selection.scores))
    assert chosen.scores["cs_digits"] != reported.scores["cs_digits"]  # no real image is in it
    # Training images are nearer to the selection's, which are some of them, than to the test's.
    assert (
        scorer.select(Replay(real), latents=Latents(2), seed=0, update=0).scores["fd_digits"]
        < score(scorer, real).scores["fd_digits"]
    )


def test_more_blur_scores_worse(scorer: Scorer, real: Tensor) -> None:
    distances = [
        score(scorer, vision.gaussian_blur(real, 9, sigma)).scores["fd_digits"]
        for sigma in (0.5, 1.0, 2.0)
    ]
    floor = score(scorer, real).floors["fd_digits"]
    assert floor < distances[0] < distances[1] < distances[2]


def test_more_noise_scores_worse(scorer: Scorer, real: Tensor) -> None:
    noise = torch.randn(real.shape, generator=torch.Generator().manual_seed(0))
    noisy = [(real + scale * noise).clamp(0, 255).round().byte() for scale in (15, 50, 150)]
    distances = [score(scorer, images).scores["fd_digits"] for images in noisy]
    assert distances == sorted(distances)


def test_dropped_digits_are_missed_by_every_score(scorer: Scorer, real: Tensor) -> None:
    labels = scorer._extractor.network(real)[1].argmax(dim=1)
    records = [score(scorer, real[labels < kept]) for kept in (10, 9, 5, 1)]
    distances = [record.scores["fd_digits"] for record in records]
    classifier = [record.scores["cs_digits"] for record in records]
    assert distances == sorted(distances)
    assert classifier == sorted(classifier, reverse=True)
    assert [record.scores["modes_covered_digits"] for record in records] == [10, 9, 5, 1]


def test_one_image_is_a_collapse(scorer: Scorer, real: Tensor) -> None:
    record = score(scorer, real[:1])
    assert record.collapsed
    assert record.scores["cs_digits"] == pytest.approx(1)
    assert record.scores["fd_digits"] <= 1200  # what a diverged run counts as


def test_latents_are_new_at_each_update_and_the_same_when_asked_again(scorer: Scorer) -> None:
    generator = Dense()

    def distance(seed: int, update: int) -> float:
        record = scorer.score(generator, latents=Latents(8), seed=seed, update=update)
        return record.scores["fd_digits"]

    assert distance(0, 5) == distance(0, 5)
    assert len({distance(0, 5), distance(0, 6), distance(1, 5)}) == 3


def test_scoring_leaves_the_generator_and_the_global_random_state(scorer: Scorer) -> None:
    generator = Dense().train()
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    scorer.score(generator, latents=Latents(8), seed=0, update=0)
    assert torch.get_rng_state().equal(torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)
    assert all(module.training for module in generator.modules())
    assert all(value.equal(before[name]) for name, value in generator.state_dict().items())


def test_making_a_scorer_leaves_the_global_random_state(
    digits: Dataset, cpu: torch.device, tmp_path: Path
) -> None:
    state = torch.get_rng_state()
    Scorer(DIGITS, digits, cpu, tmp_path)
    assert torch.get_rng_state().equal(state)


def test_a_score_is_the_mean_over_its_own_number_of_sets(
    digits: Dataset, cpu: torch.device, cache: Path, scorer: Scorer, real: Tensor
) -> None:
    scores = {"fd_digits": Use(), "cs_digits": Use(sets=3)}
    chosen = dataclasses.replace(DIGITS.selection, scores=("fd_digits",))
    thrice = dataclasses.replace(DIGITS, version=0, scores=scores, selection=chosen)
    sets = (real, real[:1].expand(1000, -1, -1, -1), vision.gaussian_blur(real, 9, 2.0))
    repeated = score(Scorer(thrice, digits, cpu, cache), torch.cat(sets))
    single = [score(scorer, images).scores for images in sets]
    values = [scores["cs_digits"] for scores in single]
    assert repeated.scores["cs_digits"] == pytest.approx(np.mean(values))
    assert repeated.spreads == {"cs_digits": pytest.approx(np.std(values, ddof=1))}
    assert repeated.scores["fd_digits"] == single[0]["fd_digits"]
    assert repeated.counts["sets"] == 3


def test_a_score_takes_as_many_images_as_it_says(
    digits: Dataset, cpu: torch.device, cache: Path, scorer: Scorer, real: Tensor
) -> None:
    few = {"fd_digits": Use(), "cs_digits": Use(n_fake=100)}
    chosen = dataclasses.replace(DIGITS.selection, scores=("fd_digits",))
    fewer = dataclasses.replace(DIGITS, version=0, scores=few, selection=chosen)
    record = score(Scorer(fewer, digits, cpu, cache), real)
    logits = scorer._extractor.network(real[:100])[1].double()
    p = logits.softmax(dim=1)
    kl = (p * (p.log() - p.mean(dim=0).log())).sum(dim=1)
    assert record.scores["cs_digits"] == pytest.approx(kl.mean().exp().item(), rel=1e-6)
    assert record.scores["fd_digits"] == pytest.approx(score(scorer, real).scores["fd_digits"])


def test_a_standard_error_is_as_large_as_the_spread_over_latents(scorer: Scorer) -> None:
    generator = Dense()
    records = [scorer.score(generator, latents=Latents(8), seed=s, update=0) for s in range(6)]
    for name in ("fd_digits", "cs_digits"):
        spread = np.mean([record.spreads[name] for record in records])
        error = np.mean([record.errors[name] for record in records])
        assert 0.4 < error / spread < 2.5


def test_a_protocol_without_a_bootstrap_has_no_errors(
    digits: Dataset, cpu: torch.device, cache: Path
) -> None:
    without = dataclasses.replace(DIGITS, version=0, bootstrap=0)
    record = Scorer(without, digits, cpu, cache).score(
        Dense(), latents=Latents(8), seed=0, update=0
    )
    assert record.errors == {}


def test_images_that_are_not_finite_are_refused(scorer: Scorer) -> None:
    generator = Dense()
    with torch.no_grad():
        generator[0].bias[3] = float("nan")
    with pytest.raises(NonFiniteImages):
        scorer.score(generator, latents=Latents(8), seed=0, update=0)


def test_a_dataset_too_small_is_refused_before_anything_is_loaded(
    digits: Dataset, cpu: torch.device, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"needs 10,000 test and 10,000 .*has 599 and 1,198"):
        Scorer(protocol("miyato2018"), digits, cpu, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_here_need_no_preparation(cache: Path) -> None:
    prepare(DIGITS, cache)


def test_the_digits_are_scored_in_seconds(scorer: Scorer) -> None:
    scorer.score(Dense(), latents=Latents(8), seed=0, update=0)
    start = time.process_time()
    scorer.score(Dense(), latents=Latents(8), seed=0, update=0)
    assert time.process_time() - start < 30  # of a busy core; minutes would be a fault
