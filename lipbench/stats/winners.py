"""Who may be called the best, of methods at one setting, or over all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lipbench.stats.holm import holm
from lipbench.stats.intervals import LEVEL
from lipbench.stats.pairs import against
from lipbench.stats.summaries import quantile
from lipbench.stats.tidy import FEWEST_SEEDS
from lipbench.words import counted, listed


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


def winners(
    table: pd.DataFrame,
    methods: Sequence[str],
    logarithmic: bool,
    worst: float = math.inf,
) -> Verdict:
    """Return the best of methods at one setting, of what `tidy` returns of it.

    The first by its mean loss (of logarithms where `logarithmic`, as of Frechet distances) is held
    against each other one by the paired t-test over seeds, Holm's correction for their number.
    Those that it is not called better than at 95% tie with it. A method with a diverged or
    collapsed run, or an infinite score, is never among them. There is no verdict for fewer than 2
    methods or FEWEST_SEEDS seeds, where methods have other seeds or missing runs, where all tie,
    or where scores say nothing: all are equal, or the best is `worst`, the end of the range.
    """
    wide = _wide(table, methods, ["seed"])
    if reason := _not_comparable(wide, table):
        return Verdict((), reason)
    sound = wide.loc[:, np.isfinite(wide.to_numpy()).all(axis=0)]
    if sound.shape[1] < 1:
        return Verdict((), "every method has a run that diverged or collapsed")
    if sound.to_numpy().min() >= worst:
        return Verdict((), "the best score is the worst that there is")
    if logarithmic and bool((sound.to_numpy() > 0).all()):
        sound = np.log(sound)
    first = min(sound, key=lambda method: float(sound[method].mean()))
    others = [str(method) for method in sound if method != first]
    p = holm([_paired_t(sound[method] - sound[first]) for method in others])
    return _tied(methods, str(first), dict(zip(others, p, strict=True)))


def overall(table: pd.DataFrame, methods: Sequence[str], worst: float = math.inf) -> Verdict:
    """Return the best of methods over all settings and seeds, of what `tidy` returns.

    The first by its median loss is held against each other one by Wilcoxon's signed-rank test over
    pairs of a setting and a seed, Holm's correction for their number; those that it is not called
    better than tie with it. A median that is infinite is never among them: where the first is not
    called better than such a method, there is no verdict, nor where `winners` gives none.
    """
    wide = _wide(table, methods, ["setting", "seed"])
    if reason := _not_comparable(wide, table):
        return Verdict((), reason)
    medians = {method: quantile(wide[method], 0.5) for method in methods}
    first = min(methods, key=lambda method: (medians[method], quantile(wide[method], 0.75)))
    if not math.isfinite(medians[first]):
        return Verdict((), "half of the runs or more of every method diverged or collapsed")
    if medians[first] >= worst:
        return Verdict((), "the best median is the worst score that there is")
    others = [method for method in methods if method != first]
    p = {each.second: each.adjusted for each in against(table, first, others)}
    lost = [method for method in others if not math.isfinite(medians[method])]
    if unclear := [method for method in lost if p.get(method, 1.0) >= 1 - LEVEL]:
        return Verdict(
            (),
            f"half of the runs or more of {listed(unclear)} diverged or collapsed, and still "
            f"{'it is' if len(unclear) == 1 else 'they are'} not called worse at 95%",
        )
    return _tied(methods, first, p)


def _wide(table: pd.DataFrame, methods: Sequence[str], blocks: list[str]) -> pd.DataFrame:
    wide = table.pivot_table(
        index=blocks, columns="method", values="loss", aggfunc="first", dropna=False
    )
    wide = wide.reindex(columns=list(methods))
    planned = table.groupby(blocks)["method"].nunique()  # pivoting makes every combination
    return wide.loc[wide.index.isin(planned.index)]


def _not_comparable(wide: pd.DataFrame, table: pd.DataFrame) -> str:
    """Return why losses, blocks by methods, have no winner; empty where they may have one."""
    seeds = wide.index.get_level_values("seed").nunique()
    if wide.shape[1] < 2:
        return "there is one method"
    known = table.groupby("method")["loss"].count()  # NaN is no value
    planned = table.groupby("method").size()
    missing = int((planned - known).sum())
    if missing:
        return (
            f"{counted(missing, 'run')} of {planned.sum():,} {'is' if missing == 1 else 'are'} "
            "missing"
        )
    if wide.isna().to_numpy().any():
        return "not every method has the same settings and seeds"
    if seeds < FEWEST_SEEDS:
        few = "one seed" if seeds == 1 else f"{seeds} seeds"
        return f"{few} cannot tell a difference from chance"
    if np.isfinite(wide.to_numpy()).all() and len(np.unique(wide.to_numpy())) == 1:
        return "all scores are equal"
    return ""


def _tied(methods: Sequence[str], first: str, p: dict[str, float]) -> Verdict:
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
