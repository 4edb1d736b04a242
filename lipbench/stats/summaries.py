"""What a method's runs come to, over all settings and seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray


def interquartile_mean(values: ArrayLike, axis: int = -1) -> NDArray[np.float64]:
    """Return the mean of the middle half, without rounding to whole values.

    Of n values sorted, each counts by the share of it that lies between n/4 and 3n/4: so of 5
    values the second and the fourth count 3/4 (Agarwal et al., NeurIPS 2021, trim whole values).
    +inf in the middle half makes it +inf. NaN is no value.

    >>> float(interquartile_mean([1, 2, 3, 100]))
    2.5
    """
    ordered = np.moveaxis(np.sort(np.asarray(values, float), axis=axis), axis, -1)  # NaN last
    count = np.sum(~np.isnan(ordered), axis=-1, keepdims=True)
    if count.size and count.min() == count.max():
        count = count.flat[:1]  # all rows have the same weights
    # Only places that count in some row: the sums over thousands of draws are long.
    low = int(count.min(initial=ordered.shape[-1]) // 4)
    high = math.ceil(0.75 * count.max(initial=0))
    place = np.arange(low, high)
    inside = np.minimum(place + 1, 0.75 * count) - np.maximum(place, 0.25 * count)
    weights = np.clip(inside, 0, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        terms = np.where(weights > 1e-12, weights * ordered[..., low:high], 0.0)
        return np.asarray(np.sum(terms, axis=-1) / np.sum(weights, axis=-1))


def quantile(losses: ArrayLike, share: float) -> float:
    """Return a quantile of losses between the nearest two; +inf where it meets an infinite one.

    NaN where there is no loss.
    """
    ordered = np.sort(np.asarray(losses, float))
    ordered = ordered[~np.isnan(ordered)]
    if not len(ordered):
        return math.nan
    place = share * (len(ordered) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return float(low) if low == high else float(low + (place % 1) * (high - low))


def robustness(
    table: pd.DataFrame, methods: Sequence[str], within: float = 0.1, positive: bool = True
) -> pd.DataFrame:
    """Return a row for each method over its settings and seeds, of what `tidy` returns.

    Columns, in losses (smaller is better, +inf is the worst): `best`, `median`, `worst`, `iqm`
    (see `interquartile_mean`) and `iqr` (the 3rd quartile less the 1st) over runs; `success` (of
    the runs that have ended, the share that neither diverged nor collapsed); `settings_within`
    (the share of the settings whose median is within `within` of the method's best setting's, as
    a factor of it where scores are positive, else NaN); and the counts `runs`, `ended`,
    `diverged`, `collapsed`, `missing`, `settings`, `seeds` (of the least repeated setting).
    """
    rows = []
    for method in methods:
        own = table[table["method"].eq(method)]
        losses = own["loss"].dropna().to_numpy()
        good = own["ended"] & ~own["diverged"] & ~own["collapsed"]
        low, high = quantile(losses, 0.25), quantile(losses, 0.75)
        medians = (
            own.dropna(subset="loss")
            .groupby("setting")["loss"]
            .apply(lambda some: quantile(some, 0.5))
        )
        rows.append(
            {
                "method": method,
                "best": losses.min() if len(losses) else math.nan,
                "median": quantile(losses, 0.5),
                "worst": losses.max() if len(losses) else math.nan,
                "iqm": float(interquartile_mean(losses)) if len(losses) else math.nan,
                "iqr": math.inf if math.isinf(high) else high - low,
                "success": good.sum() / own["ended"].sum() if own["ended"].any() else math.nan,
                "settings_within": _within(medians.to_numpy(), within) if positive else math.nan,
                "runs": len(own),
                "ended": int(own["ended"].sum()),
                "diverged": int(own["diverged"].sum()),
                "collapsed": int(own["collapsed"].sum()),
                "missing": int((~own["ended"]).sum()),
                "settings": own["setting"].nunique(),
                "seeds": int(own[own["ended"]].groupby("setting")["seed"].nunique().min())
                if own["ended"].any()
                else 0,
            }
        )
    return pd.DataFrame(rows)


def _within(medians: NDArray[np.float64], within: float) -> float:
    """Return the share of settings at most a factor 1 + `within` from the best one.

    Of a score that is better where it is higher, losses are negative: then 1 - `within`.
    """
    if not len(medians) or not math.isfinite(medians.min()):
        return math.nan
    best = float(medians.min())
    limit = best * (1 + within) if best >= 0 else best * (1 - within)
    return float(np.mean(medians <= limit))
