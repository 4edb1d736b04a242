"""One run's folder, which is the source of truth: everything else is made from it.

Its files are listed in `suite_folder`.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipbench import atomic, records
from lipbench.errors import UserError
from lipbench.outcome import Outcome
from lipbench.planning import spec
from lipbench.planning.spec import RunSpec
from lipbench.records import Damaged, Rows
from lipbench.runs import checkpoints
from lipbench.runs.plane import FILE, Plane
from lipbench.words import counted

if TYPE_CHECKING:
    from PIL.Image import Image

HEARTBEAT_SECONDS = 5.0
SERIES = ("metrics", "scores", "audits")  # what training appends, and a resumed run writes again
_LATER = ("scores", "audits")  # of which rows can follow the checkpoint of their update


@dataclass(frozen=True)
class Status:
    """How a run stands, and why; of a damaged run the cause names the file."""

    outcome: Outcome = Outcome.QUEUED
    cause: str | None = None
    update: int = 0
    heartbeat: float = 0.0
    cost: dict[str, float] = field(default_factory=dict)  # see `lipbench.results.frame.load_runs`

    @property
    def ended(self) -> bool:
        """Return whether nothing is left to do, unless somebody asks for a retry."""
        return self.outcome.ended


_STATUS = tuple(entry.name for entry in fields(Status))
_FILES = ("spec.json", "manifest.json", "status.json", "error.txt")
# What a run's folder has, and whether that is a folder too.
_ENTRIES = {
    **dict.fromkeys([*_FILES, *(f"{name}.jsonl" for name in records.SERIES)], False),
    "samples": True,
}


class RunFolder:
    """One run's files. Lines are appended; everything else is replaced in one step."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._series: dict[str, str] = {}  # the text of each at the last checkpoint

    def open(self, run: RunSpec, session: Mapping[str, Any]) -> None:
        """Create the folder, or take it up again; note who works on it, with what."""
        mended = self.mend(run) if self.path.exists() else []
        (self.path / "samples").mkdir(parents=True, exist_ok=True)
        (self.path / "error.txt").unlink(missing_ok=True)
        for folder in (self.path, self.path / "samples"):
            atomic.remove_leftovers(folder)
        self.set_spec(run)
        noted = {"remarks": mended} if mended else {}
        sessions = [*self.sessions(), {**session, **noted}]
        self._write_json("manifest.json", {"sessions": sessions})

    def take_in_evals(self) -> None:
        """Move an older version's evals.jsonl, scores of other protocols, into scores.jsonl."""
        keys = ("protocol", "checkpoint")
        have = {tuple(row.get(key) for key in keys) for row in self._read("scores").rows}
        for row in self._read("evals").rows:
            if tuple(row.get(key) for key in keys) not in have:
                self.put("scores", row, keys)
        (self.path / "evals.jsonl").unlink(missing_ok=True)

    def set_spec(self, run: RunSpec) -> None:
        """Replace the run's spec."""
        self._write_json("spec.json", run.to_json())

    def spec(self) -> RunSpec:
        """Return the run's spec, upgraded to this schema."""
        path = self.path / "spec.json"
        stored = records.read(path, records.Record)
        if stored is None:
            raise Damaged(path, "it is missing")
        return records.interpreted(path, stored, spec.from_json)

    def sessions(self) -> list[dict[str, Any]]:
        """Return, for each time that the run was started, what it ran on and with."""
        manifest = records.read(self.path / "manifest.json", records.Manifest)
        return list(manifest["sessions"]) if manifest else []

    def status(self) -> Status:
        """Return how the run stands, by its own account; damaged where that cannot be read."""
        try:
            return self._stored_status()
        except Damaged as damage:
            return Status(Outcome.DAMAGED, damage.brief)

    def _stored_status(self) -> Status:
        path = self.path / "status.json"
        stored = records.read(path, records.Status)
        if stored is None:
            return Status()
        try:
            outcome = Outcome(stored["outcome"])
        except ValueError:
            raise Damaged(path, f"no outcome is called {stored['outcome'][:20]!r}") from None
        known = {name: stored[name] for name in _STATUS if name in stored}
        return Status(**{**known, "outcome": outcome})

    def write_error(self, text: str) -> None:
        """Write a failed run's traceback to error.txt."""
        atomic.replace_text(self.path / "error.txt", text)

    def set_status(self, status: Status) -> None:
        """Replace the status, stamping it with the time."""
        self.path.mkdir(parents=True, exist_ok=True)
        fields = {**asdict(status), "heartbeat": time.time()}
        if status.outcome.is_result:  # what has ended loses no row unnoticed
            fields["rows"] = {name: _count(self.path / f"{name}.jsonl") for name in SERIES}
        self._write_json("status.json", fields)

    def append(self, name: str, row: Mapping[str, Any]) -> None:
        """Append a row to `<name>.jsonl`."""
        with (self.path / f"{name}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(_finite(row)) + "\n")

    def put(self, name: str, row: Mapping[str, Any], keys: Sequence[str]) -> None:
        """Put a row into `<name>.jsonl`, in place of those with the same values of these keys.

        Rows stay in the order of their updates.
        """
        row = json.loads(json.dumps(_finite(row)))
        found = self._read(name)
        for damage in found.damage:
            raise damage
        others = [r for r in found.rows if any(r.get(key) != row.get(key) for key in keys)]
        rows = sorted([*others, row], key=lambda r: r["update"])
        text = _lines(rows)
        atomic.replace_text(self.path / f"{name}.jsonl", text)

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Return the rows of `<name>.jsonl`; a last line cut short by a crash is not one.

        Raises Damaged for any other line that is no row.
        """
        found = self.readable(name)
        for damage in found.damage:
            raise damage
        return found.rows

    def readable(self, name: str) -> Rows:
        """Return the rows of `<name>.jsonl` that can be read, and the damage there is."""
        found = self._read(name)
        if name != "scores" or not (self.path / "evals.jsonl").exists():
            return found
        older = self._read("evals")
        return Rows([*older.rows, *found.rows], [*found.damage, *older.damage])

    def _read(self, name: str) -> Rows:
        return records.rows(self.path / f"{name}.jsonl", records.SERIES[name])

    def is_scored(self, protocol: str, updates: int) -> bool:
        """Return whether a protocol of this id has scored the generator of the last update."""
        return any(
            row["checkpoint"] == "last"
            and row["update"] == updates
            and row.get("protocol") == protocol
            for row in self.readable("scores").rows
        )

    def mend(self, run: RunSpec) -> list[str]:
        """Put what cannot be read out of the run's way; return a line on each file.

        Nothing is deleted: a damaged file gets another name. The spec is written anew, and rows
        that can be read stay. A run whose result they were is then to be done again, from its last
        checkpoint.
        """
        lines = []
        for name, is_folder in _ENTRIES.items():
            path = self.path / name
            if path.is_dir() != is_folder and (path.exists() or path.is_symlink()):
                fault = "is no folder" if is_folder else "is a folder"
                lines.append(f"{path} {fault}; it is kept as {records.put_aside(path).name}")
        readers: dict[str, Callable[[], object]] = {
            "spec.json": self.spec,
            "manifest.json": self.sessions,
            "status.json": self._stored_status,
        }
        for name, read in readers.items():
            try:
                read()
            except Damaged as damage:
                path = self.path / name
                kept = f"; it is kept as {records.put_aside(path).name}" if path.exists() else ""
                lines.append(f"{damage}{kept}")
                if name == "spec.json":
                    self._write_json(name, run.to_json())
        return lines + self.mend_rows(run.budget.generator_updates)

    def mend_rows(self, updates: int) -> list[str]:
        """Put files with rows that cannot be read aside, as `mend` does.

        Of a run that has ended, metrics are passed over: they are long, and no result rests on
        them. `updates` are those of its budget: a completed run has scores of them.
        """
        ended = self.status().outcome.is_result
        names = [name for name in records.SERIES if not (ended and name == "metrics")]
        lines = [line for name in names for line in self._mend_series(name)]
        status = self.status()
        now = checked(status, self.readable("scores"), updates)
        if now.outcome != status.outcome:
            self.set_status(replace(status, outcome=Outcome.INTERRUPTED))
            lines.append(f"{self.path / 'status.json'} says {status.outcome}, but {now.cause}")
        if (self.path / "evals.jsonl").is_file():
            self.take_in_evals()
        return lines + self._restore_lost()

    def _restore_lost(self) -> list[str]:
        """Give a run that has ended the rows back that it has lost since; return a line on each.

        They are in its checkpoint; a loss that is not is told once.
        """
        status = self.status()
        stored = records.read(self.path / "status.json", records.Record) or {}
        stated = stored.get("rows")
        if not status.outcome.is_result or not isinstance(stated, dict):
            return []
        paths = {name: self.path / f"{name}.jsonl" for name in SERIES}
        lost = {
            name: stated[name] - _count(path)
            for name, path in paths.items()
            if isinstance(stated.get(name), int) and _count(path) < stated[name]
        }
        if not lost:
            return []
        try:
            series = (self.load_checkpoint() or {}).get("series") or {}
        except UserError:
            series = {}
        lines = []
        for name, number in lost.items():
            if name in series:
                text = _joined(series[name], _text(paths[name]), status.update)
                atomic.replace_text(paths[name], text)
            left = max(0, stated[name] - _count(paths[name]))
            back = f"{number - left} of them restored from the checkpoint"
            rows = f"{number} row{'' if number == 1 else 's'} missing"
            lines.append(f"{paths[name]}: {rows}, {back}")
        self.set_status(replace(status))
        return lines

    def _mend_series(self, name: str) -> list[str]:
        found = self._read(name)
        if not found.damage:
            return []
        path = self.path / f"{name}.jsonl"
        aside = records.put_aside(path)
        atomic.replace_text(path, _lines(found.rows))
        status = self.status()
        if name in SERIES and status.outcome.is_result:
            self.set_status(replace(status, outcome=Outcome.INTERRUPTED, cause=None))
        others = len(found.damage) - 1
        more = f", and {counted(others, 'more line')}" if others else ""
        return [f"{found.damage[0]}{more}; the file is kept as {aside.name}, its other rows stay"]

    def note(self, remark: str) -> None:
        """Add a remark to the manifest's last session: something that was repaired."""
        *earlier, last = self.sessions()
        noted = {**last, "remarks": [*last.get("remarks", []), remark]}
        self._write_json("manifest.json", {"sessions": [*earlier, noted]})

    def go_back(self, update: int, stored: Mapping[str, str] | None) -> list[str]:
        """Make the rows those of an update, which a resumed run goes on from; -1 for none.

        `stored` is the text of each series in the checkpoint (None: an older one, without). Rows
        after the update are dropped, for the run writes them again; rows that were lost, doubled
        or moved since are as they were. Returns a sentence for each file that had lost rows.
        """
        if stored is None:
            self._cut(update)
            return []
        remarks = []
        for name in SERIES:
            present, then = _text(self.path / f"{name}.jsonl"), stored[name]
            kept = _joined(then, present, update) if name in _LATER else then
            remarks += self._restore(name, present, then, kept)
        return remarks

    def _restore(self, name: str, present: str, then: str, kept: str) -> list[str]:
        """Replace a series by `kept`; return a sentence where rows of `then` were not present."""
        path = self.path / f"{name}.jsonl"
        if kept != present:
            atomic.replace_text(path, kept)
        self._series[name] = kept
        lost = len(set(then.splitlines()) - set(present.splitlines()))
        return (
            [f"{counted(lost, 'row')} missing from {path.name}: restored from the checkpoint"]
            if lost
            else []
        )

    def _cut(self, update: int) -> None:
        """Drop the rows after an update."""
        for name in SERIES:
            rows = self.rows(name)
            kept = [row for row in rows if row["update"] <= update]
            text = _lines(kept)
            if rows or (self.path / f"{name}.jsonl").exists():
                atomic.replace_text(self.path / f"{name}.jsonl", text)

    def save_checkpoint(self, state: Mapping[str, Any], run: RunSpec) -> list[str]:
        """Write a run's checkpoint, with the rows so far in it; the one before it is kept.

        Returns a sentence for each file that has lost rows since the checkpoint before it; they
        are restored.
        """
        remarks = []
        for name in SERIES:
            present, then = _text(self.path / f"{name}.jsonl"), self._series.get(name, "")
            whole = set(then.splitlines()) <= set(present.splitlines())
            kept = present if whole else _joined(then, present, state["training"]["update"])
            remarks += self._restore(name, present, then, kept)
        checkpoints.save(self.path, {**state, "series": dict(self._series)}, run)
        return remarks

    def load_checkpoint(self, run: RunSpec | None = None) -> dict[str, Any] | None:
        """Return the newest checkpoint, or None; raise UserError for a damaged one.

        `run` is the spec that it must be of: by default the folder's.
        """
        return checkpoints.load(self.path, run or self.spec())

    def save_sample(self, update: int, image: Image) -> None:
        """Write a grid of samples as samples/<update>.png."""
        path = self.path / "samples" / f"{update:08d}.png"
        atomic.replace(path, lambda file: image.save(file, format="PNG"))

    def save_plane(self, plane: Plane) -> None:
        """Write what the picture of a run in the plane is drawn from."""
        atomic.replace(self.path / FILE, plane.write)

    def plane(self) -> Path | None:
        """Return the file that `save_plane` wrote, if there is one."""
        path = self.path / FILE
        return path if path.is_file() else None

    def save_generator(self, update: int, weights: Mapping[str, Any]) -> None:
        """Write a generator's weights as generators/<update>.pt."""
        import torch

        (self.path / "generators").mkdir(exist_ok=True)
        path = self.path / "generators" / f"{update:08d}.pt"
        atomic.replace(path, lambda file: torch.save(dict(weights), file))

    def generators(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the update and the weights of each generator that was kept, oldest first.

        Raises UserError for one that cannot be read.
        """
        import torch

        for path in sorted((self.path / "generators").glob("*.pt")):
            try:
                weights = torch.load(path, map_location="cpu", weights_only=True)
            except Exception as error:  # torch raises half a dozen kinds
                raise UserError(f"{path} is damaged ({type(error).__name__})") from error
            yield int(path.stem), weights

    def samples(self) -> list[Path]:
        """Return the sample grids, oldest first."""
        return sorted(path for path in (self.path / "samples").glob("*.png") if path.is_file())

    def _write_json(self, name: str, value: Mapping[str, Any]) -> None:
        atomic.replace_text(self.path / name, json.dumps(value, indent=1) + "\n")


def checked(status: Status, found: Rows, updates: int | None = None) -> Status:
    """Return a run's status, or a damaged one where the rows that it rests on cannot be read.

    With the `updates` of the budget, a completed run without scores of them is damaged too.
    """
    if found.damage:
        return replace(status, outcome=Outcome.DAMAGED, cause=found.damage[0].brief)
    if (
        updates is not None
        and status.outcome == Outcome.COMPLETED
        and not _is_scored(found, updates)
    ):
        cause = f"scores.jsonl has no scores of update {updates:,}"
        return replace(status, outcome=Outcome.DAMAGED, cause=cause)
    return status


def _is_scored(found: Rows, updates: int) -> bool:
    return any(row["checkpoint"] == "last" and row["update"] == updates for row in found.rows)


def _lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def _finite(value: Any) -> Any:
    """Return a value that is JSON: nan and inf as strings, which float() reads back."""
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _text(path: Path) -> str:
    """Return a file's text, or none where there is no file."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _count(path: Path) -> int:
    """Return how many lines a file has; none where it cannot be read."""
    try:
        return (records.content(path) or b"").count(b"\n")
    except (OSError, Damaged):
        return 0


def _joined(then: str, present: str, update: int) -> str:
    """Return the lines of a checkpoint, and those of other rows up to its update, made since.

    Those are the scores at the end of the budget, and what `lipbench audit` measured.
    """
    rows: dict[tuple[int, str], str] = {}
    for line in (*then.splitlines(), *present.splitlines()):
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
            row = json.loads(line)
            if (of := int(row["update"])) <= update:
                rows.setdefault((of, f"{row.get('checkpoint')} {row.get('protocol')}"), line)
    ordered = sorted(rows.items(), key=lambda item: item[0][0])
    return "".join(f"{line}\n" for _, line in ordered)
