"""Split a dataset that comes without one."""

from __future__ import annotations

import numpy as np


def stratified(labels: np.ndarray, test_fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted indices of a train and a test split, the same share of each class.

    The draw is fixed (seed 0), so a dataset has one split, whatever a run's seed.
    """
    generator = np.random.default_rng(0)
    test = []
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        test.append(members[: round(test_fraction * len(members))])
    test_index = np.sort(np.concatenate(test))
    return np.setdiff1d(np.arange(len(labels)), test_index), test_index
