"""Precision, recall, density, coverage and authenticity, on a line and by brute force."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch_fidelity.metric_prc import prc_features_to_metric

from lipbench.errors import UserError
from lipbench.measure import Features, Real
from lipbench.measures import _neighbours
from lipbench.measures.authenticity import Authenticity
from lipbench.measures.coverage import Coverage
from lipbench.measures.density import Density
from lipbench.measures.precision import Precision
from lipbench.measures.recall import Recall

MEASURES: dict[str, type[Precision | Recall | Density | Coverage]] = {
    "precision": Precision, "recall": Recall, "density": Density, "coverage": Coverage
}  # fmt: skip
NAMES = tuple(MEASURES)


def features(pooled: Tensor) -> Features:
    return Features(pooled, torch.zeros(len(pooled), 2))


def line(*places: float) -> Features:
    return features(torch.tensor(places).float()[:, None])


def scores(fake: Features, real: Real, k: int) -> dict[str, float]:
    return {name: MEASURES[name](neighbours=k).value(fake, real) for name in NAMES}


def brute_force(fake: Tensor, real: Tensor, k: int) -> dict[str, float]:
    """The papers' definitions, image by image."""

    def radius(images: Tensor, i: int) -> float:
        others = [math.dist(images[i], images[j]) for j in range(len(images)) if j != i]
        return sorted(others)[k - 1]

    of_real = [radius(real, j) for j in range(len(real))]
    of_fake = [radius(fake, i) for i in range(len(fake))]
    distance = [[math.dist(x, y) for y in real] for x in fake]
    in_real = [[d <= r for d, r in zip(row, of_real, strict=True)] for row in distance]
    in_fake = [[d <= of_fake[i] for d in row] for i, row in enumerate(distance)]
    return {
        "precision": sum(any(row) for row in in_real) / len(fake),
        "recall": sum(any(column) for column in zip(*in_fake, strict=True)) / len(real),
        "density": sum(map(sum, in_real)) / (k * len(fake)),
        "coverage": sum(any(column) for column in zip(*in_real, strict=True)) / len(real),
    }


def test_points_on_a_line_are_solvable_by_hand() -> None:
    """With one neighbour real balls are [-1, 1], [0, 2], [1, 5] + [-1, 7] and [4, 12]... ."""
    real = Real(line(0, 1, 3, 8))  # radii 1, 1, 2, 5
    fake = line(0.5, 4, 20, 21)  # radii 3.5, 3.5, 1, 1
    found = scores(fake, real, k=1)
    assert found["precision"] == 2 / 4  # 0.5 and 4
    assert found["density"] == (2 + 2) / 4  # 0.5 in the balls of 0 and 1; 4 in those of 3 and 8
    assert found["coverage"] == 4 / 4
    assert found["recall"] == 3 / 4  # 8 is out of [-3, 4] and [0.5, 7.5]


@pytest.mark.parametrize("k", [1, 3, 5, 10])
def test_the_four_are_the_papers_definitions(k: int) -> None:
    generator = torch.Generator().manual_seed(k)
    real = torch.randn(60, 3, generator=generator)
    fake = 1.5 * torch.randn(45, 3, generator=generator) + 1.5
    fake[:, 2] /= 5
    expected = brute_force(fake, real, k)
    assert scores(features(fake), Real(features(real)), k) == pytest.approx(expected)
    assert 0 < min(expected.values()) < expected["recall"] < 1


@pytest.mark.parametrize("k", [3, 5])
def test_precision_and_recall_are_torch_fidelitys(k: int) -> None:
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(2500, 16, generator=generator).relu()  # more than a block
    fake = (1.1 * torch.randn(2100, 16, generator=generator) + 0.3).relu()
    theirs = prc_features_to_metric(
        fake, real, prc_neighborhood=k, prc_batch_size=10000, save_cpu_ram=False, verbose=False
    )
    found = scores(features(fake), Real(features(real)), k)
    assert found["precision"] == pytest.approx(theirs["precision"], rel=1e-6)
    assert found["recall"] == pytest.approx(theirs["recall"], rel=1e-6)
    assert 0.1 < found["precision"] < found["recall"] < 0.995


def test_one_law_scores_a_density_of_about_one_and_the_papers_coverage() -> None:
    """Naeem et al. (2020) expect 1 and, of as many fakes as real images, 1 - 2^-k (here 5)."""
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, 2000, 8, generator=generator)
    found = scores(features(fake), Real(features(real)), k=5)
    assert found["density"] == pytest.approx(1, abs=0.05)
    assert found["coverage"] == pytest.approx(1 - 2**-5, abs=0.015)


def test_the_distances_of_a_pair_are_computed_once_for_all_four(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shapes = []
    cdist = torch.cdist

    def counted(first: Tensor, second: Tensor) -> Tensor:
        shapes.append((len(first), len(second)))
        return cdist(first, second)

    monkeypatch.setattr(_neighbours.torch, "cdist", counted)
    generator = torch.Generator().manual_seed(0)
    real, fake = Real(features(torch.randn(30, 2, generator=generator))), line(*range(20))
    fake = features(fake.pooled.repeat(1, 2))
    for name in NAMES:
        measure = MEASURES[name]()
        measure.value(fake, real)
        count = 30 if measure.resamples == "real" else 20
        measure.replicates(fake, real, torch.ones(2, count).double())
    assert sorted(shapes) == [(20, 20), (20, 30), (30, 30)]
    scores(line(*range(20))._replace(pooled=fake.pooled + 1), real, 3)
    assert sorted(shapes[3:]) == [(20, 20), (20, 30)]  # the real images' are kept


def test_draws_weigh_images_and_keep_balls() -> None:
    real, fake = Real(line(0, 1, 3, 8)), line(0.5, 4, 20, 21)
    weights = torch.tensor([[3.0, 1, 0, 0], [0, 0, 2, 2]], dtype=torch.float64)
    expected = {"precision": [1, 0], "density": [2, 0], "recall": [1, 0.5], "coverage": [1, 1]}
    for name in NAMES:
        found = MEASURES[name](neighbours=1).replicates(fake, real, weights)
        assert found.tolist() == expected[name]
    assert [MEASURES[name].resamples for name in NAMES] == ["fake", "real", "fake", "real"]


def authenticity(fake: Features, training: Features) -> float:
    return Authenticity().value(fake, Real(fake, training=training))


def test_a_fake_nearer_to_a_training_image_than_its_neighbour_is_a_copy() -> None:
    training = line(0, 1, 3, 8)  # nearest others at 1, 1, 2, 5
    assert authenticity(line(-0.5, -2.5, 4.9, 5.1, 12, 14), training) == 3 / 6  # -2.5, 5.1, 14


def test_copies_are_not_authentic_even_of_images_that_are_there_twice() -> None:
    generator = torch.Generator().manual_seed(0)
    training = 10 * torch.rand(1200, 40, generator=generator)  # more than a block
    training[5] = training[6]
    assert authenticity(features(training.clone()), features(training)) == 0
    near = training + 1e-3
    assert authenticity(features(near), features(training)) == 2 / 1200  # the twins' own are at 0


def test_fresh_images_are_between_copies_and_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    training, fresh = torch.randn(2, 1500, 10, generator=generator)
    assert authenticity(features(training + 1e-2), features(training)) == 0
    assert 0.4 < authenticity(features(fresh), features(training)) < 0.8
    assert authenticity(features(5 * fresh), features(training)) > 0.95


def test_authenticity_is_brute_force_over_blocks() -> None:
    generator = torch.Generator().manual_seed(0)
    training, fake = (torch.randn(n, 2, generator=generator) for n in (1100, 1050))
    distances = (fake[:, None] - training[None]).norm(dim=2)
    own = (training[:, None] - training[None]).norm(dim=2).fill_diagonal_(torch.inf).amin(dim=1)
    expected = (distances.amin(dim=1) > own[distances.argmin(dim=1)]).float().mean().item()
    assert authenticity(features(fake), features(training)) == pytest.approx(expected, abs=2e-3)


def test_one_training_image_has_no_other() -> None:
    with pytest.raises(UserError, match="2 training images or more, not 1"):
        authenticity(line(1, 2), line(0))
