"""Show how a suite's runs stand. Part of `cli`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lipbench.cli import plans
from lipbench.cli.printing import say, show, table_of
from lipbench.outcome import Outcome
from lipbench.planning.plan import Plan
from lipbench.runs.run_folder import Status
from lipbench.runs.suite_folder import SuiteFolder
from lipbench.words import are, counted

_MOST_RUNS = 30  # rows
_QUIET = (Outcome.COMPLETED, Outcome.QUEUED)  # outcomes that a count says all of
_QUIET_TRIALS = (*_QUIET, Outcome.PRUNED, Outcome.DIVERGED)

Row = Mapping[str, Any]


def show_status(results: Path, as_json: bool) -> None:
    """Print how many runs have which outcome, the scores so far, and why runs did not complete."""
    folder = SuiteFolder(results)
    plan = folder.plan()
    rows = _rows(folder, plan)
    if folder.is_locked() is None and any(row["outcome"] == Outcome.RUNNING for row in rows):
        say(
            f"{folder.path}: this file system has no locks, so a run that is shown as running may "
            "have been interrupted",
            error=True,
        )
    others = len(set(folder.folders()) - {run.spec.hash for run in plan.runs})
    uncounted = list(folder.uncounted().values())
    if as_json:
        facts = {"suite": plan.name, "runs": rows, "other_runs": others, "not_counted": uncounted}
        print(json.dumps(facts, indent=1))
        return
    for line in uncounted:
        say(line, error=True)
    if plan.tuning:
        _show_study(folder, plan, rows)
    outcomes = Counter(row["outcome"] for row in rows)
    say(f"{plan.name}: " + ", ".join(f"{n:,} {outcome}" for outcome, n in outcomes.items()))
    if others:
        say(f"{counted(others, 'more run')} {are(others)} in this folder and not in the current "
            f"{'study' if plan.tuning else 'suite'}")  # fmt: skip
    if not plan.tuning and any(outcome.is_result for outcome in outcomes):
        from lipbench.cli.score_table import show_scores

        show_scores(results, plan)
    _show_runs(rows, _QUIET_TRIALS if plan.tuning else _QUIET)


def _rows(folder: SuiteFolder, plan: Plan) -> list[dict[str, Any]]:
    """Return how each planned run stands, as `--json` prints it."""
    statuses, folders = folder.statuses(), folder.folders()
    rows = []
    for run in plan.runs:
        state = statuses.get(run.spec.hash, Status())
        found = folders.get(run.spec.hash)
        rows.append(
            {
                "run_id": found.path.name if found else run.id,
                "method": run.method,
                "setting": run.setting,
                "seed": run.spec.seed,
                "outcome": state.outcome,
                "cause": state.cause,
                "generator_updates": state.update,
                "planned_updates": run.spec.budget.generator_updates,
            }
        )
    return rows


def _show_study(folder: SuiteFolder, plan: Plan, rows: Sequence[Row]) -> None:
    """Print a study's searches, and what its best configurations reached with fresh seeds."""
    assert plan.tuning is not None, "only a study has trials"
    plans.show_study(plan, folder)
    show_found(folder.path, plan)
    again = [
        row
        for row, run in zip(rows, plan.runs, strict=True)
        if run.trial is not None and run.trial.confirms
    ]
    done = sum(row["outcome"].is_result for row in again)
    searches = len(plan.tuning.search) * len(plan.tuning.seeds)
    a_search = plan.tuning.configurations * len(plan.tuning.confirm_seeds)
    if wanted := max(len(again), searches * a_search):
        runs = counted(wanted, "run")
        say(f"best configurations again, with fresh seeds: {done:,} of {runs} done")


def show_found(results: Path, plan: Plan) -> None:
    """Print what a study has found: its trials by method, and the confirmed values."""
    from lipbench.cli.score_table import show_confirmed
    from lipbench.results.frame import load_trials

    assert plan.tuning is not None, "only a study has trials"
    plans.show_trials(plan.tuning, load_trials(results))
    show_confirmed(results, plan)


def _show_runs(rows: Sequence[Row], quiet: Sequence[str]) -> None:
    """Print the runs of which the counts do not say all, up to a number."""
    told = [row for row in rows if row["outcome"] not in quiet]
    if not told:
        return
    table = table_of("method", "setting", "seed", "outcome", "updates", "cause")
    for row in told[:_MOST_RUNS]:
        updates = f"{row['generator_updates']}/{row['planned_updates']}"
        table.add_row(
            row["method"],
            row["setting"],
            str(row["seed"]),
            row["outcome"],
            updates,
            row["cause"] or "",
        )
    show(table)
    if (left := len(told) - _MOST_RUNS) > 0:
        say(f"{counted(left, 'more run')} {are(left)} not shown; --json lists all")
