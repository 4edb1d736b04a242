"""Frechet distances against closed forms, scipy's matrix root and torch-fidelity."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor
from torch_fidelity.metric_fid import fid_statistics_to_metric

from lipbench.errors import UserError
from lipbench.measure import Features, Real
from lipbench.measures._frechet import Moments, fit, frechet_distance, influences, moments
from lipbench.measures.frechet_distance import FrechetDistance
from lipbench.measures.frechet_distance_infinity import (
    FrechetDistanceInfinity,
    extrapolate,
    line,
    subset_counts,
)

FD, INFINITE = FrechetDistance(), FrechetDistanceInfinity(points=6)


def gaussian(count: int, dimension: int, seed: int, shift: float = 0.0) -> Tensor:
    """Correlated features, whose covariance is the same for every seed."""
    mix = torch.randn(dimension, dimension, generator=torch.Generator().manual_seed(99))
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, dimension, generator=generator) @ mix / dimension**0.5 + shift


def features(pooled: Tensor) -> Features:
    return Features(pooled, torch.zeros(len(pooled), 2))


def theirs(first: Moments, second: Moments) -> float:
    """torch-fidelity's distance."""
    named = [{"mu": each.mean, "sigma": each.covariance} for each in (first, second)]
    found = fid_statistics_to_metric(*named, verbose=False)
    return float(found["frechet_inception_distance"])


def by_matrix_root(first: Moments, second: Moments) -> float:
    """The formula as it is written, through scipy."""
    root = scipy.linalg.sqrtm(first.covariance @ second.covariance).real
    difference = (first.mean - second.mean).astype(float)
    trace = np.trace(first.covariance + second.covariance - 2 * root)
    return float(difference @ difference + trace)


def test_diagonal_gaussians_are_solvable_by_hand() -> None:
    first = Moments(np.float32([0, 1, 0]), np.diag([1.0, 4, 0]))
    second = Moments(np.float32([0, 3, 0]), np.diag([9.0, 4, 16]))
    expected = 2**2 + (1 - 3) ** 2 + 0 + 4**2
    assert frechet_distance(first, second) == pytest.approx(expected)
    assert frechet_distance(second, first) == pytest.approx(expected)


def test_scaled_copies_of_one_set_have_a_closed_form() -> None:
    pooled = gaussian(300, 20, seed=0)
    first = moments(pooled)
    tripled = Moments(first.mean, 9 * first.covariance)  # the root of C · 9C is 3C
    expected = (3 - 1) ** 2 * np.trace(first.covariance)
    assert frechet_distance(first, tripled) == pytest.approx(expected, rel=1e-9)


def test_equal_gaussians_are_at_no_distance() -> None:
    first = moments(gaussian(300, 20, seed=0))
    scale = np.trace(first.covariance)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9 * scale)


@pytest.mark.parametrize(
    "case",
    ["full rank", "dead features", "few fakes", "few real images", "few of both", "repeated"],
)
def test_it_is_torch_fidelitys_and_scipys_at_any_rank(case: str) -> None:
    n_fake, n_real = {
        "few fakes": (40, 500),
        "few real images": (500, 40),
        "few of both": (40, 60),
    }.get(case, (400, 500))
    real, fake = (
        gaussian(n_real, 80, seed=0).relu(),
        gaussian(n_fake, 80, seed=1, shift=0.3).relu(),
    )
    if case == "dead features":
        real[:, 10:30] = 0
        fake[:, 20:40] = 0
    if case == "repeated":
        real = real[:50].repeat(10, 1)
    first, second = moments(real), moments(fake)
    assert fit(first).triangular == (case in ("full rank", "few fakes"))
    found = frechet_distance(first, second)
    assert found == pytest.approx(theirs(first, second), rel=1e-6)
    if case == "full rank":  # at others scipy's root is not exact, or warns
        assert found == pytest.approx(by_matrix_root(first, second), rel=1e-6)


def test_sets_with_dead_features_and_repeated_images_are_scored() -> None:
    real, fake = gaussian(90, 8, seed=0), gaussian(90, 8, seed=1)
    real[:, 3] = 0
    fake[:] = fake[:4].repeat(23, 1)[:90]
    value = FD.value(features(fake), Real(features(real)))
    assert value == pytest.approx(theirs(moments(real), moments(fake)), rel=1e-6)


def test_no_more_images_than_features_are_refused_on_either_side() -> None:
    few, many = features(gaussian(8, 8, seed=0)), features(gaussian(50, 8, seed=1))
    for fake, real in ((few, many), (many, few)):
        with pytest.raises(UserError, match=r"on 8 features needs more than 8 .* one set has 8"):
            FD.value(fake, Real(real))
        with pytest.raises(UserError, match="one set has 8"):
            FD.replicates(fake, Real(real), torch.ones(1, len(fake.pooled)).double())


@pytest.mark.parametrize("dead", [0, 3])
def test_influences_are_the_derivatives_by_images_weights(dead: int) -> None:
    """Against finite differences of the distance of weighted moments."""
    real, fake = gaussian(60, 6, seed=0), gaussian(40, 6, seed=1, shift=0.2)
    fake[:, :dead] = 0
    reference = moments(real)
    points = fake.double().numpy()

    def weighted(weights: np.ndarray) -> float:
        weights = weights / weights.sum() * len(points)
        mean = weights @ points / len(points)
        centred = points - mean
        covariance = (weights[:, None] * centred).T @ centred / (len(points) - 1)
        return frechet_distance(reference, Moments(mean, covariance))

    value, derivatives = influences(fit(reference), fake)
    assert value == pytest.approx(frechet_distance(reference, moments(fake)), rel=1e-6)
    assert derivatives.sum().item() == pytest.approx(0, abs=1e-9)
    step = 1e-2
    for image in (0, 7, 39):
        up, down = np.ones(40), np.ones(40)
        up[image], down[image] = 1 + step, 1 - step
        slope = (weighted(up) - weighted(down)) / (2 * step)
        assert derivatives[image].item() == pytest.approx(slope, rel=1e-3, abs=1e-5)


def test_distances_on_a_line_in_one_over_n_are_extrapolated_exactly() -> None:
    counts = np.array([100, 200, 400, 1000])
    found = extrapolate(counts, 7 + 300 / counts)
    assert (found.intercept, found.slope) == (pytest.approx(7), pytest.approx(300))
    assert found.error == pytest.approx(0, abs=1e-9)
    assert found.is_trusted


def test_an_extrapolations_error_is_that_of_least_squares() -> None:
    counts = np.array([100, 200, 400])
    found = extrapolate(counts, 7 + 300 / counts + np.array([0.1, -0.3, 0.2]))
    design = np.stack([np.ones(3), 1 / counts], axis=1)
    covariance = np.linalg.inv(design.T @ design)
    residual = found.distances - design @ (found.intercept, found.slope)
    assert found.error == pytest.approx(np.sqrt(covariance[0, 0] * (residual**2).sum()))
    assert found.error > 0.1
    scattered = extrapolate(counts, 7 + 300 / counts + np.array([1.0, -3.0, 2.0]))
    assert not scattered.is_trusted


def test_subsets_are_evenly_spaced_in_one_over_n() -> None:
    counts = subset_counts(1000, 5, 4)
    assert counts.tolist() == [100, 143, 250, 1000]  # 1/N of 10, 7, 4 and 1 thousandths
    assert subset_counts(1000, 200, 3)[0] == 401  # more than twice the features


def test_too_short_a_range_is_answered_with_the_images_needed() -> None:
    subset_counts(602, 200, 3)
    with pytest.raises(UserError, match=r"200 features needs 602 real .* smaller set has 601"):
        subset_counts(601, 200, 3)


@pytest.mark.parametrize("shift", [0.0, 0.1])
def test_extrapolated_distances_of_gaussians_are_the_true_ones(shift: float) -> None:
    """The Gaussians differ by their means only, so their distance is d · shift²."""
    expected = 24 * shift**2
    biased, unbiased = [], []
    for seed in range(4):
        real = Real(features(gaussian(1200, 24, seed=10 + seed)))
        fake = features(gaussian(1000, 24, seed=seed, shift=shift))
        biased.append(FD.value(fake, real))
        unbiased.append(line(fake.pooled, real.features.pooled, points=6).intercept)
    assert np.mean(biased) > expected + 0.15
    assert np.mean(unbiased) == pytest.approx(expected, abs=0.1)


def test_two_equal_sets_have_one_line_whatever_order_they_are_in() -> None:
    """Sorted as a folder of classes is, a slice would hold one class only."""
    classes = torch.cat([gaussian(300, 6, seed=0), gaussian(300, 6, seed=1, shift=5)])
    shuffled = classes[torch.randperm(600, generator=torch.Generator().manual_seed(0))]
    found = line(classes, shuffled, points=6)
    assert found.distances.max() < 5  # one class is at 6 · 2.5² and more from both
    assert abs(found.intercept) < 1


def test_distances_on_a_line_are_a_score() -> None:
    real, fake = features(gaussian(400, 24, seed=0)), features(gaussian(300, 24, seed=1))
    found = line(fake.pooled, real.pooled, points=6)
    assert found.is_trusted
    assert INFINITE.value(fake, Real(real)) == found.intercept


def test_distances_on_no_line_give_no_number() -> None:
    """One image is so far from all that a distance tells only whether a subset has it."""
    real = Real(features(gaussian(600, 2, seed=0)))
    images = gaussian(600, 2, seed=1)
    images[17] *= 100
    fake = features(images)
    assert not line(fake.pooled, real.features.pooled, 6).is_trusted
    ones = torch.ones(3, 600, dtype=torch.float64)
    assert math.isnan(INFINITE.value(fake, real))
    assert INFINITE.replicates(fake, real, ones).isnan().all()
