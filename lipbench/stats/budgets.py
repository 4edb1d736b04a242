"""Scores at equal budgets: after as many updates, D updates, images or seconds in every run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

from lipbench.outcome import Outcome

BUDGETS: Mapping[str, str] = MappingProxyType(
    {
        "updates": "generator updates",
        "d_updates": "D updates",
        "images": "images",
        "seconds": "seconds of training",
    }
)


def rates(runs: pd.DataFrame) -> pd.DataFrame:
    """Return what one generator update of each run takes, a column for each of BUDGETS.

    `images` are those that D or G is trained on: real and generated ones of D's updates, and
    generated ones of G's. `seconds` are the run's own, on its machine; NaN where not measured.
    The index is `run_id`.
    """
    runs = runs.drop_duplicates("run_id").set_index("run_id")
    d_updates = runs["n_dis"].astype(float)
    seconds = runs.get("seconds_per_update", math.nan)
    return pd.DataFrame(
        {
            "updates": pd.Series(1.0, runs.index),
            "d_updates": d_updates,
            "images": 2 * d_updates * runs["batch_size"] + runs["generator_batch_size"],
            "seconds": pd.to_numeric(seconds),
        },
        index=runs.index,
    )


def at_equal(
    runs: pd.DataFrame, points: pd.DataFrame, budget: str
) -> tuple[float, pd.Series[float]]:
    """Return the largest budget that every completed run has spent, and each run's value there.

    `points` has `run_id`, `update` and `value`, the scores of runs during training; `budget` is
    one of BUDGETS. A run's value, by its run_id, is that of its last point within the budget: NaN
    where it has none so early. The budget is NaN where a completed run has no point, or no rate.
    """
    rate = rates(runs)[budget]
    completed = runs.loc[runs["outcome"].eq(Outcome.COMPLETED), "run_id"].unique()
    points = points[points["run_id"].isin(completed)].sort_values("update")
    spent = points["update"] * points["run_id"].map(rate)
    last = spent.groupby(points["run_id"]).max().reindex(completed)
    limit = float(last.min(skipna=False)) if len(last) else math.nan
    within = points[(spent <= limit * (1 + 1e-9)).to_numpy(bool)]
    values = within.groupby("run_id")["value"].last()
    return limit, values.reindex(completed).astype(np.float64)
