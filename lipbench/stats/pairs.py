"""Two methods at the same settings with the same seeds: which is better, and how sure that is.

Runs of two methods with one seed share their initial weights, batches and latents, so they are
compared in pairs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lipbench.stats.holm import holm
from lipbench.stats.intervals import LEVEL, Interval
from lipbench.stats.tidy import FEWEST_SEEDS


@dataclass(frozen=True)
class Comparison:
    """One method against another, over pairs of a setting and a seed.

    `probability` is the share of pairs in which the first is better, ties half; `interval` is
    Clopper and Pearson's of that share, pairs taken as independent; `p` is Wilcoxon's signed-rank
    test, exact where there are few pairs, two-sided. None, and 1, under FEWEST_SEEDS seeds.
    """

    first: str
    second: str
    pairs: int
    seeds: int
    probability: float
    interval: Interval | None
    p: float
    adjusted: float  # p by Holm, among the comparisons made at once

    @property
    def called(self) -> bool:
        """Return whether the difference is called at 95%."""
        return self.adjusted < 1 - LEVEL


def compare(table: pd.DataFrame, first: str, second: str) -> Comparison:
    """Return one method against another, of what `tidy` returns."""
    return _compared(_wide(table, [first, second]), first, second)


def _compared(wide: pd.DataFrame, first: str, second: str) -> Comparison:
    paired = wide[[first, second]].dropna()
    one, other = paired[first].to_numpy(), paired[second].to_numpy()
    seeds = paired.index.get_level_values("seed").nunique()
    better, equal = int(np.sum(one < other)), int(np.sum(one == other))
    share = (better + equal / 2) / len(one) if len(one) else math.nan
    enough = seeds >= FEWEST_SEEDS
    p = _signed_rank(one, other) if enough else 1.0
    interval = _clopper_pearson(better, equal, len(one)) if enough else None
    return Comparison(first, second, len(one), seeds, share, interval, p, p)


def against(table: pd.DataFrame, first: str, others: Sequence[str]) -> list[Comparison]:
    """Return one method against each of others, with Holm's correction for their number."""
    wide = _wide(table, [first, *others])
    return _corrected([_compared(wide, first, other) for other in others])


def every_pair(table: pd.DataFrame, methods: Sequence[str]) -> list[Comparison]:
    """Return each pair of methods once, with Holm's correction for their number."""
    wide = _wide(table, methods)
    pairs = itertools.combinations(methods, 2)
    return _corrected([_compared(wide, *pair) for pair in pairs])


def _corrected(found: Sequence[Comparison]) -> list[Comparison]:
    adjusted = holm([each.p for each in found])
    return [replace(each, adjusted=p) for each, p in zip(found, adjusted, strict=True)]


def _wide(table: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Return the losses at each setting and seed, a column for each method, NaN for no result."""
    some = table[table["method"].isin(methods) & table["ended"]]
    wide = some.pivot_table(
        index=["setting", "seed"], columns="method", values="loss", aggfunc="first"
    )
    return wide.reindex(columns=list(methods))


def _signed_rank(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return Wilcoxon's p; an infinite difference has the largest rank, equal pairs none."""
    from scipy import stats

    with np.errstate(invalid="ignore"):
        difference = np.where(one == other, 0.0, one - other)
    finite = np.abs(difference[np.isfinite(difference)])
    largest = 2 * finite.max(initial=1.0)
    difference = np.clip(difference, -largest, largest)
    difference = difference[difference != 0]
    if not len(difference):
        return 1.0
    ties = len(np.unique(np.abs(difference))) < len(difference)
    exact = len(difference) <= 13 if ties else len(difference) <= 50
    if exact and ties:  # scipy's exact distribution knows no ties; all changes of sign do
        return _permuted(difference)
    method = "exact" if exact else "asymptotic"
    return float(stats.wilcoxon(difference, method=method).pvalue)


def _permuted(difference: NDArray[np.float64]) -> float:
    """Return the exact p of the signed-rank sum over all changes of sign."""
    from scipy import stats

    ranks = stats.rankdata(np.abs(difference))
    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=len(ranks))))
    sums = np.abs(signs @ ranks)
    return float(np.mean(sums >= abs(float(np.sign(difference) @ ranks)) - 1e-9))


def _clopper_pearson(better: int, equal: int, pairs: int) -> Interval | None:
    from statsmodels.stats.proportion import proportion_confint

    if not pairs:
        return None
    low, high = proportion_confint(better + equal / 2, pairs, 1 - LEVEL, method="beta")
    low = 0.0 if math.isnan(low) else float(low)  # as of no pair, or of every one
    high = 1.0 if math.isnan(high) else float(high)
    return Interval(low, high, LEVEL, f"Clopper-Pearson of {pairs} pairs")
