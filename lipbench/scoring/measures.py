"""The mathematics of the scores: from features of images to one number.

The numbers are torch-fidelity's, through its functions on features; those are undocumented,
so its minor version is pinned and a test holds them to `torch_fidelity.calculate_metrics`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

from lipbench.protocols import Protocol
from lipbench.scoring.features import Features

_KERNEL_SEED = 2020  # of the subsets: torch-fidelity's default
MODE_PROBABILITY = 0.9
MODE_SHARE = 0.01


@dataclass(frozen=True)
class Statistics:
    """What scores need of the real images' features."""

    mean: NDArray[np.float32]  # (features,)
    covariance: NDArray[np.float64]  # (features, features)
    pooled: Tensor  # (n_real, features), or (0, features) where no kernel distance needs it


Measure = Callable[[Features, Statistics, Protocol], float]


def statistics(pooled: Tensor, keep_features: bool) -> Statistics:
    """Return the statistics of real features (N, features)."""
    moments = fid_features_to_statistics(pooled)
    return Statistics(moments["mu"], moments["sigma"], pooled if keep_features else pooled[:0])


def frechet_distance(
    mean1: NDArray[np.float32],
    covariance1: NDArray[np.float64],
    mean2: NDArray[np.float32],
    covariance2: NDArray[np.float64],
) -> float:
    """Return |m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½) (Dowson and Landau 1982)."""
    first = {"mu": mean1, "sigma": covariance1}
    second = {"mu": mean2, "sigma": covariance2}
    distance = fid_statistics_to_metric(first, second, verbose=False)
    return float(distance["frechet_inception_distance"])


def kernel_distance(real: Tensor, fake: Tensor, subsets: int, subset_size: int) -> float:
    """Return the unbiased MMD² with the kernel (x·y / features + 1)³ (Binkowski et al. 2018).

    It is the mean over random subsets of both sets, of shape (N, features) each.
    """
    distance = kid_features_to_metric(
        fake,
        real,
        kid_subsets=subsets,
        kid_subset_size=subset_size,
        rng_seed=_KERNEL_SEED,
        verbose=False,
    )
    return float(distance["kernel_inception_distance_mean"])


def classifier_score(logits: Tensor) -> float:
    """Return exp E KL(p(y|x) || p(y)) of logits (N, classes), one split (Salimans et al. 2016).

    It lies between 1 and the number of classes, and is the Inception score on Inception only.
    """
    score = isc_features_to_metric(logits, splits=1, shuffle=False)
    return float(score["inception_score_mean"])


def modes_covered(logits: Tensor) -> int:
    """Return how many classes at least 1% of the images show with confidence.

    A confident image has a probability of at least 0.9. Both thresholds are our choice. Noise
    can look like a digit to the classifier, so this tells coverage and not quality.
    """
    confident = logits.softmax(dim=1) >= MODE_PROBABILITY
    return int((confident.float().mean(dim=0) >= MODE_SHARE).sum())


def collapsed(fake: Features, real: Statistics, ratio: float) -> bool:
    """Tell if the fakes' total feature variance is below `ratio` of the real images'."""
    spread = fake.pooled.double().var(dim=0).sum().item()
    return bool(spread < ratio * np.trace(real.covariance))


def _frechet(fake: Features, real: Statistics, protocol: Protocol) -> float:
    moments = fid_features_to_statistics(fake.pooled)
    return frechet_distance(real.mean, real.covariance, moments["mu"], moments["sigma"])


def _kernel(fake: Features, real: Statistics, protocol: Protocol) -> float:
    subsets, subset_size = protocol.kernel_subsets, protocol.kernel_subset_size
    if subsets is None or subset_size is None:
        raise ValueError(f"{protocol.id} scores a kernel distance without saying its subsets")
    return kernel_distance(real.pooled, fake.pooled, subsets, subset_size)


MEASURES: Mapping[str, Measure] = {
    "frechet_distance": _frechet,
    "kernel_distance": _kernel,
    "classifier_score": lambda fake, real, protocol: classifier_score(fake.logits),
    "modes_covered": lambda fake, real, protocol: float(modes_covered(fake.logits)),
}
