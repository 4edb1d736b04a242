"""The optimizer's settings, as in Table 1 of Miyato et al. (2018)."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from lipbench.reporting import Exhibit, Omitted, Table
from lipbench.results import Results
from lipbench.results.settings import optimizers, used
from lipbench.words import listed


class Settings(Exhibit):
    """Show what each setting stands for."""

    title = "Settings"
    order = 10
    part = "everything"

    def show(self, results: Results) -> Iterator[Table | Omitted]:
        if results.tuning:
            return  # each method has settings of its own, in the table of what tuning found
        columns = used(results.runs)
        known = results.runs[["setting", *columns]].dropna(subset="lr").drop_duplicates()
        if known.empty:
            yield Omitted("no run has a setting yet")
            return
        rows = []
        for setting in results.settings:
            values = known[known["setting"] == setting]
            rows.append((setting, *[_values(values[column]) for column in columns]))
        yield Table(
            name="settings",
            caption=f"Settings of {listed(optimizers(results.runs))}, for both networks.",
            columns=("Setting", *columns.values()),
            rows=tuple(rows),
            raw=known.reset_index(drop=True),
            notes=("D updates: updates of the discriminator for each one of the generator.",),
        )


def _values(column: pd.Series[float]) -> str:
    """Return a hyperparameter's value, or its range where a setting differs between methods."""
    column = column.dropna()
    if column.empty:
        return "—"
    if column.dtype == object or column.dtype == "str":
        return " or ".join(map(str, column.unique()))
    low, high = float(column.min()), float(column.max())
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
