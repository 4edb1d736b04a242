"""Resolve a suite to its plan: names to things that exist, grids to runs, defaults to values."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lipbench import data, protocols, yamlmarks
from lipbench.architecture import Architecture, require_networks
from lipbench.dataset import facts
from lipbench.errors import UserError
from lipbench.parameterized import ParameterError
from lipbench.planning import choices, fits, parts
from lipbench.planning.choices import Choice, entry_mark
from lipbench.planning.plan import Plan, PlannedRun
from lipbench.planning.settings import recipe, settings
from lipbench.planning.spec import (
    ArchitectureSpec,
    Augmentation,
    Budget,
    DatasetSpec,
    LossSpec,
    MethodSpec,
    RunSpec,
    Setting,
)
from lipbench.planning.suite import Suite
from lipbench.planning.tuning import Tuning
from lipbench.plugins import Plugins
from lipbench.protocols import Protocol, Sizes
from lipbench.words import counted

_MOST_RUNS = 100_000  # of a plan


@dataclass(frozen=True)
class Resolved:
    """A suite's names, resolved: all that its runs share, and its methods with their losses."""

    suite: Suite
    document: yamlmarks.Document
    registry: Plugins
    info: data.DatasetInfo
    dataset_params: dict[str, Any]
    architecture: Architecture
    protocol: Protocol
    choices: tuple[tuple[Choice, LossSpec], ...]

    def spec(self, choice: Choice, loss: LossSpec, setting: Setting, seed: int) -> RunSpec:
        """Return the spec of one run."""
        suite, info = self.suite, self.info
        methods = choice.methods.items()
        return RunSpec(
            methods=tuple(MethodSpec(name, asdict(method)) for name, method in methods),
            setting=setting,
            architecture=self._architecture,
            initialisation=suite.initialisation or self.architecture.initialisation,
            loss=loss,
            dataset=DatasetSpec(info.name, info.fingerprint, info.shape),
            budget=Budget(**suite.budget.model_dump()),
            precision=suite.precision,
            ema_decay=suite.ema_decay,
            seed=seed,
            augmentation=Augmentation(**suite.augmentation.model_dump()),
        )

    @functools.cached_property
    def _architecture(self) -> ArchitectureSpec:
        return ArchitectureSpec(self.suite.architecture.name, asdict(self.architecture))

    def plan(self, runs: Iterable[PlannedRun], tuning: Tuning | None = None) -> Plan:
        """Return the plan of these runs."""
        return Plan(
            self.suite.name,
            self.suite.description,
            tuple(runs),
            self.info,
            self.dataset_params,
            self.protocol,
            self.suite.intervals,
            tuple(self.registry.files()),
            tuning,
            self.document.laid_over,
        )


def plan(suite: Suite, document: yamlmarks.Document, registry: Plugins, cache: Path) -> Plan:
    """Return the plan of a suite. Raises UserError for what does not exist or does not fit."""
    if suite.tune:
        mark = document.mark(("tune",))
        raise UserError(f"{suite.name} is a study; `lipbench tune` searches", mark)
    wanted = settings(suite, document)
    resolved = resolve(suite, document, registry, cache)
    runs = []
    for choice, loss in resolved.choices:
        for (label, setting), seed in itertools.product(wanted, suite.seeds):
            run = resolved.spec(choice, loss, setting or recipe(choice), seed)
            runs.append(PlannedRun(run, choice.label, label))
    return resolved.plan(runs)


def resolve(
    suite: Suite, document: yamlmarks.Document, registry: Plugins, cache: Path
) -> Resolved:
    """Return what a suite names. Raises UserError for what does not exist or does not fit."""
    count(suite, document)
    fits.check_names(suite, document, registry)
    architecture = _architecture(suite, document, registry)
    name, mark = suite.architecture.name, document.mark(("dataset", "image_size"))
    size = suite.dataset.params.get("image_size")
    if isinstance(size, int):  # before images of some great size are made
        fits.check_shape(name, architecture, (1, size, size), mark)
    info, dataset_params = _dataset(suite, document, registry, cache)
    fits.check_shape(name, architecture, info.shape, mark)
    fits.check_augmentation(suite, document, info)
    fits.check_classes(name, architecture, info, document.mark(("architecture",)))
    if registry.architectures[name].origin != "built-in":  # tests try those for all shapes
        require_networks(architecture, info.shape, architecture.classes_of(len(info.classes)))
    protocols.SCORES.join(registry.measures.files())
    protocol = _protocol(suite, document, info)
    fits.check_protocol(suite, document, info, architecture, protocol)
    found = []
    for choice in choices.choices(suite, document, registry):
        loss = _loss(suite, document, choice, registry)
        fits.check_combination(suite, choice, loss.name)
        made = parts.loss(loss.name, loss.params, registry)
        if registry.losses[loss.name].origin != "built-in":
            fits.check_loss(made)
        fits.check_pairs(suite, document, made, loss.name)
        fits.check_layers(name, architecture, info, choice)
        found.append((choice, loss))
    return Resolved(
        suite, document, registry, info, dataset_params, architecture, protocol, tuple(found)
    )


def count(suite: Suite, document: yamlmarks.Document) -> int:
    """Return how many runs a suite has, or a study's methods, without making one.

    Raises UserError where there are too many.
    """
    sizes = [entry.size() for entry in suite.methods]
    points = sum(sizes)
    of_each = 1 if suite.tune or not suite.settings else len(settings(suite, document))
    seeds = len(suite.seeds)
    runs = points * of_each * seeds
    if runs > _MOST_RUNS:
        raise UserError(
            f"{counted(points, 'method')} x {counted(of_each, 'setting')} x "
            f"{counted(seeds, 'seed')} are {runs:,} runs; at most {_MOST_RUNS:,}: shorten the "
            "lists, or write several suites",
            entry_mark(document, sizes.index(max(sizes))),
        )
    return runs


def _architecture(suite: Suite, document: yamlmarks.Document, registry: Plugins) -> Architecture:
    entry = suite.architecture
    try:
        return parts.architecture(entry.name, entry.params, registry)
    except UserError as error:
        key = error.key if isinstance(error, ParameterError) else None
        raise UserError(str(error), document.mark(("architecture", key or "name"))) from error


def _dataset(
    suite: Suite, document: yamlmarks.Document, registry: Plugins, cache: Path
) -> tuple[data.DatasetInfo, dict[str, Any]]:
    """Return the facts of a suite's dataset, and its parameters, a path made absolute."""
    entry = suite.dataset
    try:
        source = parts.dataset(entry.name, entry.params, registry)
        info = dataclasses.replace(facts(source, cache), name=entry.name)
        return info, {key: getattr(source, key) for key in entry.params}
    except UserError as error:
        key = error.key if isinstance(error, ParameterError) else None
        beside = "path" if entry.params.get("path") else "name"
        raise UserError(str(error), document.mark(("dataset", key or beside))) from error


def _protocol(suite: Suite, document: yamlmarks.Document, info: data.DatasetInfo) -> Protocol:
    """Return the protocol that a suite names, or writes out; a file may stand beside the suite."""
    given = suite.protocol
    if isinstance(given, str) and Path(given).suffix in (".yaml", ".yml"):
        beside = Path(document.source).parent / given
        given = str(beside) if beside.is_file() else given
        if not Path(given).is_file():
            raise UserError(f"there is no file {given}", document.mark(("protocol",)))
    sizes = Sizes(info.n_train, info.n_test)
    return protocols.find(given, sizes, lambda keys: document.mark(("protocol", *keys)))


def _loss(
    suite: Suite, document: yamlmarks.Document, choice: Choice, registry: Plugins
) -> LossSpec:
    """Return the entry's loss or the suite's; where they leave it open, what a method requires."""
    given = choice.loss or suite.loss
    names = [given.name] if given else []
    for method in choice.methods.values():
        required = method.requires.loss
        if required and names and names != [required]:
            raise UserError(
                f"{method.label} requires the loss {required}, not {names[0]}", choice.loss_mark
            )
        names = [required] if required else names
    name = names[0] if names else parts.DEFAULT_LOSS
    params = given.params if given else {}
    try:
        return parts.loss_spec(name, params, registry)
    except UserError as error:
        mark = choice.loss_mark if choice.loss else document.mark(("loss",))
        raise UserError(str(error), mark) from error
