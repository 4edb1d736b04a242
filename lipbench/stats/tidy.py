"""One value of each run, by the rules that every statistic shares."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from lipbench.outcome import Outcome

FEWEST_SEEDS = 3  # for an interval, or for a winner: our choice


def tidy(runs: pd.DataFrame, score: str, higher_is_better: bool) -> pd.DataFrame:
    """Return a row for each run of a frame as `lipbench.load_runs` has it.

    Columns: `run_id`, `method`, `setting`, `seed`, `value` (the score), `loss` (what statistics
    work on: smaller is better, and the worst possible is +inf), `ended`, `diverged`, `collapsed`.

    A diverged run has ended with a loss of +inf, as has a completed one whose score is infinite.
    A run that failed, ran out of memory, or has not ended is missing: its loss is NaN. So is that
    of a completed run without a score. A collapsed run keeps its value; its loss is +inf, for
    some scores are good for noise, or for one image again and again.
    """
    value = pd.to_numeric(runs[score]).astype(float) if score in runs else np.nan
    table = runs[["run_id", "method", "setting", "seed"]].assign(value=value)
    completed = runs["outcome"].eq(Outcome.COMPLETED)
    table["diverged"] = runs["outcome"].eq(Outcome.DIVERGED)
    collapsed = runs["collapsed"] if "collapsed" in runs else pd.Series(False, runs.index)
    table["collapsed"] = collapsed.fillna(False).astype(bool) & completed
    table["ended"] = table["diverged"] | (completed & table["value"].notna())
    loss = -table["value"] if higher_is_better else table["value"]
    loss = loss.where(np.isfinite(loss) & ~table["collapsed"], math.inf)
    table["loss"] = loss.where(table["ended"], math.nan)
    return table.reset_index(drop=True)


def seeds_of(table: pd.DataFrame) -> int:
    """Return with how many seeds the least repeated method has results; 0 without any."""
    ended = table[table["ended"]]
    counts = ended.groupby(["method", "setting"])["seed"].nunique()
    return int(counts.min()) if len(counts) else 0
