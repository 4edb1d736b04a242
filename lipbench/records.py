"""Read what lies in a results folder: JSON files and JSONL rows, each held to its schema.

Whatever is wrong with a file (cut short, not UTF-8, of other types, a folder in its place) is one
error, `Damaged`, with the file's name and, of rows, the line. A schema says which types the values
have that lipbench reads; keys that it does not name are passed over, and values stay as stored.
"""

from __future__ import annotations

import contextlib
import errno
import json
import stat
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import from_json

from lipbench.errors import UserError
from lipbench.words import counted

# What the system says of a file that is there and cannot be read; anything else is trouble of the
# machine's (too many open files), which says nothing about the file.
_UNREADABLE = frozenset({errno.EISDIR, errno.EACCES, errno.EPERM, errno.EIO, errno.ELOOP})
_LONGEST = 120  # characters of a reason
_BRANCHES = ("float", "literal['nan','inf','-inf']")  # that pydantic adds to a place

T = TypeVar("T")
Number = float | Literal["nan", "inf", "-inf"]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0, lt=2**53)]
_Numbers = dict[str, Number]


def _spectrum(value: Any, judge: ValidatorFunctionWrapHandler) -> Any:
    """Let pydantic judge what is no list of floats: they are most of what is ever read."""
    return value if type(value) is list and {*map(type, value)} == {float} else judge(value)


_Spectrum = Annotated[list[Number], WrapValidator(_spectrum)]


class Damaged(UserError):  # noqa: N818 - it names what is so
    """A file of results that cannot be read; the message names file, line and fault.

    `brief` is the message with the file's name in place of its path.
    """

    def __init__(
        self,
        path: Path,
        reason: str,
        line: int | None = None,
        fault: str = "damaged",
        advice: str = "",
    ) -> None:
        self.path, self.line, self.reason = path, line, reason
        rest = f"{' is' if line is None else f':{line}:'} {fault} ({reason})"
        self.brief = f"{path.name}{rest}"
        super().__init__(f"{path}{rest}{advice}")


class Record(BaseModel):
    """What a file or a row holds, of the values that lipbench reads; only held against it."""

    model_config = ConfigDict(strict=True)


class Status(Record):
    """What status.json holds."""

    outcome: str
    cause: str | None = None
    update: _Count = 0
    heartbeat: _Finite = 0.0
    cost: dict[str, float] = {}


class Session(Record):
    """What the manifest says of one start of a run."""

    started: _Finite = 0.0
    host: str = ""
    device: str = ""
    processor: str = ""
    threads: _Count = 0
    revision: str | None = None
    method_sources: dict[str, str] = {}
    loss_sources: dict[str, str] = {}
    dataset_sources: dict[str, str] = {}
    architecture_sources: dict[str, str] = {}
    versions: dict[str, str] = {}
    command: list[str] = []


class Manifest(Record):
    """What manifest.json holds."""

    sessions: list[Session]


class Tracking(Record):
    """What tracking.json holds."""

    uri: str


class CostRow(Record):
    """One case of cost.json."""

    method: str
    power_iterations: _Count | None = None
    image_size: _Count = 0
    n_dis: _Count = 0
    seconds_per_100_updates: list[_Finite]
    ratio_to_none: list[_Finite]
    extra_parameters: int = 0
    peak_device_bytes: Number | None = None
    energy_joules_per_100_updates: Number | None = None


class Cost(Record):
    """What cost.json holds."""

    device: str = ""
    processor: str = ""
    threads: _Count = 0
    rounds: _Count
    rows: list[CostRow]


class Trial(Record):
    """Which trial of a study a run is."""

    repeat: int
    number: _Count
    params: dict[str, Any]
    confirms: bool = False


class PlannedRun(Record):
    """A run in plan.json or trials.jsonl."""

    method: str
    setting: str
    spec: dict[str, Any]
    trial: Trial | None = None


class Dataset(Record):
    """The facts of a dataset in plan.json."""

    name: str
    fingerprint: str
    shape: list[_Count] | None = None  # older plans: images' size and channels
    image_size: _Count | None = None
    channels: _Count | None = None
    n_train: _Count
    n_test: _Count
    classes: list[str]


class Use(Record):
    """How a protocol computes a score."""

    n_real: _Count | None = None
    n_fake: _Count | None = None
    sets: _Count = 1
    options: dict[str, int | float] = {}


class Selection(Record):
    """How a protocol chooses the best checkpoint."""

    split: str
    n_real: _Count
    n_fake: _Count
    scores: list[str]


class Protocol(Record):
    """A protocol in plan.json."""

    name: str
    version: _Count
    extractor: str
    primary: str
    n_real: _Count
    n_fake: _Count
    scores: dict[str, Use]
    selection: Selection
    n_training: _Count = 0
    bootstrap: _Count = 0
    dataset: str | None = None
    collapse_ratio: _Finite = 0.0


class OwnScore(Record):
    """What a plan says of a score of the user's own: a `protocols.Score`, and its file."""

    file: str
    score: dict[str, Any]


class Plan(Record):
    """What plan.json holds."""

    name: str
    description: str
    runs: list[PlannedRun]
    dataset: Dataset
    dataset_path: str | None = None  # of plans without `dataset_params`
    dataset_params: dict[str, Any] = {}
    protocol: Protocol
    own_scores: list[OwnScore] = []
    intervals: dict[str, Any]
    plugins: list[str]
    tuning: dict[str, Any] | None = None
    small: bool = False  # older plans have no such key


class Journal(Record):
    """A record of Optuna's journal, of which every value is Optuna's to judge."""

    op_code: _Count


class Metrics(Record):
    """A row of metrics.jsonl."""

    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, Number]
    update: _Count


class Scores(Record):
    """A row of scores.jsonl."""

    update: _Count
    checkpoint: str
    scores: _Numbers
    protocol: str = ""
    collapsed: bool | None = None
    floors: _Numbers = {}
    spreads: _Numbers = {}
    errors: _Numbers = {}
    reached: _Count | None = None  # the update that the run had come to
    record: dict[str, Any] = {}  # of the protocol


class Layer(Record):
    """A layer in an audit."""

    name: str
    sigma_kernel: Number | None = None
    sigma_original: Number | None = None
    sigma_estimate: Number | None = None
    sigma_operator: Number | None = None
    effective_rank: Number | None = None
    stable_rank: Number | None = None
    spectrum_kernel: _Spectrum | None = None
    spectrum_circular: _Spectrum | None = None


class Unit(Record):
    """An activation in an audit."""

    name: str
    share: Number | None = None
    dead: Number | None = None


class Distribution(Record):
    """The distribution of a number in an audit."""

    n: _Count = 0
    mean: Number | None = None
    std: Number | None = None
    quantiles: list[Number] | None = None


class Audit(Record):
    """A row of audits.jsonl."""

    update: _Count
    seconds: Number = 0.0
    layers: list[Layer] = []
    upper_bound: Number | None = None
    no_upper_bound: list[str] = []
    upper_bound_kernel: Number | None = None
    per_image: bool = True
    lower_bounds: dict[str, Number | None] = {}
    lower_bound: Number | None = None
    tightness: Number | None = None
    gradient_norms: dict[str, Distribution | None] = {}
    saturation: list[Unit] = []
    logits: dict[str, Distribution | None] = {}
    overfitting_gap: Number | None = None
    loss_train: Number | None = None
    loss_heldout: Number | None = None
    given_class: str | None = None  # the one as whose function a conditional D was audited


SERIES: dict[str, type[Record]] = {
    "metrics": Metrics,
    "scores": Scores,
    "evals": Scores,  # of other protocols than the suite's, in older folders
    "audits": Audit,
}


class DamageWarning(UserWarning):
    """Something of a results folder was left out, since it cannot be read."""


@dataclass(frozen=True)
class Rows:
    """The rows of a JSONL file, and each line that is none."""

    rows: list[dict[str, Any]]
    damage: list[Damaged]


def content(path: Path) -> bytes | None:
    """Return a file's bytes, or None where there is no file; raise Damaged if it is unreadable."""
    try:
        if stat.S_ISFIFO(path.stat().st_mode):  # reading one waits, perhaps for ever
            raise Damaged(path, "it is a pipe")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unreadable(path, error) from error


def read(path: Path, schema: type[Record]) -> dict[str, Any] | None:
    """Return what a JSON file holds, or None where there is no file; raise Damaged otherwise."""
    stored = content(path)
    return None if stored is None else parsed(path, stored, schema=schema)


def parsed(
    path: Path, stored: bytes, line: int | None = None, schema: type[Record] = Record
) -> dict[str, Any]:
    """Return the JSON object that a file, or a line of it, holds; raise Damaged if it is none."""
    try:
        return _checked(stored, schema)
    except ValueError as error:
        raise Damaged(path, str(error), line) from error


def rows(path: Path, schema: type[Record]) -> Rows:
    """Return the rows of a JSONL file, none where there is no file.

    A last line without an end, which a killed process left, is no row and no damage. A file that
    cannot be read at all is one damage.
    """
    try:
        lines = list(_lines(path))
    except Damaged as damage:
        return Rows([], [damage])
    found: list[dict[str, Any]] = []
    damages = []
    for number, line, ended in lines:
        try:
            found.append(parsed(path, line, number, schema))
        except Damaged as damage:
            if ended:
                damages.append(damage)
    return Rows(found, damages)


def interpreted(path: Path, value: Any, build: Callable[[Any], T], line: int | None = None) -> T:
    """Return what a builder makes of stored values; raise Damaged where they are not such."""
    try:
        return build(value)
    except ValidationError as error:
        raise Damaged(path, reason(error), line) from error
    except KeyError as error:
        raise Damaged(path, f"{error} is missing"[:_LONGEST], line) from error
    except (ValueError, TypeError, AttributeError, RecursionError, UserError) as error:
        raise Damaged(path, str(error).splitlines()[0][:_LONGEST], line) from error


def check(value: Any, schema: type[Record]) -> None:
    """Raise ValueError, with a short reason, where a value does not fit a schema."""
    try:
        schema.model_validate(value)
    except ValidationError as error:
        raise ValueError(reason(error)) from error


def warn(damage: Sequence[Damaged]) -> None:
    """Warn of the damaged lines of a file, in one sentence; none is no matter."""
    if damage:
        others = len(damage) - 1
        more = f", and {counted(others, 'more line')}" if others else ""
        warnings.warn(f"{damage[0]}{more}: left out", DamageWarning, stacklevel=3)


def beside(path: Path) -> Path:
    """Return the path that a damaged file is kept under."""
    return path.with_name(f"{path.name}.damaged-{time.time_ns()}")


def put_aside(path: Path) -> Path:
    """Rename what is damaged, so that another file can take its place; return its new path."""
    return path.rename(beside(path))


def _lines(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Yield each line that is not blank: its number, its bytes, and whether it has an end."""
    *whole, last = (content(path) or b"").split(b"\n")
    for number, line in enumerate(whole, start=1):
        if line.strip():
            yield number, line, True
    if last.strip():
        yield len(whole) + 1, last, False


def _checked(stored: bytes, schema: type[Record]) -> dict[str, Any]:
    """Return a JSON object that fits a schema; raise ValueError with a short reason if not."""
    if not stored.strip():
        raise ValueError("empty")
    try:
        value = _parsed(stored)
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"not JSON: {error}"[:_LONGEST]) from error
    check(value, schema)
    return dict(value)


def _parsed(stored: bytes) -> Any:
    """Return a parsed JSON value: pydantic is six times as fast, json names the fault."""
    with contextlib.suppress(ValueError):
        return from_json(stored)
    return json.loads(stored.decode())


def reason(error: ValidationError) -> str:
    """Return the first fault that pydantic found, short: where, and what was expected there.

    >>> try:
    ...     Status.model_validate({"outcome": "completed", "update": "3"})
    ... except ValidationError as error:
    ...     reason(error)
    'update should be a valid integer'
    """
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"] if part not in _BRANCHES) or "it"
    if first["type"] == "missing":
        text = f"{place} is missing"
    elif first["type"] in ("model_type", "dataclass_type", "dict_type"):
        text = f"{place} should be an object"
    else:
        text = f"{place} {first['msg'].removeprefix('Input ').removeprefix('Value error, ')}"
    return text[:_LONGEST]


def unreadable(path: Path, error: OSError) -> OSError | Damaged:
    """Return the error to raise for a file that the system does not give."""
    if error.errno == errno.EISDIR:
        return Damaged(path, "it is a folder")
    if error.errno in _UNREADABLE:
        return Damaged(path, f"it cannot be read: {error.strerror}")
    return error
