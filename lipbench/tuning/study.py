"""Resolve a study's file: its plan, whose runs are yet to be found, and its methods' spaces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lipbench import yamlmarks
from lipbench.cost.timing import WARM_UP_UPDATES
from lipbench.errors import UserError
from lipbench.planning import resolve, spec
from lipbench.planning.plan import Plan
from lipbench.planning.suite import Suite
from lipbench.planning.tuning import Tuning
from lipbench.plugins import Plugins
from lipbench.tuning import samplers
from lipbench.tuning.objectives import objectives
from lipbench.tuning.space import SearchedMethod, searched_methods
from lipbench.words import counted


@dataclass(frozen=True)
class Study:
    """What a study's file says, resolved."""

    plan: Plan
    tuning: Tuning
    methods: tuple[SearchedMethod, ...]
    storage: str  # as the file has it

    def recorded(self, storage: str) -> Plan:
        """Return the plan, with the storage that is in use."""
        return replace(self.plan, tuning=replace(self.tuning, storage=storage))

    def check_device(self, device: str) -> None:
        """Raise UserError for an objective that such a device does not measure."""
        for objective in self.tuning.objectives:
            if device == "cpu" and objective.name in ("peak_device_bytes", "energy_joules"):
                raise UserError(f"the objective {objective.name} is measured on a GPU only")

    def definition(self, searched: SearchedMethod, repeat: int) -> dict[str, Any]:
        """Return all that decides the trials of one method in one repeat, as plain values.

        A budget is not in it: a study can go on with a larger one.
        """
        tuning = self.tuning.to_json()
        run = searched.base.to_json()
        del run["seed"]
        always = {p.name for p in searched.search if not p.when}
        setting = searched.base.setting.to_json().items()
        return {
            "run": {**run, "setting": {k: v for k, v in setting if k not in always}},
            "protocol": self.plan.protocol.id,
            "score_every": self.plan.intervals.score,
            "search": {
                parameter["name"]: parameter for parameter in tuning["search"][searched.label]
            },
            "objectives": {
                objective.name: {"if_diverged": objective.if_diverged}
                for objective in self.tuning.objectives
            },
            "sampler": {"name": self.tuning.sampler, **self.tuning.sampler_options},
            "pruner": {"name": self.tuning.pruner, **self.tuning.pruner_options},
            "repeat": repeat,
        }


def study(suite: Suite, document: yamlmarks.Document, registry: Plugins, cache: Path) -> Study:
    """Return a study. Raises UserError for what does not exist, or does not fit together."""
    tune = suite.tune
    if tune is None:
        raise UserError(
            f"{suite.name} says nothing of tuning: a study has a `tune` with search and budget; "
            "`lipbench run` runs a suite",
            document.mark(()),
        )
    resolved = resolve.resolve(suite, document, registry, cache)
    wanted = objectives(resolved)
    samplers.check_sampler(resolved, wanted)
    samplers.check_pruner(resolved, wanted)
    found = searched_methods(resolved)
    _check_budget(suite, document)
    search = {searched.label: searched.search for searched in found}
    tuning = Tuning(
        search=search,
        objectives=wanted,
        sampler=tune.sampler.name,
        sampler_options=tune.sampler.params,
        pruner=tune.pruner.name,
        pruner_options=tune.pruner.params,
        budget=tune.budget.kind,
        amount=tune.budget.amount,
        seeds=tuple(suite.seeds),
        configurations=tune.confirm.configurations,
        confirm_seeds=tuple(tune.confirm.seeds),
        retries=tune.retries,
        notes=samplers.notes(tune.sampler.name, search.values()),
    )
    return Study(resolved.plan((), tuning), tuning, found, tune.storage)


def _check_budget(suite: Suite, document: yamlmarks.Document) -> None:
    tune = suite.tune
    assert tune is not None
    one = suite.budget.generator_updates
    if tune.budget.generator_updates is not None and tune.budget.generator_updates < one:
        raise UserError(
            f"a budget of {counted(tune.budget.generator_updates, 'generator update')} is less "
            f"than one trial's {one:,}",
            document.mark(("tune", "budget")),
        )
    paces = {"seconds_per_update", "images_per_second"}
    paces &= {entry.name for entry in tune.objective or []}
    if paces and one <= WARM_UP_UPDATES:
        raise UserError(
            f"{min(paces)} is measured from update {WARM_UP_UPDATES + 1} on; a trial has {one}",
            document.mark(("tune", "objective")),
        )
    shared = set(tune.confirm.seeds) & set(suite.seeds)
    if shared and tune.confirm.configurations:
        raise UserError(
            f"seed {min(shared)} is one of the trials'; configurations are confirmed by others",
            document.mark(("tune", "confirm")),
        )


def upgraded(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return a definition that an older version stored, as this one would write it."""
    if "protocol" in definition:
        run = definition["run"]
        return {**definition, "run": spec.upgraded(run)}
    run = definition["run"]
    schema = 1 if isinstance(run["loss"], str) else 2
    return {
        **definition,
        "run": spec.upgraded({**run, "schema": schema}),
        "protocol": run["protocol"],
        "score_every": run["score_every"],
    }


def differences(stored: Any, now: Any, path: str = "") -> Iterator[str]:
    """Yield what of a study's definition has changed: `sampler.name was 'A', is 'B'`.

    >>> list(differences({"lr": {"low": 1}}, {"lr": {"low": 2}}))
    ['lr.low was 1, is 2']
    """
    if isinstance(stored, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys([*stored, *now]):
            inner = f"{path}.{key}" if path else str(key)
            if key not in now:
                yield f"{inner} was {_brief(stored[key])}, is gone"
            elif key not in stored:
                yield f"{inner} is new: {_brief(now[key])}"
            else:
                yield from differences(stored[key], now[key], inner)
    elif isinstance(stored, list) and isinstance(now, list) and len(stored) == len(now):
        for index, (before, after) in enumerate(zip(stored, now, strict=True)):
            yield from differences(before, after, f"{path}[{index}]")
    elif stored != now:
        yield f"{path} was {_brief(stored)}, is {_brief(now)}"


def _brief(value: Any) -> str:
    if isinstance(value, Mapping):
        value = value.get("name", dict(value))
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}..."
