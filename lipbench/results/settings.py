"""The columns that say what settings stand for."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

# Columns of `load_runs`, as tables head them.
COLUMNS: Mapping[str, str] = {
    "optimizer": "Optimizer",
    "lr": "Learning rate",
    "lr_g": "Learning rate of G",
    "beta1": "β₁",
    "beta2": "β₂",
    "alpha": "α",
    "momentum": "Momentum",
    "n_dis": "D updates",
}


def used(runs: pd.DataFrame) -> dict[str, str]:
    """Return the columns that some runs' settings need, with their headings.

    The optimizer stands there where it is not Adam alone, G's learning rate where it is not D's.

    >>> adam = {"optimizer": ["adam"], "lr": [1e-4], "lr_g": [1e-4], "beta1": [0.5],
    ...         "beta2": [0.9], "alpha": [None], "momentum": [None], "n_dis": [5]}
    >>> list(used(pd.DataFrame(adam)))
    ['lr', 'beta1', 'beta2', 'n_dis']
    """
    told = {name for name in COLUMNS if runs[name].notna().any()}
    if runs["optimizer"].dropna().isin(["adam"]).all():
        told.discard("optimizer")
    if (runs["lr_g"] == runs["lr"]).all():
        told.discard("lr_g")
    told |= {"lr", "n_dis"}
    return {name: heading for name, heading in COLUMNS.items() if name in told}


def optimizers(runs: pd.DataFrame) -> list[str]:
    """Return the optimizers of some runs as people write them."""
    written = {"adam": "Adam", "rmsprop": "RMSprop", "sgd": "SGD"}
    return [written.get(name, name) for name in runs["optimizer"].dropna().unique()]
