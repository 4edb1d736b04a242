"""Correct p-values for the number of comparisons."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number, in their order (Holm, 1979, Scand. J. Statist.).

    The k-th smallest of n, k from 0, is multiplied by n - k; none is less than one before it or
    more than 1. As statsmodels' `multipletests`, which collects garbage at each call: that takes
    longer than all else here where many runs are in memory.

    >>> holm([0.04, 0.01, 0.03])
    [0.06, 0.03, 0.06]
    """
    p = np.asarray(values, float)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted.tolist()
