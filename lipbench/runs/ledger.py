"""A study's ledger: each trial's run, in the order in which they were asked for. Only grows."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lipbench import atomic, records
from lipbench.planning import plan
from lipbench.planning.plan import PlannedRun
from lipbench.records import Damaged

_NEWLINE = ord("\n")


class Ledger:
    """The file trials.jsonl, read on as it grows.

    Trials are lines of their own. The confirmations of a method in one repeat are one line, and
    the last such line counts: a study that went on after them may have found better ones. Lines
    that cannot be read are passed over, and are in `damage`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage: list[Damaged] = []  # the lines that cannot be read, so far
        self._read = 0
        self._lines = 0
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
        with self.path.open("ab") as file:
            file.truncate(self._read)  # a line that a killed process left unfinished
            file.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._update()

    def mend(self) -> list[str]:
        """Blank the lines that cannot be read, once the file is copied; return a line on each.

        All others keep their places, for other processes go on reading from where they are.
        """
        try:
            self._update()
        except Damaged as damage:  # the file as a whole
            return [f"{damage}; it is kept as {records.put_aside(self.path).name}"]
        if not self.damage:
            return []
        stored = self.path.read_bytes()
        aside = records.beside(self.path)
        atomic.replace(aside, lambda file: file.write(stored))
        starts = [0, *(at + 1 for at, byte in enumerate(stored) if byte == _NEWLINE)]
        with self.path.open("rb+") as file:
            for damaged in self.damage:
                assert damaged.line is not None
                start, end = starts[damaged.line - 1], starts[damaged.line] - 1
                file.seek(start)
                file.write(b" " * (end - start))
            file.flush()
            os.fsync(file.fileno())
        lines = [f"{damaged}; a copy is kept as {aside.name}" for damaged in self.damage]
        self.damage.clear()
        return lines

    def _update(self) -> None:
        """Take in the lines that are new; one that has no end yet is not."""
        if self.path.is_fifo():
            raise Damaged(self.path, "it is a pipe")
        try:
            with self.path.open("rb") as file:
                file.seek(self._read)
                content = file.read()
        except FileNotFoundError:
            return
        except OSError as error:
            raise records.unreadable(self.path, error) from error
        whole = content[: content.rfind(b"\n") + 1]
        for line in whole.split(b"\n")[:-1]:
            self._lines += 1
            try:
                if line.strip():
                    row = records.parsed(self.path, line, self._lines)
                    records.interpreted(self.path, row, self._take, self._lines)
            except Damaged as damage:
                self.damage.append(damage)
        self._read += len(whole)

    def _take(self, row: dict[str, Any]) -> None:
        if "trial" in row:
            run = plan.run_from_json(row["trial"])
            if run.trial is None:
                raise ValueError("the trial has no number")
            self._trials.append(run)
            runs = [run]
        else:
            runs = [plan.run_from_json(run) for run in row["confirmations"]]
            self._confirmations[row["method"], row["repeat"]] = runs
        for run in runs:
            self._first.setdefault(run.spec.hash, run)
