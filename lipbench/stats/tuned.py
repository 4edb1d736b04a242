"""What choosing a setting is worth: the expected best of k, and the regret of not choosing."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike


def expected_best(losses: ArrayLike, k: int) -> float:
    """Return the expected smallest of k of these losses, drawn without replacement; exact.

    The i-th smallest of n is the smallest of C(n - i, k - 1) of the C(n, k) sets (Dodge et al.,
    EMNLP 2019, draw with replacement). +inf where a set of k can hold nothing finite. Raises
    ValueError unless 1 <= k <= n. NaN is no value.
    """
    known = np.sort(np.asarray(losses, float))
    known = known[~np.isnan(known)]
    count = len(known)
    if not 1 <= k <= count:
        raise ValueError(f"k must be between 1 and {count}, not {k}")
    ways = [math.comb(count - i, k - 1) for i in range(1, count + 1)]
    terms = [loss * way for loss, way in zip(known.tolist(), ways, strict=True) if way]
    return math.fsum(terms) / math.comb(count, k) if math.isfinite(sum(terms)) else math.inf


def regret(losses: ArrayLike) -> np.ndarray:
    """Return by how much each loss exceeds the best one; all of them NaN without a finite one."""
    values = np.asarray(losses, float)
    finite = values[np.isfinite(values)]
    return values - finite.min() if len(finite) else np.full_like(values, math.nan)
