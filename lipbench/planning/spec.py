"""A run's identity: every value that decides its result, and nothing else.

Paths, devices, workers and labels are not here. Two specs are one run exactly if their canonical
JSON is the same; runs are found by its hash.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, TypeAdapter

SCHEMA = 2

# The parameters of losses in schema 1, which had none.
_LOSSES_OF_1: dict[str, dict[str, None]] = {
    "non_saturating": {"real_target": None},
    "hinge": {},
    "wasserstein": {"drift": None},
}

# From each older schema to the next one. A step fills in the value that the older code had, so
# that a new field orphans no finished run.
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: lambda old: {**old, "loss": {"name": old["loss"], "params": _LOSSES_OF_1[old["loss"]]}},
}


@dataclass(frozen=True)
class MethodSpec:
    """A method by its name, with every one of its hyperparameters."""

    name: str
    params: dict[str, Any]


@dataclass(frozen=True)
class LossSpec:
    """A loss by its name, with every one of its parameters."""

    name: str
    params: dict[str, float | None]

    def __str__(self) -> str:
        """Return the name, with the parameters that are in use."""
        used = [f"{key}={value:g}" for key, value in self.params.items() if value is not None]
        return f"{self.name} ({', '.join(used)})" if used else self.name


@dataclass(frozen=True)
class Setting:
    """An Adam setting, for D and G alike, and the number of updates of D for each of G."""

    lr: float
    beta1: float
    beta2: float
    n_dis: int


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset by its content; sizes in pixels."""

    name: str
    fingerprint: str
    image_size: int
    channels: int


@dataclass(frozen=True)
class Budget:
    """How long a run trains, in updates of G, and its batch sizes in images."""

    generator_updates: int
    batch_size: int
    generator_batch_size: int
    schedule: str


@dataclass(frozen=True)
class RunSpec:
    """One training run: its id is a hash of this."""

    methods: tuple[MethodSpec, ...]
    setting: Setting
    architecture: str
    width: float
    initialisation: str
    loss: LossSpec
    dataset: DatasetSpec
    budget: Budget
    precision: str
    ema_decay: float | None
    protocol: str
    score_every: int | None
    seed: int
    schema: int = SCHEMA

    __pydantic_config__ = ConfigDict(extra="forbid")

    def to_json(self) -> dict[str, Any]:
        """Return the spec as plain JSON values."""
        # By hand: dataclasses.asdict takes ten times as long, for each of 10,000 runs.
        plain: dict[str, Any] = {field: getattr(self, field) for field in _FIELDS}
        for part in ("setting", "dataset", "budget"):
            plain[part] = dict(vars(plain[part]))
        plain["loss"] = {"name": self.loss.name, "params": dict(self.loss.params)}
        plain["methods"] = [{"name": m.name, "params": dict(m.params)} for m in self.methods]
        return plain

    @functools.cached_property
    def hash(self) -> str:
        """Return 12 hex digits of the sha256 of the canonical JSON."""
        return digest(self.to_json())


_FIELDS = tuple(field.name for field in dataclasses.fields(RunSpec))


def from_json(data: dict[str, Any]) -> RunSpec:
    """Return a spec read from JSON, upgraded to this schema; numbers are coerced (10 is 10.0).

    Raises ValueError where it is of a newer schema, or not a spec.
    """
    return _adapter().validate_python(_upgraded(data))


def fits(stored: Any, spec: RunSpec) -> bool:
    """Return whether a stored spec, of whatever schema, is this one: no value of it differs.

    A hyperparameter that its method has gained since may be missing.
    """
    try:
        upgraded = _upgraded(stored)
    except (ValueError, KeyError, TypeError):
        return False
    wanted = spec.to_json()
    return upgraded.keys() == wanted.keys() and _within(upgraded, wanted)


def digest(plain: Mapping[str, Any]) -> str:
    """Return 12 hex digits of the sha256 of a spec's canonical JSON, given as plain values."""
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def _upgraded(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a spec's plain values in this schema; raise ValueError for a schema not known."""
    data = dict(data)
    while (schema := data.get("schema")) != SCHEMA:
        if schema not in UPGRADES:
            raise ValueError(f"schema {schema!r} is not known; this lipbench writes {SCHEMA}")
        data = {**UPGRADES[schema](data), "schema": schema + 1}
    return data


def _within(part: Any, whole: Any) -> bool:
    """Return whether each value of `part` is in `whole`, in the same place."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and _within(part[key], whole[key]) for key in part)
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) == len(whole) and all(map(_within, part, whole))
    return bool(part == whole)


@functools.cache
def _adapter() -> TypeAdapter[RunSpec]:
    return TypeAdapter(RunSpec)
