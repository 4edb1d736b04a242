"""Some of the results of a suite: by an expression, by methods, ranked by another score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from lipbench.errors import UserError, unknown
from lipbench.protocols import SCORES
from lipbench.results.results import Results
from lipbench.words import counted, listed


def selected(
    results: Results, where: str = "", methods: Sequence[str] = (), metric: str = ""
) -> Results:
    """Return the runs that `where` holds for, of these methods, ranked by `metric`.

    `where` is an expression of the columns of `load_runs`, as `pandas.DataFrame.eval` takes it:
    `lr <= 1e-3 and seed < 3`. `methods` are labels, in any capitals; `metric` is one of the
    protocol's scores. What is left out is said in `remarks`. Raises UserError where a name is not
    known, the expression cannot be evaluated, no run is left, or runs of a study are selected.
    """
    if metric and metric not in results.protocol.scores:
        raise UserError(unknown("score", metric, results.protocol.scores))
    if results.tuning and (where or methods):
        raise UserError("the runs of a study belong together: no --where and no --methods")
    runs, remarks = results.runs, list(results.remarks)
    if methods:
        wanted = _labels(methods, results.methods)
        runs = runs[runs["method"].isin(wanted)]
        if missing := len(results.methods) - len(wanted):
            remarks.append(f"Shown are {listed(wanted)}; {counted(missing, 'method')} left out.")
    if where:
        kept = _held(runs, where)
        remarks.append(
            f"Shown are runs with {where.strip()}: {len(kept):,} of {counted(len(runs), 'run')}."
        )
        runs = kept
    if metric and metric != results.protocol.primary:
        remarks.append(
            f"Ranked by {SCORES[metric].title}, and not by "
            f"{SCORES[results.protocol.primary].title} as the protocol {results.protocol.id} does."
        )
    if runs.empty and not results.runs.empty:
        raise UserError("no run is left: " + " and ".join(filter(None, (where, *methods))))
    return replace(_only(results, runs), metric=metric, remarks=tuple(remarks))


def _only(results: Results, runs: pd.DataFrame) -> Results:
    """Return the results with these rows of their runs alone."""
    if len(runs) == len(results.runs):
        return results
    ids, labels = set(runs["run_id"]), set(runs["method"])
    cost = results.cost
    if cost is not None:
        cost = {**cost, "rows": [row for row in cost["rows"] if row["method"] in labels]}
    return replace(
        results,
        runs=runs.reset_index(drop=True),
        curves=results.curves[results.curves["run_id"].isin(ids)],
        samples={run: path for run, path in results.samples.items() if run in ids},
        methods=tuple(method for method in results.methods if method in labels),
        settings=tuple(s for s in results.settings if s in set(runs["setting"])),
        audits={run: rows for run, rows in results.audits.items() if run in ids},
        grids={run: paths for run, paths in results.grids.items() if run in ids},
        planes={run: path for run, path in results.planes.items() if run in ids},
        specs={run: spec for run, spec in results.specs.items() if run in ids},
        cost=cost if cost is None or cost["rows"] else None,
    )


def _labels(given: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return labels as the suite writes them, in its order."""
    by_small = {label.casefold(): label for label in known}
    found = set()
    for name in given:
        if name.casefold() not in by_small:
            raise UserError(unknown("method", name, known))
        found.add(by_small[name.casefold()])
    return [label for label in known if label in found]


def _held(runs: pd.DataFrame, where: str) -> pd.DataFrame:
    try:
        holds = runs.eval(where, engine="python")
    except Exception as error:  # whatever an expression of a user's raises
        raise UserError(f"--where {where!r}: {_why(error, runs)}") from error
    if not isinstance(holds, pd.Series) or not pd.api.types.is_bool_dtype(holds):
        raise UserError(f"--where {where!r} is no condition on runs, like lr <= 1e-3")
    return runs[holds.fillna(False).astype(bool)]


def _why(error: Exception, runs: pd.DataFrame) -> str:
    if isinstance(error, NameError):  # pandas' of a column that does not exist is one
        name = str(error).split("'")[1] if "'" in str(error) else str(error)
        return unknown("column", name, map(str, runs.columns))
    return " ".join(str(error).split()) or type(error).__name__
