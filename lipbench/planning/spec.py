"""A run's identity: every value that decides its training, and nothing else.

Protocols, paths, devices, workers and labels are not here. Two specs are one run exactly if their
canonical JSON is the same; runs are found by its hash.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, TypeAdapter

SCHEMA = 4

# The parameters of losses in schema 1, which had none.
_LOSSES_OF_1: dict[str, dict[str, None]] = {
    "non_saturating": {"real_target": None},
    "hinge": {},
    "wasserstein": {"drift": None},
}


def _training_of_2(old: dict[str, Any]) -> dict[str, Any]:
    """Return schema 2's spec without what is no training, and with what it took for granted."""
    params = {"width": old.pop("width"), "latent_dim": 128, "latent_law": "normal"}
    data = old["dataset"]
    size = data["image_size"]
    del old["protocol"], old["score_every"]
    return {
        **old,
        "setting": {**old["setting"], "optimizer": "adam"},
        "architecture": {"name": old["architecture"], "params": params},
        "dataset": {
            "name": data["name"],
            "fingerprint": data["fingerprint"],
            "shape": [data["channels"], size, size],
        },
    }


def _training_of_3(old: dict[str, Any]) -> dict[str, Any]:
    """Return schema 3's spec with the parameters that the standard CNN had not yet."""
    named = old["architecture"]
    if named["name"] != "standard_cnn":
        return old
    gained = {"widths": "table", "slope": 0.1, "dense_norm": False}
    return {**old, "architecture": {**named, "params": {**gained, **named["params"]}}}


# From each older schema to the next one. A step fills in the value that the older code had, so
# that a new field orphans no finished run.
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: lambda old: {**old, "loss": {"name": old["loss"], "params": _LOSSES_OF_1[old["loss"]]}},
    2: _training_of_2,
    3: _training_of_3,
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
class ArchitectureSpec:
    """An architecture by its name, with every one of its parameters."""

    name: str
    params: dict[str, Any]

    def __str__(self) -> str:
        """Return the name with its parameters, the width first as the others are."""
        told = [f"{key} {value}" for key, value in self.params.items()]
        return f"{self.name} ({', '.join(told)})" if told else self.name


@dataclass(frozen=True)
class Setting:
    """An optimizer with its parameters, and the number of updates of D for each of G.

    D and G have the same, but for a learning rate that G has of its own. A parameter that the
    optimizer does not have is None, and is no part of the run's identity.
    """

    lr: float  # of D
    beta1: float | None
    beta2: float | None
    n_dis: int
    optimizer: str = "adam"
    alpha: float | None = None
    momentum: float | None = None
    lr_g: float | None = None  # None: D's

    def to_json(self) -> dict[str, Any]:
        """Return the values that there are."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def __str__(self) -> str:
        """Return the values as people write them: `lr=0.0002 b1=0.5 b2=0.999 n_dis=1`."""
        short = {"beta1": "b1", "beta2": "b2"}
        values = self.to_json()
        order = ["lr", "lr_g", "beta1", "beta2", "alpha", "momentum", "n_dis"]
        told = [f"{short.get(name, name)}={values[name]:g}" for name in order if name in values]
        return " ".join([*([] if self.optimizer == "adam" else [self.optimizer]), *told])


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset by its content, and the shape of its samples: (C, H, W) in pixels, or (D,)."""

    name: str
    fingerprint: str
    shape: tuple[int, ...]

    @property
    def image_size(self) -> float:
        """Return the side of its images in pixels, NaN for points."""
        return self.shape[-1] if len(self.shape) == 3 else math.nan


@dataclass(frozen=True)
class Budget:
    """How long a run trains, in updates of G, and its batch sizes in images."""

    generator_updates: int
    batch_size: int
    generator_batch_size: int
    schedule: str


@dataclass(frozen=True)
class Augmentation:
    """What training does to real images, all of it drawn anew for each batch.

    Their range is [-1, 1] always. Scores, audits and real statistics see the images as they are.
    """

    flip: bool = False  # mirror each image horizontally, or not, with equal chances
    crop: int = 0  # pixels of a frame of zeros, out of which a crop of the image's size is drawn
    dequantise: bool = False  # add uniform noise of one gray level

    def __str__(self) -> str:
        """Return what is done, in a few words; empty for nothing."""
        frame = f"crops of images framed by {self.crop} zeros" if self.crop else ""
        told = ("horizontal flips" if self.flip else "", frame)
        return ", ".join(filter(None, (*told, "dequantisation" if self.dequantise else "")))


@dataclass(frozen=True)
class RunSpec:
    """One training run: its id is a hash of this."""

    methods: tuple[MethodSpec, ...]
    setting: Setting
    architecture: ArchitectureSpec
    initialisation: str
    loss: LossSpec
    dataset: DatasetSpec
    budget: Budget
    precision: str
    ema_decay: float | None
    seed: int
    augmentation: Augmentation = Augmentation()
    schema: int = SCHEMA

    __pydantic_config__ = ConfigDict(extra="forbid")

    def to_json(self) -> dict[str, Any]:
        """Return the spec as plain JSON values."""
        # By hand: dataclasses.asdict takes ten times as long, for each of 10,000 runs.
        plain: dict[str, Any] = {field: getattr(self, field) for field in _FIELDS}
        plain["setting"] = self.setting.to_json()
        plain["dataset"] = {**vars(self.dataset), "shape": list(self.dataset.shape)}
        plain["budget"] = dict(vars(self.budget))
        plain["augmentation"] = dict(vars(self.augmentation))
        if self.augmentation == Augmentation():  # as specs were before there was any
            del plain["augmentation"]
        for part in ("loss", "architecture"):
            plain[part] = {"name": plain[part].name, "params": dict(plain[part].params)}
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
    data = upgraded(data)
    setting = data.get("setting")
    if isinstance(setting, dict) and setting.get("optimizer") != "adam":
        data["setting"] = {"beta1": None, "beta2": None, **setting}  # which only Adam has
    return _adapter().validate_python(data)


def fits(stored: Any, spec: RunSpec) -> bool:
    """Return whether a stored spec, of whatever schema, is this one: no value of it differs.

    A hyperparameter that its method has gained since may be missing.
    """
    try:
        current = upgraded(stored)
    except (ValueError, KeyError, TypeError):
        return False
    wanted = spec.to_json()
    return current.keys() == wanted.keys() and _within(current, wanted)


def digest(plain: Mapping[str, Any]) -> str:
    """Return 12 hex digits of the sha256 of a spec's canonical JSON, given as plain values."""
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def upgraded(data: Mapping[str, Any]) -> dict[str, Any]:
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
