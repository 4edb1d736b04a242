"""How a method does across settings, by the protocol's first score."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pandas as pd

from lipbench.outcome import Outcome
from lipbench.reporting import Exhibit, Shown, Table
from lipbench.results import Results

from ._grid import grid


class Robustness(Exhibit):
    """Show every method at every setting, and its best, median and worst."""

    title = "Robustness to the optimizer's settings"
    order = 20

    def show(self, results: Results) -> Iterator[Table]:
        if results.tuning:
            return  # its configurations are the best of many, and not the same for all methods
        summaries = ("best", "median", "worst") if len(results.settings) > 1 else ()
        table = grid(results, results.primary, "robustness", summaries)
        scored = results.runs[results.protocol.primary].notna()
        completed = (results.runs["outcome"] == Outcome.COMPLETED) & scored
        collapsed = results.runs["collapsed"].astype("boolean")
        method = results.runs["method"]
        succeeded = (completed & ~collapsed.fillna(False)).groupby(method).sum().astype(int)
        planned = completed.groupby(method).size()
        shown = [Shown(f"{succeeded.get(m, 0)}/{planned.get(m, 0)}") for m in results.methods]
        blanks = [Shown("")] * (len(table.rows) - len(results.methods))
        note = "Success counts the runs that completed and did not collapse, of all planned."
        if unmeasured := int((completed & collapsed.isna()).sum()):
            note += f" In {unmeasured:,} of them collapse was not measured."
        yield dataclasses.replace(
            table,
            columns=(*table.columns, "Success"),
            rows=tuple(
                (*row, entry) for row, entry in zip(table.rows, shown + blanks, strict=True)
            ),
            raw=table.raw.assign(
                succeeded=_aligned(succeeded, table.raw), runs=_aligned(planned, table.raw)
            ),
            notes=(*table.notes, note),
        )


def _aligned(counts: pd.Series[int], raw: pd.DataFrame) -> pd.Series[int]:
    """Return the count of each row's method; real data has none."""
    return raw["method"].map(counts).astype("Int64")
