"""The real statistics that `scoring.reference` stores, until it stores features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lipbench.scoring.measures.frechet import moments


@dataclass(frozen=True)
class Statistics:
    """What scores need of the real images' features."""

    mean: NDArray[np.float32]  # (features,)
    covariance: NDArray[np.float64]  # (features, features)
    pooled: Tensor  # (n_real, features), or (0, features) where no kernel distance needs it


def statistics(pooled: Tensor, keep_features: bool) -> Statistics:
    """Return the statistics of real features (N, features)."""
    return Statistics(*moments(pooled), pooled if keep_features else pooled[:0])
