"""What a study is, as a plain value: stored with its plan, read by reports. Imports no Optuna."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pydantic import TypeAdapter

from lipbench.words import counted

Value = bool | int | float | str | None


@dataclass(frozen=True)
class Parameter:
    """One value that is searched for: a range with both ends, or choices."""

    name: str  # lr, beta1, beta2, n_dis, loss, loss.<parameter>, or <method>.<hyperparameter>
    kind: Literal["float", "int", "categorical"]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    choices: tuple[Value, ...] = ()
    # Other searched parameters, by name, and the values of each with which this one exists.
    when: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return it as people read it: `lr in [1e-05, 0.01], log`."""
        if self.kind == "categorical":
            text = f"{self.name} in {{{', '.join(map(str, self.choices))}}}"
        else:
            text = f"{self.name} in [{self.low:g}, {self.high:g}]"
            text += ", log" if self.log else ""
            text += f", step {self.step:g}" if self.step else ""
        conditions = [f"{n} is {' or '.join(map(str, v))}" for n, v in self.when.items()]
        return f"{text}, when {' and '.join(conditions)}" if conditions else text


@dataclass(frozen=True)
class Objective:
    """What trials are judged by: a score of the protocol, a cost or a measured Lipschitz bound."""

    name: str  # a column of `lipbench.load_trials`
    title: str
    higher_is_better: bool
    if_diverged: float  # what a trial whose training diverged counts as
    decimals: int = 2
    protocol: str = ""  # the id of the one whose score it is; empty: an older study's only one

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """Return Optuna's word for what is better."""
        return "maximize" if self.higher_is_better else "minimize"


@dataclass(frozen=True)
class Tuning:
    """How a study searches: the same for each of its methods, but for what each of them has."""

    search: Mapping[str, tuple[Parameter, ...]]  # of each method, by its label
    objectives: tuple[Objective, ...]  # several: no single best, but a Pareto front
    sampler: str  # a class of optuna.samplers
    pruner: str  # a class of optuna.pruners
    budget: Literal["trials", "generator_updates", "device_hours"]  # of each method and seed
    amount: float
    seeds: tuple[int, ...]  # the study's repeats: of the sampler, and of each trial's run
    configurations: int  # of each method and repeat, the best ones, that are run again
    confirm_seeds: tuple[int, ...]  # with each of these
    sampler_options: Mapping[str, Any] = field(default_factory=dict)
    pruner_options: Mapping[str, Any] = field(default_factory=dict)
    retries: int = 2  # of a run that the machine failed
    storage: str = ""
    notes: tuple[str, ...] = ()  # what a reader should know, e.g. what the sampler doesn't model

    @property
    def amount_text(self) -> str:
        """Return the budget as people read it: `25 trials`, `0.5 device hours`."""
        return counted(self.amount, self.budget.removesuffix("s").replace("_", " "))

    @property
    def prunes(self) -> bool:
        """Return whether trials can end early."""
        return self.pruner != "NopPruner"

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return asdict(self)


def from_json(stored: Mapping[str, Any]) -> Tuning:
    """Return a stored record; raise ValueError where it is not one."""
    return _adapter().validate_python(stored)


@functools.cache
def _adapter() -> TypeAdapter[Tuning]:
    return TypeAdapter(Tuning)
