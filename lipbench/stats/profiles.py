"""Performance profiles: the share of runs that are at least as good as each level.

Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice (NeurIPS
2021), section 4.2; of optimizers first by Dolan and More (2002).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipbench.stats.intervals import ends, resampled
from lipbench.stats.tidy import FEWEST_SEEDS


@dataclass(frozen=True)
class Profile:
    """The share of settings x seeds with a loss of at most each level, with a pointwise band."""

    levels: NDArray[np.float64]
    share: NDArray[np.float64]
    low: NDArray[np.float64] | None  # None under FEWEST_SEEDS seeds, or where not asked for
    high: NDArray[np.float64] | None


def profile(
    strata: Sequence[ArrayLike], levels: ArrayLike, seed: int, draws: int = 1000
) -> Profile:
    """Return the profile of losses in strata: the seeds of each setting.

    +inf is worse than every level; NaN is no value. With 0 draws there is no band.
    """
    at = np.asarray(levels, float)
    known = [np.asarray(values, float) for values in strata]
    known = [values[~np.isnan(values)] for values in known]
    known = [values for values in known if len(values)]
    if not known:
        return Profile(at, np.full(len(at), np.nan), None, None)
    share = _shares(np.concatenate(known)[None], at)[0]
    if not draws or min(map(len, known)) < FEWEST_SEEDS:
        return Profile(at, share, None, None)
    drawn = _shares(resampled(known, np.random.default_rng(seed), draws), at)
    counts = [len(values) for values in known]
    band = [ends(column, centre, counts) for column, centre in zip(drawn.T, share, strict=True)]
    low, high = np.clip(np.array(band).T, 0, 1)
    return Profile(at, share, low, high)


def area(found: Profile, logarithmic: bool) -> float:
    """Return the mean share over the range of levels (of their logarithms): 1 is best."""
    x = np.log(found.levels) if logarithmic else found.levels
    return float(np.trapezoid(found.share, x) / (x[-1] - x[0])) if x[-1] > x[0] else float("nan")


def _shares(values: NDArray[np.float64], levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of each row's values (draws, values) at most each level."""
    ordered = np.sort(values, axis=1)
    return (
        np.array([np.searchsorted(row, levels, side="right") for row in ordered]) / values.shape[1]
    )
