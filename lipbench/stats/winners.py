"""Who may be called the best, of methods at one setting, or over all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lipbench.stats.intervals import LEVEL
from lipbench.stats.tidy import FEWEST_SEEDS


@dataclass(frozen=True)
class Verdict:
    """The methods that no other is called better than; empty with the reason why.

    `certain` says whether there is one alone.
    """

    best: tuple[str, ...]
    reason: str = ""

    @property
    def certain(self) -> bool:
        """Return whether one method is called better than every other."""
        return len(self.best) == 1


def winners(table: pd.DataFrame, methods: Sequence[str], logarithmic: bool) -> Verdict:
    """Return the best of methods at one setting, of what `tidy` returns of it.

    The first by its mean loss (of logarithms where `logarithmic`, as of Frechet distances) is held
    against each other one by the paired t-test over seeds, Holm's correction for their number.
    Those that it is not called better than at 95% tie with it. A method with a diverged or
    collapsed run, or an infinite score, is never among them. There is no verdict for fewer than 2
    methods or FEWEST_SEEDS seeds, where methods have other seeds or missing runs, where scores say
    nothing (all are equal), or where all tie.
    """
    if len(methods) < 2:
        return Verdict((), "there is one method")
    wide = table.pivot_table(
        index="seed", columns="method", values="loss", aggfunc="first", dropna=False
    ).reindex(columns=list(methods))
    if wide.isna().to_numpy().any():
        return Verdict((), "runs are missing, or methods have other seeds")
    if len(wide) < FEWEST_SEEDS:
        seeds = "one seed" if len(wide) == 1 else f"{len(wide)} seeds"
        return Verdict((), f"{seeds} cannot tell a difference from chance")
    sound = wide.loc[:, np.isfinite(wide.to_numpy()).all(axis=0)]
    if logarithmic and bool((sound.to_numpy() > 0).all()):
        sound = np.log(sound)
    if sound.shape[1] < 1:
        return Verdict((), "every method has a run that diverged or collapsed")
    if len(np.unique(wide.to_numpy())) == 1:
        return Verdict((), "all scores are equal")
    first = min(sound, key=lambda method: float(sound[method].mean()))
    others = [method for method in sound if method != first]
    p = dict(zip(others, _holm([_paired_t(sound[m] - sound[first]) for m in others]), strict=True))
    tied = tuple(m for m in methods if m == first or (m in p and p[m] >= 1 - LEVEL))
    if len(tied) == len(methods):
        return Verdict((), "no difference is called at 95%")
    return Verdict(tied)


def _paired_t(difference: pd.Series[float]) -> float:
    """Return the two-sided p of a mean of differences; equal ones have none of 0 but by value."""
    from scipy import stats

    if difference.std(ddof=1) <= 1e-12 * (1 + abs(difference).max()):
        return 1.0 if math.isclose(float(difference.mean()), 0, abs_tol=1e-12) else 0.0
    return float(stats.ttest_1samp(difference, 0).pvalue)


def _holm(values: Sequence[float]) -> list[float]:
    from statsmodels.stats.multitest import multipletests

    return list(map(float, multipletests(values, method="holm")[1])) if values else []
