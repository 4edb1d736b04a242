"""A plan: the list of a suite's runs, every value resolved. A plain value, stored as JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lipbench import data, protocols, records
from lipbench.planning import spec
from lipbench.planning import tuning as record
from lipbench.planning.spec import RunSpec
from lipbench.planning.suite import Intervals
from lipbench.planning.tuning import Tuning
from lipbench.protocols import Protocol


@dataclass(frozen=True)
class Trial:
    """Which trial of a study a run is, or confirms: with other seeds, once the search is over."""

    repeat: int  # the study's seed
    number: int  # from 0, in each method and repeat
    params: dict[str, Any]  # what was searched, by `Parameter.name`
    confirms: bool = False


@dataclass(frozen=True)
class PlannedRun:
    """One run of a plan: what is run, and the labels that tables and legends give it."""

    spec: RunSpec
    method: str
    setting: str
    trial: Trial | None = None  # of a study

    @property
    def id(self) -> str:
        """Return the name of the run's folder; its last part, the spec's hash, is its identity."""
        methods = "+".join(method.name for method in self.spec.methods)
        setting = re.sub(r"[^A-Za-z0-9.]+", "_", self.setting)
        return f"{methods}-{setting}-s{self.spec.seed}-{self.spec.hash}"


@dataclass(frozen=True)
class Plan:
    """A suite's runs, and what running them needs besides their specs.

    Two cells of a table can be one run (a recipe that is also a setting of the suite): it is
    listed twice, under its two labels, with one spec.
    """

    name: str
    description: str
    runs: tuple[PlannedRun, ...]
    dataset: data.DatasetInfo
    dataset_params: dict[str, Any]  # of its source, as the suite has them; a path is absolute
    protocol: Protocol
    intervals: Intervals
    plugins: tuple[Path, ...] = ()
    tuning: Tuning | None = None  # of a study: its runs are those of its ledger
    small: bool = False  # whether it is the suite's small form

    @property
    def unique(self) -> list[PlannedRun]:
        """Return each run once, under its first labels."""
        return unique(self.runs)

    @property
    def dataset_path(self) -> Path | None:
        """Return where the dataset is, if the suite says so."""
        path = self.dataset_params.get("path")
        return Path(path) if path else None

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain JSON values."""
        return {
            "name": self.name,
            "description": self.description,
            "runs": [run_to_json(run) for run in self.runs],
            "dataset": asdict(self.dataset),
            "dataset_params": self.dataset_params,
            "protocol": asdict(self.protocol),
            "own_scores": protocols.SCORES.stored(self.protocol.scores),
            "intervals": self.intervals.model_dump(),
            "plugins": [str(path) for path in self.plugins],
            "tuning": self.tuning.to_json() if self.tuning else None,
            "small": self.small,
        }


def run_to_json(run: PlannedRun) -> dict[str, Any]:
    """Return a planned run as plain JSON values."""
    fields = {"id": run.id, "method": run.method, "setting": run.setting}
    trial = {"trial": asdict(run.trial)} if run.trial else {}
    return {**fields, "spec": run.spec.to_json(), **trial}


def run_from_json(stored: Any) -> PlannedRun:
    """Return a stored planned run; see `records.interpreted` for where it is not one."""
    records.check(stored, records.PlannedRun)
    trial = Trial(**stored["trial"]) if stored.get("trial") else None
    return PlannedRun(spec.from_json(stored["spec"]), stored["method"], stored["setting"], trial)


def unique(runs: Iterable[PlannedRun]) -> list[PlannedRun]:
    """Return each of some runs once, under its first labels."""
    found: dict[str, PlannedRun] = {}
    for run in runs:
        found.setdefault(run.spec.hash, run)
    return list(found.values())


def _dataset_params(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored plan's parameters of its dataset; older plans had a path alone."""
    if "dataset_params" in fields:
        return dict(fields["dataset_params"])
    path = fields.get("dataset_path")
    return {"path": path} if path else {"image_size": _dataset(fields["dataset"]).image_size}


def _dataset(stored: Mapping[str, Any]) -> data.DatasetInfo:
    """Return a stored plan's dataset; older plans had images' size and channels for the shape."""
    fields = dict(stored)
    if "image_size" in fields:
        size = fields.pop("image_size")
        fields["shape"] = [fields.pop("channels"), size, size]
    for name in ("shape", "classes", "notes"):
        fields[name] = tuple(fields.get(name, ()))
    return data.DatasetInfo(**fields)


def from_json(fields: Any) -> Plan:
    """Return a stored plan; see `records.interpreted` for where it is not one."""
    records.check(fields, records.Plan)
    protocols.SCORES.recall(fields.get("own_scores", ()))
    return Plan(
        fields["name"],
        fields["description"],
        tuple(run_from_json(run) for run in fields["runs"]),
        _dataset(fields["dataset"]),
        _dataset_params(fields),
        protocols.from_json(fields["protocol"]),
        Intervals(**fields["intervals"]),
        tuple(map(Path, fields["plugins"])),
        record.from_json(fields["tuning"]) if fields.get("tuning") else None,
        fields.get("small", False),
    )
