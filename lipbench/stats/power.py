"""What these seeds can tell: the smallest difference that a test would call."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from lipbench.stats.intervals import LEVEL
from lipbench.stats.tidy import FEWEST_SEEDS

POWER = 0.8  # the usual one: Cohen 1988


def smallest_difference(
    table: pd.DataFrame, methods: Sequence[str], logarithmic: bool
) -> tuple[float, int]:
    """Return the mean difference at one setting that is called in POWER of cases; and the seeds.

    Of what `tidy` returns: for the two-sided paired t-test at 95%, whose standard deviation is
    that of differences between two methods with one seed, pooled over pairs of methods and
    settings. Where `logarithmic`, of logarithms: then its exponential is a factor. It is for one
    comparison; Holm's correction asks for more. NaN where fewer than FEWEST_SEEDS seeds are
    common, or none of them has finite losses.
    """
    from statsmodels.stats.power import TTestPower

    squares, freedom, fewest = 0.0, 0, math.inf
    for _, losses in table[table["ended"]].groupby("setting"):
        wide = losses.pivot_table(index="seed", columns="method", values="loss", aggfunc="first")
        wide = wide.reindex(columns=list(methods)).replace([np.inf, -np.inf], np.nan)
        if logarithmic:
            wide = wide.where(wide > 0).transform("log")
        for one, other in itertools.combinations(methods, 2):
            difference = (wide[one] - wide[other]).dropna().to_numpy()
            if len(difference) >= FEWEST_SEEDS:
                squares += float(np.sum((difference - difference.mean()) ** 2))
                freedom += len(difference) - 1
                fewest = min(fewest, len(difference))
    if not freedom:
        return math.nan, 0
    effect = TTestPower().solve_power(nobs=fewest, alpha=1 - LEVEL, power=POWER)
    return math.sqrt(squares / freedom) * float(effect), int(fewest)
