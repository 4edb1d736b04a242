"""What each method comes to over settings and seeds, by each score, in the score's own numbers."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from lipbench.protocols import SCORES
from lipbench.results.results import Results
from lipbench.stats import Interval, Profile, area, interquartile_mean, profile, stratified, tidy
from lipbench.stats import robustness as summarised
from lipbench.stats.summaries import quantile

_LEVELS = 200  # of a profile


def robustness(results: Results, scores: Sequence[str] = ()) -> pd.DataFrame:
    """Return a row for each score and method, over its settings and seeds.

    Columns: `score`, `higher_is_better`, `method`, the counts `runs`, `ended`, `diverged`,
    `collapsed`, `missing`, `settings` and `seeds` (of the least repeated setting); `best`,
    `median`, `worst` and `iqm` (interquartile mean) of runs, in the score's own numbers, infinite
    where a diverged or collapsed run is met; `iqm_low`, `iqm_high` and `interval` (its 95%
    interval, and how it was made; NaN and empty under 3 seeds), `iqr` (the distance between the
    quartiles), `success` (share of the runs that ended well), `settings_within` (share of settings
    within 10% of the method's best one; NaN for a score that can be negative) and `area` (below
    the performance profile).
    """
    made = [_of_score(results, score) for score in scores or results.protocol.scores]
    return pd.concat(made, ignore_index=True) if made else pd.DataFrame()


def _of_score(results: Results, score: str) -> pd.DataFrame:
    about = SCORES[score]
    table = tidy(results.runs, score, about.higher_is_better)
    sign = -1 if about.higher_is_better else 1
    losses = table["loss"].to_numpy()
    finite = sign * losses[np.isfinite(losses)]
    positive = bool(len(finite)) and bool((finite > 0).all())
    found = summarised(table, results.methods, positive=positive)
    for column in ("best", "median", "worst", "iqm"):
        found[column] = sign * found[column]
    intervals = [interval(table, method) for method in results.methods]
    ends = [
        (math.nan, math.nan) if each is None else sorted((sign * each.low, sign * each.high))
        for each in intervals
    ]
    profiles = profiled(table, results.methods, bands=False)
    logarithmic = positive and not about.higher_is_better
    return found.assign(
        score=score,
        higher_is_better=about.higher_is_better,
        iqm_low=[low for low, _ in ends],
        iqm_high=[high for _, high in ends],
        interval=["" if each is None else each.made for each in intervals],
        area=[area(profiles[m], logarithmic) if m in profiles else math.nan for m in found.method],
    )[list(_COLUMNS)]


_COLUMNS = (
    "score", "higher_is_better", "method", "settings", "seeds", "runs", "ended", "diverged",
    "collapsed", "missing", "best", "median", "worst", "iqm", "iqm_low", "iqm_high", "interval",
    "iqr", "success", "settings_within", "area",
)  # fmt: skip


def interval(table: pd.DataFrame, method: str) -> Interval | None:
    """Return the interval of a method's interquartile mean loss; None with too few seeds."""
    return stratified(interquartile_mean, _strata(table, method), seed=_seed(method))


def profiled(
    table: pd.DataFrame, methods: Sequence[str], bands: bool = True
) -> dict[str, Profile]:
    """Return the performance profile of each method with a result, all over the same levels.

    Of what `tidy` returns; without `bands` there are none, which is quicker. The levels span the
    finite losses of all methods, evenly in logarithms where all are positive. Empty where no loss
    is finite.
    """
    losses = table["loss"].to_numpy()
    finite = losses[np.isfinite(losses)]
    if not len(finite):
        return {}
    low, high = float(finite.min()), float(finite.max())
    space = np.geomspace if low > 0 else np.linspace
    levels = space(low, high, _LEVELS)
    levels[-1] = high  # which rounding may have passed
    known = {method: _strata(table, method) for method in methods}
    return {
        method: profile(strata, levels, _seed(method), draws=1000 if bands else 0)
        for method, strata in known.items()
        if sum(map(len, strata))
    }


def by_robustness(table: pd.DataFrame, methods: Sequence[str]) -> list[str]:
    """Return methods from the best to the worst median over settings and seeds.

    Of what `tidy` returns. Where medians are equal, or infinite, the lower quartile decides.
    """

    def key(method: str) -> tuple[float, ...]:
        losses = table.loc[table["method"].eq(method), "loss"].dropna()
        found = [quantile(losses, share) for share in (0.5, 0.25)]
        return tuple(math.inf if math.isnan(value) else value for value in found)

    return sorted(methods, key=key)


def _strata(table: pd.DataFrame, method: str) -> list[np.ndarray]:
    """Return the known losses of each of a method's settings, in the order of the table."""
    own = table[table["method"].eq(method)]
    return [losses.dropna().to_numpy() for _, losses in own.groupby("setting", sort=False)["loss"]]


def _seed(method: str) -> int:
    return zlib.crc32(method.encode("utf-8", "surrogatepass"))
