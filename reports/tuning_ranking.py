"""Which method is the best at which tuning budget."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd

from lipbench.planning.tuning import Tuning
from lipbench.reporting import Figure, Omitted, Shown, Table
from lipbench.results import Results
from lipbench.results.cells import leaders
from lipbench.tuning.analysis import best_trials, ranking

from ._tuning import COUNTING, NONE_COMPLETED, OfTrials, better, ceiling, resampling, stated

_NONE = Shown("—", muted=True)


class Ranking(OfTrials):
    """Show the best of 1, 5, 25 and 100 trials, and how likely each method is to be the best."""

    title = "Ranking by tuning budget"
    order = 4

    def of(self, results: Results, tuning: Tuning) -> Iterator[Table | Figure | Omitted]:
        if len(tuning.objectives) > 1:
            yield Omitted("several objectives give no ranking")
            return
        ranks = ranking(results.trials, tuning.objectives[0])
        compared = ranks["method"][ranks["chance"].notna()].nunique()
        if best_trials(results.trials, tuning.objectives[0]).empty:
            yield NONE_COMPLETED
        elif compared < 2:
            yield Omitted("no two methods have about as many trials, some of them with a value")
        else:
            yield _table(results, tuning, ranks)


def _table(results: Results, tuning: Tuning, ranks: pd.DataFrame) -> Table:
    objective = tuning.objectives[0]
    columns = {}
    for k, column in ranks.groupby("k"):
        chance = dict(zip(column["method"], column["chance"].astype(float), strict=True))
        compared = {m: c for m, c in chance.items() if not math.isnan(c)}
        best = leaders(compared, True, _percent)
        median = dict(zip(column["method"], column["median"].astype(float), strict=True))
        columns[k] = {
            method: Shown(
                stated(median[method], objective),
                detail=f"best: {_percent(chance[method])}",
                best=method in best,
            )
            for method in compared
        }
    bold = any(shown.best for column in columns.values() for shown in column.values())
    rows: list[tuple[Shown | str, ...]] = [
        (m, *[column.get(m, _NONE) for column in columns.values()]) for m in results.methods
    ]
    return Table(
        name="tuning_ranking",
        caption=f"The best {objective.title} of k trials, the median, and how likely the method "
        f"is the best of all with k trials each: {better(objective)}.",
        columns=("Method", *[f"{k:,} trial{'' if k == 1 else 's'}" for k in columns]),
        rows=tuple(rows),
        raw=ranks,
        notes=tuple(_notes(results, tuning, ranks, bold)),
    )


def _percent(chance: float) -> str:
    return f"{chance:.0%}" if chance == 0 or chance >= 0.005 else "<1%"


def _notes(results: Results, tuning: Tuning, ranks: pd.DataFrame, bold: bool) -> Iterator[str]:
    n = int(ranks["n"].iloc[0])
    if bold:
        yield (
            "Bold is the method that is most likely the best of those compared, drawn "
            "independently; ties share."
        )
    yield (
        "A search's value is one run's, chosen for being the best: the confirmed ones "
        "are what methods differ by after tuning."
    )
    first = ranks.drop_duplicates("method")
    compared, others = first[first["chance"].notna()], first[first["chance"].isna()]
    longer = compared[compared["trials"] > n]
    if len(longer):
        listed = ", ".join(_sizes(longer))
        yield f"Methods are compared by their first {n:,} trials. Some have more: {listed}."
    if len(others):
        listed = ", ".join(_sizes(others))
        yield (
            f"Not compared, with less than half as many trials as another, or with no value among "
            f"the first {n:,}: {listed}."
        )
    yield from resampling(tuning)
    yield COUNTING
    yield from ceiling(results, tuning.objectives[0], off=False)
    missing = [m for m in results.methods if m not in set(ranks["method"])]
    if missing:
        yield f"No trial has ended: {', '.join(missing)}."


def _sizes(rows: pd.DataFrame) -> Iterator[str]:
    for method, trials in zip(rows["method"], rows["trials"], strict=True):
        yield f"{method} ({trials:,})"
