"""How sure a number is: intervals that hold what they say with few seeds.

The bootstrap resamples seeds within each setting, and not settings: those are the ones that the
suite asks about. Of few seeds, its percentiles are far too near to each other (74% for 95% with 3
seeds), so an interval is the statistic and Student's t times the bootstrap's standard error, which
is taken for n / (n - 1) of its variance. docs/statistics.md has the coverage that was measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipbench.stats.tidy import FEWEST_SEEDS

LEVEL = 0.95
DRAWS = 2000


@dataclass(frozen=True)
class Interval:
    """From where to where a number lies, and how that was found."""

    low: float
    high: float
    level: float
    made: str  # e.g. "bootstrap of 3 seeds at each of 3 settings"

    def holds(self, value: float) -> bool:
        """Return whether a value lies in it."""
        return self.low <= value <= self.high


def mean_interval(values: ArrayLike, level: float = LEVEL) -> Interval | None:
    """Return Student's interval of a mean of n values; None for fewer than FEWEST_SEEDS."""
    from scipy import stats

    known = np.asarray(values, float)
    known = known[~np.isnan(known)]
    count = len(known)
    if count < FEWEST_SEEDS or not np.isfinite(known).all():
        return None
    half = stats.t.ppf((1 + level) / 2, count - 1) * known.std(ddof=1) / math.sqrt(count)
    mean = float(known.mean())
    return Interval(mean - half, mean + half, level, f"Student's t of {count} values")


def stratified(
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    strata: Sequence[ArrayLike],
    seed: int,
    draws: int = DRAWS,
    level: float = LEVEL,
) -> Interval | None:
    """Return the interval of a statistic of values in strata: the seeds of each setting.

    `statistic` takes an array (draws, values) and returns (draws,). NaN is no value; +inf is one.
    None where a stratum has fewer than FEWEST_SEEDS values, or there is none.
    """
    known = [np.asarray(values, float) for values in strata]
    known = [values[~np.isnan(values)] for values in known]
    fewest = min((len(values) for values in known), default=0)
    if fewest < FEWEST_SEEDS:
        return None
    drawn = resampled(known, np.random.default_rng(seed), draws)
    centre = float(statistic(np.concatenate(known)[None])[0])
    low, high = ends(statistic(drawn), centre, [len(values) for values in known], level)
    seeds = f"{fewest}" if len({len(v) for v in known}) == 1 else f"{fewest} or more"
    at = f" at each of {len(known)} settings" if len(known) > 1 else ""
    return Interval(low, high, level, f"bootstrap of {seeds} seeds{at}, {draws:,} draws")


def resampled(
    strata: Sequence[NDArray[np.float64]], generator: np.random.Generator, draws: int
) -> NDArray[np.float64]:
    """Return values (draws, all values): each stratum drawn from itself with replacement."""
    return np.concatenate(
        [values[generator.integers(0, len(values), (draws, len(values)))] for values in strata],
        axis=1,
    )


def ends(
    found: NDArray[np.float64], centre: float, counts: Sequence[int], level: float = LEVEL
) -> tuple[float, float]:
    """Return the ends of the interval of bootstrap statistics about the statistic itself.

    `counts` are the sizes of the strata, each 2 or more. Where a draw is infinite there is no
    standard error: then the ends are percentiles, and say less than they claim.
    """
    from scipy import stats

    if not np.isfinite(found).all():
        outside = (1 - level) / 2
        low, high = np.quantile(found, [outside, 1 - outside], method="closest_observation")
        return float(low), float(high)
    size = len(counts) / sum(1 / count for count in counts)
    error = float(found.std(ddof=1)) * math.sqrt(size / (size - 1))
    half = float(stats.t.ppf((1 + level) / 2, sum(counts) - len(counts))) * error
    return centre - half, centre + half
