"""The run folder, which is the source of truth: everything else is made from it.

<runs>/<suite>/plan.json  report/  runs/<run id>/  spec.json  manifest.json  status.json
               cost.json                           metrics.jsonl  scores.jsonl  audits.jsonl
               trials.jsonl (of a study)           evals.jsonl
               optuna.journal                      checkpoint.pt  samples/*.png

Files that begin with a dot, and claims/, are locks.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import math
import os
import time
import uuid
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipbench import atomic, claims, plan, spec
from lipbench.claims import Claim
from lipbench.errors import Mark, UserError
from lipbench.ledger import Ledger
from lipbench.plan import Plan, PlannedRun
from lipbench.spec import RunSpec

if TYPE_CHECKING:
    from PIL.Image import Image

# Outcomes; resumed only if asked.
ENDED = ("completed", "diverged", "pruned", "failed", "out_of_memory")
RESULTS = ("completed", "diverged", "pruned")  # those that tell of the method, not of the machine
HEARTBEAT_SECONDS = 5.0
_LOCK_ATTEMPTS = 10
_SERIES = ("metrics", "scores", "audits")  # what training appends, and a resumed run writes again


@dataclass(frozen=True)
class Status:
    """How a run stands: an outcome of ENDED, or queued, running, interrupted."""

    outcome: str = "queued"
    cause: str | None = None
    update: int = 0
    heartbeat: float = 0.0
    cost: dict[str, float] = field(default_factory=dict)  # see `lipbench.frame.load_runs`

    @property
    def ended(self) -> bool:
        """Return whether nothing is left to do, unless somebody asks for a retry."""
        return self.outcome in ENDED


def default_tracking_uri(runs_dir: Path) -> str:
    """Return the MLflow store of a folder of results."""
    return f"sqlite:///{(runs_dir / 'mlflow.db').resolve()}"


class RunFolder:
    """One run's files. Lines are appended; everything else is replaced in one step."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self, run: RunSpec, session: Mapping[str, Any]) -> None:
        """Create the folder, or take it up again; note who works on it, with what."""
        (self.path / "samples").mkdir(parents=True, exist_ok=True)
        (self.path / "error.txt").unlink(missing_ok=True)
        for left in self.path.glob(".*.??????*"):  # by a process killed while it wrote
            left.unlink(missing_ok=True)
        self._write_json("spec.json", run.to_json())
        self._write_json("manifest.json", {"sessions": [*self.sessions(), dict(session)]})

    def spec(self) -> RunSpec:
        """Return the run's spec, upgraded to this schema."""
        try:
            return spec.from_json(json.loads((self.path / "spec.json").read_text()))
        except (OSError, ValueError) as error:
            raise UserError(f"{self.path / 'spec.json'} cannot be read ({error})") from error

    def sessions(self) -> list[dict[str, Any]]:
        """Return, for each time that the run was started, what it ran on and with."""
        manifest = self._read_json("manifest.json")
        return list(manifest["sessions"]) if manifest else []

    def status(self) -> Status:
        """Return how the run stands, by its own account."""
        stored = self._read_json("status.json")
        try:
            return Status(**stored) if stored else Status()
        except TypeError as error:
            raise UserError(f"{self.path / 'status.json'} is damaged ({error})") from error

    def write_error(self, text: str) -> None:
        """Write a failed run's traceback to error.txt."""
        atomic.replace_text(self.path / "error.txt", text)

    def set_status(self, status: Status) -> None:
        """Replace the status, stamping it with the time."""
        self.path.mkdir(parents=True, exist_ok=True)
        self._write_json("status.json", {**asdict(status), "heartbeat": time.time()})

    def append(self, name: str, row: Mapping[str, Any]) -> None:
        """Append a row to `<name>.jsonl`."""
        with (self.path / f"{name}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(_finite(row)) + "\n")

    def put(self, name: str, row: Mapping[str, Any], keys: Sequence[str]) -> None:
        """Put a row into `<name>.jsonl`, in place of those with the same values of these keys.

        Rows stay in the order of their updates.
        """
        row = json.loads(json.dumps(_finite(row)))
        others = [r for r in self.rows(name) if any(r.get(key) != row[key] for key in keys)]
        rows = sorted([*others, row], key=lambda r: r["update"])
        text = "".join(json.dumps(row) + "\n" for row in rows)
        atomic.replace_text(self.path / f"{name}.jsonl", text)

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Return the rows of `<name>.jsonl`; a last line cut short by a crash is not one."""
        try:
            lines = (self.path / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        rows = []
        for number, line in enumerate(lines):
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                if number + 1 < len(lines):
                    where = Mark(str(self.path / f"{name}.jsonl"), number + 1)
                    raise UserError(f"damaged ({error})", where) from error
        return rows

    def note(self, remark: str) -> None:
        """Add a remark to the manifest's last session: something that was repaired."""
        *earlier, last = self.sessions()
        noted = {**last, "remarks": [*last.get("remarks", []), remark]}
        self._write_json("manifest.json", {"sessions": [*earlier, noted]})

    def cut(self, update: int) -> None:
        """Drop the rows after an update: those that a resumed run will write again."""
        for name in _SERIES:
            rows = self.rows(name)
            kept = [row for row in rows if row["update"] <= update]
            text = "".join(json.dumps(row) + "\n" for row in kept)
            if rows or (self.path / f"{name}.jsonl").exists():
                atomic.replace_text(self.path / f"{name}.jsonl", text)

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Replace checkpoint.pt, once the rows before it are on the disk."""
        import torch

        for name in _SERIES:
            with (
                contextlib.suppress(FileNotFoundError),
                (self.path / f"{name}.jsonl").open() as file,
            ):
                os.fsync(file.fileno())
        content = io.BytesIO()  # torch.save tells of a full disk as of a bug of its own
        torch.save(dict(state), content)
        atomic.replace(self.path / "checkpoint.pt", lambda file: file.write(content.getbuffer()))

    def load_checkpoint(self) -> dict[str, Any] | None:
        """Return the checkpoint, or None; raise UserError for one that cannot be read.

        Only tensors and plain values are loaded: a checkpoint cannot run code.
        """
        import torch

        path = self.path / "checkpoint.pt"
        if not path.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises half a dozen kinds for a damaged file
            first = (str(error) or type(error).__name__).splitlines()[0]
            raise UserError(
                f"{path} is damaged ({first}); delete it to start this run anew"
            ) from error
        return state

    def check_checkpoint(self) -> None:
        """Raise UserError for a checkpoint that is cut short; cheap, since it is a zip file."""
        path = self.path / "checkpoint.pt"
        if path.exists() and not zipfile.is_zipfile(path):
            raise UserError(f"{path} is damaged (cut short); delete it to start this run anew")

    def save_sample(self, update: int, image: Image) -> None:
        """Write a grid of samples as samples/<update>.png."""
        path = self.path / "samples" / f"{update:08d}.png"
        atomic.replace(path, lambda file: image.save(file, format="PNG"))

    def samples(self) -> list[Path]:
        """Return the sample grids, oldest first."""
        return sorted((self.path / "samples").glob("*.png"))

    def _read_json(self, name: str) -> dict[str, Any] | None:
        try:
            text = (self.path / name).read_text()
        except FileNotFoundError:
            return None
        try:
            return dict(json.loads(text))
        except ValueError as error:
            raise UserError(f"{self.path / name} is damaged ({error})") from error

    def _write_json(self, name: str, value: Mapping[str, Any]) -> None:
        atomic.replace_text(self.path / name, json.dumps(value, indent=1) + "\n")


class SuiteFolder:
    """A suite's results: its plan and one folder a run, found by the hash of their specs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def plan(self) -> Plan:
        """Return the newest plan; raise UserError where the folder has none."""
        try:
            text = (self.path / "plan.json").read_text()
        except OSError as error:
            raise UserError(
                f"{self.path} is not a suite's results: it has no plan.json; "
                "`lipbench run SUITE` makes them, of a study `lipbench tune`"
            ) from error
        try:
            stored = plan.from_json(text)
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{self.path / 'plan.json'} is damaged, or of a newer lipbench "
                f"({str(error).splitlines()[0]}); `lipbench run` of its suite, or `lipbench tune` "
                "of its study, writes it anew"
            ) from error
        return replace(stored, runs=self.ledger().runs()) if stored.tuning else stored

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
        tracking = json.dumps({"uri": tracking_uri}) + "\n"
        atomic.replace_text(self.path / "tracking.json", tracking)

    def check_kind(self, given: Plan) -> None:
        """Raise UserError where a study's results are here and a suite is given, or vice versa."""
        if not (self.path / "plan.json").exists():
            return
        here, wanted = ("a study's" if p.tuning else "a suite's" for p in (self.plan(), given))
        if here != wanted:
            raise UserError(
                f"{self.path} holds {here} results, not {wanted}; give this one another name: "
                "--set name=NAME"
            )

    def tracking_uri(self) -> str:
        """Return where `lipbench run` mirrored these results, or would by default."""
        try:
            return str(json.loads((self.path / "tracking.json").read_text())["uri"])
        except (OSError, ValueError, KeyError):
            return default_tracking_uri(self.path.parent)

    def cost(self) -> dict[str, Any] | None:
        """Return what `lipbench cost` measured last, or None; see `lipbench.cost.report`."""
        path = self.path / "cost.json"
        try:
            return dict(json.loads(path.read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise UserError(f"{path} is damaged ({error})") from error

    def save_cost(self, cost: Mapping[str, Any]) -> None:
        """Replace cost.json, what the suite's methods cost side by side."""
        self.path.mkdir(parents=True, exist_ok=True)
        atomic.replace_text(self.path / "cost.json", json.dumps(cost, indent=1) + "\n")

    def folders(self) -> dict[str, RunFolder]:
        """Return every run folder by the hash in its name."""
        try:
            found = sorted(os.scandir(self.path / "runs"), key=lambda entry: entry.name)
        except FileNotFoundError:
            return {}
        return {
            entry.name.rpartition("-")[2]: RunFolder(Path(entry.path))
            for entry in found
            if entry.is_dir() and not entry.name.startswith(".")
        }

    def statuses(self) -> dict[str, Status]:
        """Return how every run stands, by hash: running only if a process works on it."""
        statuses = {hash_: folder.status() for hash_, folder in self.folders().items()}
        if self.is_locked():
            return statuses
        return {
            hash_: replace(status, outcome="interrupted")
            if status.outcome == "running" and not claims.is_claimed(self._claim(hash_))
            else status
            for hash_, status in statuses.items()
        }

    def new_folder(self, run: PlannedRun) -> RunFolder:
        """Return where a run that has no folder yet goes."""
        return RunFolder(self.path / "runs" / run.id)

    def take_over(self, folder: RunFolder, run: PlannedRun) -> None:
        """Give a run's folder the name that the run has now."""
        folder.path.rename(self.new_folder(run).path)

    def set_aside(self, folder: RunFolder) -> None:
        """Move a run's folder out of the way; what was measured is not deleted."""
        target = self.path / "replaced" / f"{folder.path.name}.{time.time_ns()}"
        target.parent.mkdir(exist_ok=True)
        folder.path.rename(target)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold this folder for one process; a lock ends with its process, however that ends."""
        with self._lock(fcntl.LOCK_EX):
            self._settle()
            yield

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Hold this folder for processes that claim each run that they work on."""
        with self._lock(fcntl.LOCK_SH):
            yield

    @contextlib.contextmanager
    def deciding(self) -> Iterator[None]:
        """Wait for, and hold, the right to decide which run comes next."""
        with (self.path / ".deciding").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def identity(self) -> str:
        """Return what tells these results from all others, made at the first time."""
        path = self.path / "identity"
        if not path.exists():
            atomic.replace_text(path, uuid.uuid4().hex)
        return path.read_text()

    def claim(self, hash_: str) -> Claim | None:
        """Return the claim to a run, or None where another process works on it."""
        return claims.claim(self._claim(hash_))

    def _claim(self, hash_: str) -> Path:
        return self.path / "claims" / hash_

    @contextlib.contextmanager
    def _lock(self, kind: int) -> Iterator[None]:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot write {self.path}: {error.strerror}") from error
        with (self.path / ".lock").open("w") as file:
            for attempt in range(_LOCK_ATTEMPTS):  # `lipbench status` holds it for an instant
                try:
                    fcntl.flock(file, kind | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if attempt + 1 == _LOCK_ATTEMPTS:
                        raise UserError(
                            f"another lipbench process works on {self.path}; let it end"
                        ) from error
                    time.sleep(0.1)
            yield

    def _settle(self) -> None:
        """Call interrupted what says that it runs: nothing does when the lock was just got."""
        for folder in self.folders().values():
            status = folder.status()
            if status.outcome == "running":
                folder.set_status(replace(status, outcome="interrupted"))

    def is_locked(self) -> bool:
        """Return whether a process works on this folder now."""
        try:
            with (self.path / ".lock").open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            pass
        return False


def _finite(value: Any) -> Any:
    """Return a value that is JSON: nan and inf as strings, which float() reads back."""
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
