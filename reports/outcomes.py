"""How the runs ended."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from lipbench.outcome import Outcome
from lipbench.reporting import Exhibit, Omitted, Table
from lipbench.results import Results

_LISTED = 40  # runs in the page; the CSV file has all
_CAUSE = 160  # characters of a cause in the page


class Outcomes(Exhibit):
    """Count each method's outcomes, and list the runs that did not complete."""

    title = "Outcomes"
    order = 180
    part = "everything"

    def show(self, results: Results) -> Iterator[Table | Omitted]:
        if results.runs.empty:
            yield Omitted("the plan has no runs")
            return
        yield _counts(results)
        ended = results.runs["outcome"].isin([Outcome.COMPLETED, Outcome.RUNNING, Outcome.QUEUED])
        stopped = results.runs[~ended]
        if stopped.empty:
            yield Omitted("no run diverged, failed or was stopped")
        else:
            yield _stopped(stopped)


def _counts(results: Results) -> Table:
    counts = pd.crosstab(results.runs["method"], results.runs["outcome"]).reindex(results.methods)
    counts = counts.fillna(0).astype(int)
    counts = counts[[name.value for name in Outcome if name in counts]]
    counts["runs"] = counts.sum(axis=1)
    rows = [tuple(map(str, row)) for row in counts.itertuples()]
    return Table(
        name="outcomes",
        caption="How each method's runs ended.",
        columns=("Method", *[str(n).replace("_", " ").capitalize() for n in counts]),
        rows=tuple(rows),
        raw=counts.rename_axis("method").rename_axis(None, axis=1).reset_index(),
    )


def _stopped(runs: pd.DataFrame) -> Table:
    columns = ["run_id", "method", "setting", "seed", "outcome", "generator_updates", "cause"]
    raw = runs[columns].reset_index(drop=True)
    rows = []
    for _, run in raw.head(_LISTED).iterrows():
        cause = "" if pd.isna(run["cause"]) else " ".join(str(run["cause"]).split())
        updates = run["generator_updates"]
        rows.append(
            (
                str(run["method"]),
                str(run["setting"]),
                str(run["seed"]),
                str(run["outcome"]).replace("_", " "),
                "" if pd.isna(updates) else f"{int(updates):,}",
                cause if len(cause) <= _CAUSE else f"{cause[:_CAUSE]}…",
            )
        )
    more = len(raw) - len(rows)
    return Table(
        name="stopped_runs",
        caption="Runs that did not complete.",
        columns=("Method", "Setting", "Seed", "Outcome", "G updates", "Cause"),
        rows=tuple(rows),
        raw=raw,
        notes=(f"And {more:,} more, in the CSV file.",) if more else (),
        align="lrrlrl",
    )
