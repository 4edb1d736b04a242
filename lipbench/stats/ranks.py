"""Ranks of methods over settings and seeds, and by how much two must differ to be told apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Ranking:
    """Mean ranks, 1 the best, over the blocks in which every method has a result.

    `p` is Friedman's test of no difference at all, `critical` Nemenyi's difference of mean ranks
    that is called at 95% (Demsar, JMLR 2006): NaN for fewer than 3 methods or 2 blocks.
    """

    ranks: dict[str, float]
    blocks: int
    p: float
    critical: float


def ranking(table: pd.DataFrame, methods: Sequence[str]) -> Ranking:
    """Return how methods rank, of what `tidy` returns: a block is a setting with a seed."""
    wide = table[table["ended"]].pivot_table(
        index=["setting", "seed"], columns="method", values="loss", aggfunc="first"
    )
    wide = wide.reindex(columns=list(methods)).dropna()
    count, blocks = len(methods), len(wide)
    if not blocks:
        return Ranking(dict.fromkeys(methods, math.nan), 0, math.nan, math.nan)
    ranks = wide.rank(axis=1)
    mean = {str(method): float(rank) for method, rank in ranks.mean().items()}
    if count < 3 or blocks < 2:
        return Ranking(mean, blocks, math.nan, math.nan)
    from scipy import stats

    p = (
        1.0
        if (ranks.nunique(axis=1) == 1).all()
        else float(stats.friedmanchisquare(*ranks.T.to_numpy()).pvalue)
    )
    studentized = float(stats.studentized_range.ppf(0.95, count, np.inf)) / math.sqrt(2)
    return Ranking(mean, blocks, p, studentized * math.sqrt(count * (count + 1) / (6 * blocks)))
