"""A study's ledger: each trial's run, in the order in which they were asked for. Only grows."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lipbench import plan
from lipbench.errors import UserError
from lipbench.plan import PlannedRun


class Ledger:
    """The file trials.jsonl, read on as it grows.

    Trials are lines of their own. The confirmations of a method in one repeat are one line, and
    the last such line counts: a study that went on after them may have found better ones.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._trials: list[PlannedRun] = []
        self._confirmations: dict[tuple[str, int], list[PlannedRun]] = {}
        self._first: dict[str, PlannedRun] = {}

    def trials(self) -> Sequence[PlannedRun]:
        """Return every trial so far."""
        self._update()
        return self._trials

    def confirmations(self) -> dict[tuple[str, int], list[PlannedRun]]:
        """Return the runs that confirm, by method and repeat."""
        self._update()
        return self._confirmations

    def runs(self) -> tuple[PlannedRun, ...]:
        """Return all of them: the trials first."""
        confirming = [run for runs in self.confirmations().values() for run in runs]
        return (*self.trials(), *confirming)

    def first(self, run: PlannedRun) -> PlannedRun:
        """Return the first planned run that is the same run as this one; it may be this one."""
        self._update()
        return self._first.get(run.spec.hash, run)

    def add_trial(self, run: PlannedRun) -> None:
        """Add a trial; only one process at a time may do this."""
        self._append({"trial": plan.run_to_json(run)})

    def set_confirmations(self, method: str, repeat: int, runs: Sequence[PlannedRun]) -> None:
        """Say which runs confirm a method's best configurations, in place of earlier ones."""
        rows = [plan.run_to_json(run) for run in runs]
        self._append({"method": method, "repeat": repeat, "confirmations": rows})

    def _append(self, row: dict[str, Any]) -> None:
        self._update()
        with self._path.open("ab") as file:
            file.truncate(self._read)  # a line that a killed process left unfinished
            file.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._update()

    def _update(self) -> None:
        """Take in the lines that are new; one that has no end yet is not."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                content = file.read()
        except FileNotFoundError:
            return
        whole = content[: content.rfind(b"\n") + 1]
        try:
            for line in whole.splitlines():
                self._take(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self._path} is damaged ({error})") from error
        self._read += len(whole)

    def _take(self, row: dict[str, Any]) -> None:
        if "trial" in row:
            run = plan.run_from_json(row["trial"])
            self._trials.append(run)
            runs = [run]
        else:
            runs = [plan.run_from_json(run) for run in row["confirmations"]]
            self._confirmations[row["method"], row["repeat"]] = runs
        for run in runs:
            self._first.setdefault(run.spec.hash, run)
