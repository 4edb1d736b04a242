"""The `tune` part of a study's file, checked against a strict schema. Imports no Optuna."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt
from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from lipbench.planning.schema import (
    Integer,
    Named,
    NotEmpty,
    OneOrMore,
    PositiveInteger,
    Seed,
    Strict,
    different,
    listed,
    name_and_params,
)

_PRESET = "preset"
_ALONE = ("lr", "beta1", "beta2", "n_dis")  # parameters that are nobody's
_FRESH_SEEDS = [1000, 1001, 1002]


def _conditions(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: listed(values) for name, values in value.items()}


When = Annotated[dict[str, list[bool | int | float | str]], BeforeValidator(_conditions)]


class RangeEntry(Strict):
    """A range with both of its ends."""

    low: float
    high: float
    log: bool = False
    step: Annotated[float, Gt(0)] | None = None
    when: When = Field(default_factory=dict)


class ChoicesEntry(Strict):
    """Some values; `[1, 5]` is short for `{choices: [1, 5]}`."""

    choices: Annotated[list[bool | int | float | str | None], NotEmpty]
    when: When = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"choices": value} if isinstance(value, list) else value


def _kind(value: Any) -> str:
    choices = isinstance(value, list) or (isinstance(value, dict) and "choices" in value)
    return "choices" if choices else "range"


ParameterEntry = Annotated[
    Annotated[RangeEntry, Tag("range")] | Annotated[ChoicesEntry, Tag("choices")],
    Discriminator(_kind),
]


class SearchEntry(Strict):
    """What is searched: a preset, one's own parameters, or a preset with changes.

    A parameter of the preset that is null here is not searched. A method's may stand under its
    name, `wgan_gp: {coefficient: ...}`, as `--set tune.search.wgan_gp.coefficient=...` puts it;
    and a preset under `name`, where `--set tune.search.lr=...` puts one that was written alone.
    """

    preset: str | None = None
    parameters: dict[str, ParameterEntry | None] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _forms(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {_PRESET: value}
        if isinstance(value, dict):
            named = {key: value[key] for key in (_PRESET, "name") if key in value}
            parameters: dict[str, Any] = {}
            for name, entry in value.items():
                if _is_group(name, entry):
                    parameters |= {f"{name}.{field}": inner for field, inner in entry.items()}
                elif name in named:
                    continue
                elif entry is None or isinstance(entry, (dict, list)):
                    parameters[name] = entry
                else:
                    raise ValueError(f"{name}: write choices, [a, b], or a range, {{low, high}}")
            return {_PRESET: next(iter(named.values()), None), "parameters": parameters}
        return value


def _is_group(name: str, entry: Any) -> bool:
    """Return whether an entry holds the parameters of a method, by their own names."""
    keys = {*RangeEntry.model_fields, *ChoicesEntry.model_fields}
    return isinstance(entry, dict) and name not in _ALONE and not keys & entry.keys()


class ObjectiveEntry(Strict):
    """What trials are judged by, and what a trial whose training diverged counts as."""

    name: str
    if_diverged: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _forms(cls, value: Any) -> Any:
        """Take `fid` and `{fid: {if_diverged: 300}}`."""
        named = name_and_params(value)
        if isinstance(named, dict) and "params" in named:
            if not isinstance(named["params"], dict):
                raise ValueError(f"write {named['name']}, or {{if_diverged: NUMBER}} under it")
            return {"name": named["name"], **named["params"]}
        return named


class TuningBudget(Strict):
    """What each method gets, in each repeat of the study: exactly one of these."""

    trials: PositiveInteger | None = None
    generator_updates: PositiveInteger | None = None
    device_hours: Annotated[float, Gt(0)] | None = None

    @model_validator(mode="after")
    def _one(self) -> TuningBudget:
        if len(self.model_fields_set) != 1 or None in self.model_dump(exclude_unset=True).values():
            raise ValueError("a method's budget is one of trials, generator_updates, device_hours")
        return self

    @property
    def kind(self) -> Literal["trials", "generator_updates", "device_hours"]:
        """Return what it is counted in."""
        if self.trials is not None:
            return "trials"
        return "device_hours" if self.generator_updates is None else "generator_updates"

    @property
    def amount(self) -> float:
        """Return how much it is."""
        return float(getattr(self, self.kind))


class ConfirmEntry(Strict):
    """How many of a method's best configurations are run again, with which fresh seeds."""

    configurations: Annotated[Integer, Ge(0)] = 1
    seeds: Annotated[list[Seed], OneOrMore, NotEmpty, AfterValidator(different)] = _FRESH_SEEDS


class TuneEntry(Strict):
    """How a study searches."""

    search: SearchEntry
    budget: TuningBudget
    objective: Annotated[list[ObjectiveEntry], OneOrMore, NotEmpty] | None = None
    sampler: Annotated[Named, BeforeValidator(name_and_params)] = Named(name="TPESampler")
    pruner: Annotated[Named, BeforeValidator(name_and_params)] = Named(name="NopPruner")
    confirm: ConfirmEntry = ConfirmEntry()
    retries: Annotated[Integer, Ge(0)] = 2
    storage: str = "journal"
