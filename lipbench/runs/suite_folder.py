"""A suite's folder of results: its plan, and the folders of its runs.

<runs>/<suite>/plan.json  report/  runs/<run id>/  spec.json  manifest.json  status.json
               protocols.json                      generators/*.pt (with intervals.keep: all)
               cost.json                           metrics.jsonl  scores.jsonl  audits.jsonl
               trials.jsonl (of a study)           checkpoint.pt  checkpoint.previous.pt
               optuna.journal                      samples/*.png  plane.npz (of points)

Scores are rows by protocol: training with another protocol's scores is the same run.
Files that begin with a dot, and claims/, are locks.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipbench import atomic, protocols, records
from lipbench.errors import UserError
from lipbench.outcome import Outcome
from lipbench.planning import plan
from lipbench.planning.plan import Plan, PlannedRun
from lipbench.planning.spec import RunSpec
from lipbench.protocols import Protocol
from lipbench.records import Damaged
from lipbench.runs import holds, locks
from lipbench.runs.holds import Hold
from lipbench.runs.inventory import Inventory
from lipbench.runs.ledger import Ledger
from lipbench.runs.locks import NoLocks
from lipbench.runs.run_folder import RunFolder, Status
from lipbench.urls import without_password

if TYPE_CHECKING:
    pass

_LOCK_ATTEMPTS = 10
_LOCK_PAUSE = 0.1  # seconds
_IDENTITY = re.compile(rb"[0-9a-f]{32}")


def default_tracking_uri(runs_dir: Path) -> str:
    """Return the MLflow store of a folder of results."""
    return f"sqlite:///{(runs_dir / 'mlflow.db').resolve()}"


class SuiteFolder:
    """A suite's results: its plan and one folder a run, found by the hash of their specs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._inventory = Inventory(path / "runs", self._planned)

    def plan(self) -> Plan:
        """Return the newest plan; raise UserError where the folder has none, or a damaged one.

        Of a study, lines of its ledger that cannot be read are left out with a warning.
        """
        path = self.path / "plan.json"
        try:
            fields = records.read(path, records.Record)
            stored = None if fields is None else records.interpreted(path, fields, plan.from_json)
        except Damaged as damage:
            raise Damaged(
                path,
                damage.reason,
                fault="damaged, or of a newer lipbench",
                advice="; `lipbench run` of its suite, or `lipbench tune` of its study, writes it "
                "anew",
            ) from damage
        if stored is None:
            raise UserError(
                f"{self.path} is not a suite's results: it has no plan.json; "
                "`lipbench run SUITE` makes them, of a study `lipbench tune`"
            )
        if not stored.tuning:
            return stored
        ledger = self.ledger()
        runs = ledger.runs()
        records.warn(ledger.damage)
        return replace(stored, runs=runs)

    def ledger(self) -> Ledger:
        """Return the trials of a study."""
        return Ledger(self.path / "trials.jsonl")

    def save_plan(self, given: Plan, tracking_uri: str) -> None:
        """Replace the plan, and where it is mirrored. Runs of an earlier one stay.

        Raises UserError where a study would replace a suite, or the other way round.
        """
        self.check_kind(given)
        self.path.mkdir(parents=True, exist_ok=True)
        atomic.replace_text(self.path / "plan.json", json.dumps(given.to_json(), indent=1) + "\n")
        self.note_protocol(given.protocol)
        tracking = json.dumps({"uri": without_password(tracking_uri)}) + "\n"
        atomic.replace_text(self.path / "tracking.json", tracking)

    def check_kind(self, given: Plan) -> None:
        """Raise UserError where a study's results are here and a suite is given, or vice versa."""
        wanted = "a study's" if given.tuning else "a suite's"
        here = self._kind()
        if here not in (None, wanted):
            raise UserError(
                f"{self.path} holds {here} results, not {wanted}; give this one another name: "
                "--set name=NAME"
            )

    def _kind(self) -> str | None:
        """Return whose results are here; where the plan cannot be read, a ledger is a study's."""
        try:
            stored = records.read(self.path / "plan.json", records.Plan)
        except Damaged:
            if self.ledger().path.exists():
                return "a study's"
            return "a suite's" if self.folders() else None
        if stored is None:
            return None
        return "a study's" if stored.get("tuning") else "a suite's"

    def mend(self) -> list[str]:
        """Put a damaged plan, and other files of the suite, aside; return a line on each.

        Whoever calls this writes a new plan. Nothing is deleted.
        """
        lines = []
        readers: dict[str, Callable[[], object]] = {
            "plan.json": self.plan,
            "tracking.json": self.tracking_uri,
            "cost.json": self.cost,
            "protocols.json": self.protocols,
        }
        for name, read in readers.items():
            try:
                read()
            except Damaged as damage:
                aside = records.put_aside(self.path / name)
                lines.append(f"{damage.path} was damaged ({damage.reason}): kept as {aside.name}")
            except UserError:  # there is none yet
                continue
        return [*lines, *self.ledger().mend()]

    def note_protocol(self, protocol: Protocol) -> None:
        """Keep the record of a protocol that scored runs here, by its id."""
        known = self.protocols()
        if known.get(protocol.id) != protocol:
            stored = {id_: asdict(each) for id_, each in known.items()}
            text = json.dumps({**stored, protocol.id: asdict(protocol)}, indent=1) + "\n"
            atomic.replace_text(self.path / "protocols.json", text)

    def protocols(self) -> dict[str, Protocol]:
        """Return the protocols that scored runs here, by id. Raises Damaged."""
        path = self.path / "protocols.json"
        stored = records.read(path, records.Record) or {}
        return records.interpreted(
            path, stored, lambda each: {id_: protocols.from_json(r) for id_, r in each.items()}
        )

    def tracking_uri(self) -> str:
        """Return where `lipbench run` mirrored these results, or would by default.

        A password is not kept: `urls.is_masked` says whether there was one.
        """
        stored = records.read(self.path / "tracking.json", records.Tracking)
        return str(stored["uri"]) if stored else default_tracking_uri(self.path.parent)

    def cost(self) -> dict[str, Any] | None:
        """Return what `lipbench cost` measured last, or None; see `lipbench.cost.report`."""
        return records.read(self.path / "cost.json", records.Cost)

    def save_cost(self, cost: Mapping[str, Any]) -> None:
        """Replace cost.json, what the suite's methods cost side by side."""
        self.path.mkdir(parents=True, exist_ok=True)
        atomic.replace_text(self.path / "cost.json", json.dumps(cost, indent=1) + "\n")

    def folders(self) -> dict[str, RunFolder]:
        """Return every run's folder by its spec's hash, which its name ends with."""
        return {hash_: RunFolder(path) for hash_, path in self._inventory.list().runs.items()}

    def uncounted(self) -> dict[Path, str]:
        """Return the folders among the runs' that count as no run, and one line on each."""
        return self._inventory.list().others

    def _planned(self) -> dict[str, RunSpec]:
        """Return the specs of the stored plan by their hash; none where it cannot be read."""
        try:
            return {run.spec.hash: run.spec for run in self.plan().runs}
        except UserError:
            return {}

    def statuses(self) -> dict[str, Status]:
        """Return how every run stands, by hash: running only if a process works on it.

        Where the file system has no locks that cannot be known, and a run is as it says.
        """
        statuses = {hash_: folder.status() for hash_, folder in self.folders().items()}
        if self.is_locked() is not False:
            return statuses
        return {
            hash_: replace(status, outcome=Outcome.INTERRUPTED)
            if status.outcome == Outcome.RUNNING and not holds.is_held(self._hold_file(hash_))
            else status
            for hash_, status in statuses.items()
        }

    def new_folder(self, run: PlannedRun) -> RunFolder:
        """Return where a run that has no folder yet goes."""
        return RunFolder(self.path / "runs" / run.id)

    def take_over(self, folder: RunFolder, run: PlannedRun) -> None:
        """Give a run's folder the name and the spec that the run has now."""
        folder = RunFolder(folder.path.rename(self.new_folder(run).path))
        folder.set_spec(run.spec)

    def set_aside(self, folder: RunFolder) -> Path:
        """Move a run's folder out of the way and return its new path; nothing is deleted."""
        target = self.path / "replaced" / f"{folder.path.name}.{time.time_ns()}"
        target.parent.mkdir(exist_ok=True)
        return folder.path.rename(target)

    @contextlib.contextmanager
    def locked(self) -> Iterator[str | None]:
        """Hold this folder for one process; a lock ends with its process, however that ends.

        Yields what the user should know: without locks, two commands cannot be kept apart.
        """
        with contextlib.ExitStack() as stack:
            remark = None
            try:
                stack.enter_context(self._lock(shared=False))
            except NoLocks as error:
                remark = f"{error}: never start a second command on these results meanwhile"
            self._settle()
            yield remark

    @contextlib.contextmanager
    def shared(self) -> Iterator[bool]:
        """Hold this folder for processes that hold each run that they work on.

        Yields whether this is the first of them. Raises UserError where the file system has no
        locks, without which processes cannot share a study.
        """
        with contextlib.ExitStack() as stack:
            try:
                alone = stack.enter_context(self._lock(shared=True))
            except NoLocks as error:
                raise UserError(
                    f"{error}, and a study needs them; give a folder on another one: --runs-dir"
                ) from error
            yield alone

    @contextlib.contextmanager
    def deciding(self) -> Iterator[None]:
        """Wait for, and hold, the right to decide which run comes next."""
        with locks.held(self.path / ".deciding"):
            yield

    def identity(self) -> str:
        """Return what tells these results from all others, made at the first time."""
        path = self.path / "identity"
        stored = records.content(path)
        if stored is None:
            atomic.replace_text(path, uuid.uuid4().hex)
            return path.read_text()
        if not _IDENTITY.fullmatch(stored):
            raise Damaged(path, "it should be 32 hexadecimal digits")
        return stored.decode()

    def hold(self, hash_: str) -> Hold | None:
        """Return the hold on a run, or None where another process works on it."""
        return holds.hold(self._hold_file(hash_))

    def _hold_file(self, hash_: str) -> Path:
        return self.path / "claims" / hash_

    @contextlib.contextmanager
    def _lock(self, shared: bool) -> Iterator[bool]:
        """Hold the folder's lock, and yield whether nobody else held it when it was got."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot write {self.path}: {error.strerror}") from error
        for _ in range(_LOCK_ATTEMPTS):  # `lipbench status` holds it for an instant
            if file := locks.acquire(self.path / ".lock"):
                alone = True
                if shared:
                    locks.share(file)
                break
            if shared and (file := locks.acquire(self.path / ".lock", shared=True)):
                alone = False
                break
            time.sleep(_LOCK_PAUSE)
        else:
            raise UserError(f"another lipbench process works on {self.path}; let it end")
        atomic.remove_leftovers(self.path)
        with file:
            yield alone

    def _settle(self) -> None:
        """Call interrupted what says that it runs: nothing does when the lock was just got."""
        for folder in self.folders().values():
            status = folder.status()
            if status.outcome == Outcome.RUNNING:
                folder.set_status(replace(status, outcome=Outcome.INTERRUPTED))

    def is_locked(self) -> bool | None:
        """Return whether a process works on this folder now; None where there are no locks."""
        return locks.is_held(self.path / ".lock")
