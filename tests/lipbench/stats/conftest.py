"""Frames made by hand, small enough to work out their statistics."""

from collections.abc import Iterable, Mapping

import pandas as pd
import pytest

from lipbench.stats import tidy


@pytest.fixture
def frame():
    """Return a function from {(method, setting): values by seed} to what `load_runs` returns.

    A value is a score, an outcome ("diverged", "failed"), or ("collapsed", score).
    """

    def frame(cells: Mapping[tuple[str, str], Iterable[object]]) -> pd.DataFrame:
        rows = []
        for (method, setting), values in cells.items():
            for seed, value in enumerate(values):
                collapsed = isinstance(value, tuple)
                score = value[1] if collapsed else value
                outcome = score if isinstance(score, str) else "completed"
                rows.append(
                    {
                        "run_id": f"{method}-{setting}-s{seed}",
                        "method": method,
                        "setting": setting,
                        "seed": seed,
                        "outcome": outcome,
                        "collapsed": collapsed if outcome == "completed" else pd.NA,
                        "fid": float("nan") if isinstance(score, str) else score,
                    }
                )
        return pd.DataFrame(rows).astype({"collapsed": "boolean"})

    return frame


@pytest.fixture
def made(frame):
    """Return a function from {(method, setting): values by seed} to what `tidy` returns."""
    return lambda cells, higher=False: tidy(frame(cells), "fid", higher)
