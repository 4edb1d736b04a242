"""Resolve a suite to its plan: names to things that exist, grids to runs, defaults to values."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from lipbench import data, protocols, yamlmarks
from lipbench.dataset import facts
from lipbench.errors import Mark, UserError, unknown
from lipbench.loss import Loss
from lipbench.method import Method, hidden_layers
from lipbench.networks import ARCHITECTURES, INITIALISATIONS
from lipbench.planning import combinations, parts
from lipbench.planning.plan import Plan, PlannedRun
from lipbench.planning.schema import Named
from lipbench.planning.spec import Budget, DatasetSpec, LossSpec, MethodSpec, RunSpec, Setting
from lipbench.planning.suite import (
    MIYATO2018,
    PRESETS,
    RECIPE,
    AdamEntry,
    MethodEntry,
    SettingEntry,
    Suite,
)
from lipbench.planning.tuning import Tuning
from lipbench.plugins import Plugins
from lipbench.protocols import Protocol, Sizes
from lipbench.words import counted

Kind = TypeVar("Kind")

_MOST_RUNS = 100_000  # of a plan


@dataclass(frozen=True)
class Choice:
    """One point of a methods entry's grid: a method, or several together, by plugin name."""

    label: str
    methods: dict[str, Method]
    mark: Mark
    setting: Setting | None  # the entry's own, in place of a recipe
    loss: Named | None  # the entry's own, in place of the suite's
    loss_mark: Mark


@dataclass(frozen=True)
class Resolved:
    """A suite's names, resolved: all that its runs share, and its methods with their losses."""

    suite: Suite
    document: yamlmarks.Document
    registry: Plugins
    info: data.DatasetInfo
    dataset_params: dict[str, Any]
    protocol: Protocol
    choices: tuple[tuple[Choice, LossSpec], ...]

    def spec(self, choice: Choice, loss: LossSpec, setting: Setting, seed: int) -> RunSpec:
        """Return the spec of one run."""
        suite, info = self.suite, self.info
        methods = choice.methods.items()
        return RunSpec(
            methods=tuple(MethodSpec(name, asdict(method)) for name, method in methods),
            setting=setting,
            architecture=suite.architecture.name,
            width=float(suite.architecture.width),
            initialisation=suite.initialisation,
            loss=loss,
            dataset=DatasetSpec(info.name, info.fingerprint, info.image_size, info.channels),
            budget=Budget(**suite.budget.model_dump()),
            precision=suite.precision,
            ema_decay=suite.ema_decay,
            protocol=self.protocol.id,
            score_every=suite.intervals.score,
            seed=seed,
        )

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
        )


def plan(suite: Suite, document: yamlmarks.Document, registry: Plugins, cache: Path) -> Plan:
    """Return the plan of a suite. Raises UserError for what does not exist or does not fit."""
    if suite.tune:
        mark = document.mark(("tune",))
        raise UserError(f"{suite.name} is a study; `lipbench tune` searches", mark)
    settings = _settings(suite, document)
    resolved = resolve(suite, document, registry, cache)
    runs = []
    for choice, loss in resolved.choices:
        for (label, setting), seed in itertools.product(settings, suite.seeds):
            chosen = setting or recipe(choice)
            run = resolved.spec(choice, loss, chosen, seed)
            runs.append(PlannedRun(run, choice.label, label))
    return resolved.plan(runs)


def resolve(
    suite: Suite, document: yamlmarks.Document, registry: Plugins, cache: Path
) -> Resolved:
    """Return what a suite names. Raises UserError for what does not exist or does not fit."""
    count(suite, document)
    _check_names(suite, document, registry)
    size = suite.dataset.params.get("image_size")
    if isinstance(size, int):  # before images of some great size are made
        _check_image_size(suite, document, size)
    info, dataset_params = _dataset(suite, document, registry, cache)
    _check_image_size(suite, document, info.image_size)
    protocol = _protocol(suite, document, info)
    _check_protocol(suite, document, info, protocol)
    choices = []
    for choice in _methods(suite, document, registry):
        loss = _loss(suite, document, choice, registry)
        check_combination(suite, choice, loss.name)
        _check_pairs(suite, document, parts.loss(loss.name, loss.params, registry), loss.name)
        check_layers(suite, info, choice)
        choices.append((choice, loss))
    return Resolved(suite, document, registry, info, dataset_params, protocol, tuple(choices))


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
        mark = document.mark(("dataset", "path" if entry.params.get("path") else "name"))
        raise UserError(str(error), mark) from error


def count(suite: Suite, document: yamlmarks.Document) -> int:
    """Return how many runs a suite has, or a study's methods, without making one.

    Raises UserError where there are too many.
    """
    sizes = [entry.size() for entry in suite.methods]
    points = sum(sizes)
    settings = 1 if suite.tune or not suite.settings else len(_settings(suite, document))
    seeds = len(suite.seeds)
    runs = points * settings * seeds
    if runs > _MOST_RUNS:
        raise UserError(
            f"{counted(points, 'method')} x {counted(settings, 'setting')} x "
            f"{counted(seeds, 'seed')} are {runs:,} runs; at most {_MOST_RUNS:,}: shorten the "
            "lists, or write several suites",
            _entry_mark(document, sizes.index(max(sizes))),
        )
    return runs


def _check_names(suite: Suite, document: yamlmarks.Document, registry: Plugins) -> None:
    losses = registry.losses.plugins
    named: list[tuple[tuple[str, ...], str | None, Mapping[str, object]]] = [
        (("architecture", "name"), suite.architecture.name, ARCHITECTURES),
        (("initialisation",), suite.initialisation, INITIALISATIONS),
        (("loss",), suite.loss.name if suite.loss else None, losses),
    ]
    for path, name, known in named:
        if name is not None and name not in known:
            raise UserError(unknown(path[0], name, known), document.mark(path))
    for index, entry in enumerate(suite.methods):
        if entry.loss and entry.loss.name not in losses:
            mark = _entry_mark(document, index, "loss")
            raise UserError(unknown("loss", entry.loss.name, losses), mark)
    for index, name in enumerate(suite.allow):
        rules = [rule.name for rule in combinations.RULES.values() if not rule.impossible]
        if name not in rules:
            raise UserError(unknown("combination", name, rules), document.mark(("allow", index)))


def _protocol(suite: Suite, document: yamlmarks.Document, info: data.DatasetInfo) -> Protocol:
    """Return the protocol that a suite names, or writes out; a file may stand beside the suite."""
    given = suite.protocol
    if isinstance(given, str) and Path(given).suffix in (".yaml", ".yml"):
        beside = Path(document.source).parent / given
        given = str(beside) if beside.is_file() else given
    sizes = Sizes(info.n_train, info.n_test)
    return protocols.find(given, sizes, lambda keys: document.mark(("protocol", *keys)))


def _check_image_size(suite: Suite, document: yamlmarks.Document, size: int) -> None:
    """Refuse images that the architecture can't take."""
    sizes = ARCHITECTURES[suite.architecture.name].image_sizes
    if size not in sizes:
        raise UserError(
            f"{suite.architecture.name} takes images of {', '.join(map(str, sizes))} pixels; "
            f"these are {size}; set dataset.image_size",
            document.mark(("dataset", "image_size")),
        )


def _check_protocol(
    suite: Suite, document: yamlmarks.Document, info: data.DatasetInfo, protocol: Protocol
) -> None:
    """Refuse too few images for the protocol."""
    try:
        protocols.check(protocol, info.n_train, info.n_test, info.name)
    except UserError as error:
        raise UserError(str(error), document.mark(("protocol",))) from error


def _methods(suite: Suite, document: yamlmarks.Document, registry: Plugins) -> list[Choice]:
    """Return every point of every entry's grid; their labels differ."""
    found: dict[str, Choice] = {}
    for index, entry in enumerate(suite.methods):
        mark = _entry_mark(document, index)
        setting = _own_setting(suite, entry, _entry_mark(document, index, "setting"))
        loss_mark = _entry_mark(document, index, "loss")
        points = entry.grid()
        if not points or not entry.methods:
            raise UserError("an empty grid: nothing would run", mark)
        for point in points:
            try:
                methods = {
                    name: parts.method(name, set_, registry) for name, set_ in point.items()
                }
            except UserError as error:
                raise UserError(str(error), mark) from error
            label = _label(entry.label, methods, len(points) > 1 and point)
            if label in found:
                raise UserError(f"two entries are called {label!r}; give one a label", mark)
            found[label] = Choice(label, methods, mark, setting, entry.loss, loss_mark)
    return list(found.values())


def _entry_mark(document: yamlmarks.Document, index: int, *key: str) -> Mark:
    """Return where a methods entry is, or a key that it has. One entry may stand for the list."""
    listed = ("methods", index) in document.marks
    return document.mark(("methods", index, *key) if listed else ("methods", *key))


def _own_setting(suite: Suite, entry: MethodEntry, mark: Mark) -> Setting | None:
    """Return the setting that a methods entry brings, to stand where the suite says `recipe`."""
    if entry.setting is None:
        return None
    if suite.settings is not None and RECIPE not in suite.settings:
        raise UserError(
            f"a method's own setting stands in for '{RECIPE}', which the suite's settings do not "
            "have; add it, or leave this out",
            mark,
        )
    if isinstance(entry.setting, AdamEntry):
        return _adam(entry.setting)
    if entry.setting not in MIYATO2018:
        raise UserError(unknown("single setting", entry.setting, MIYATO2018), mark)
    return MIYATO2018[entry.setting]


def _label(
    given: str | None,
    methods: Mapping[str, Method],
    point: Mapping[str, Mapping[str, Any]] | Literal[False],
) -> str:
    """Return what legends show: the label, with the hyperparameters that set it apart.

    Those are the ones that differ from their defaults, or under a label of the suite's own those
    of a grid's point.
    """
    parts = []
    for name, method in methods.items():
        if given:
            shown = dict(point[name]) if point else {}
        else:
            defaults = {field.name: field.default for field in dataclasses.fields(method)}
            shown = {k: v for k, v in asdict(method).items() if v != defaults[k]}
        values = ", ".join(f"{key}={value}" for key, value in shown.items())
        parts.append((method.label, values))
    if given:
        all_values = ", ".join(values for _, values in parts if values)
        return f"{given} ({all_values})" if all_values else given
    return " + ".join(f"{label} ({values})" if values else label for label, values in parts)


def _settings(suite: Suite, document: yamlmarks.Document) -> list[tuple[str, Setting | None]]:
    """Return (label, setting) of each setting; None is each method's own recipe."""
    if not suite.settings:
        raise UserError("suite needs 'settings'", document.mark(()))
    found: dict[str, Setting | None] = {}
    for index, entry in enumerate(suite.settings):
        mark = document.mark(("settings", index))
        for label, setting in _expand(entry, mark):
            if label in found:
                raise UserError(f"two settings are called {label!r}", mark)
            found[label] = setting
    return list(found.items())


def _expand(entry: str | SettingEntry, mark: Mark) -> list[tuple[str, Setting | None]]:
    if isinstance(entry, SettingEntry):
        written = f"lr={entry.lr:g} b1={entry.beta1:g} b2={entry.beta2:g} n_dis={entry.n_dis}"
        return [(entry.name or written, _adam(entry))]
    if entry == RECIPE:
        return [(RECIPE, None)]
    if entry not in {*PRESETS, *MIYATO2018}:
        raise UserError(unknown("setting", entry, [*PRESETS, *MIYATO2018, RECIPE]), mark)
    return [(name, MIYATO2018[name]) for name in PRESETS.get(entry, (entry,))]


def base_setting(resolved: Resolved, choice: Choice) -> Setting | None:
    """Return what a study leaves of a method's setting unsearched, or None if it names none."""
    if resolved.suite.settings is None:
        return choice.setting
    settings = _settings(resolved.suite, resolved.document)
    if len(settings) > 1:
        raise UserError(
            "a study has one setting, for what of it is not searched",
            resolved.document.mark(("settings",)),
        )
    ((_, setting),) = settings
    return setting or recipe(choice)


def _adam(entry: AdamEntry) -> Setting:
    return Setting(float(entry.lr), float(entry.beta1), float(entry.beta2), entry.n_dis)


def recipe(choice: Choice) -> Setting:
    """Return the entry's own setting, or what its method's authors recommend.

    Raises UserError if none is told.
    """
    if choice.setting:
        return choice.setting
    recipes = {method.recipe for method in choice.methods.values() if method.recipe}
    if len(recipes) != 1:
        why = "several different Adam settings are" if recipes else "no Adam setting is"
        raise UserError(
            f"{why} recommended for {choice.label}, so 'recipe' does not tell one; name a setting",
            choice.mark,
        )
    return Setting(**asdict(recipes.pop()))


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


def _check_pairs(suite: Suite, document: yamlmarks.Document, loss: Loss, name: str) -> None:
    """Refuse batches that a loss cannot pair."""
    sizes = suite.budget.batch_size, suite.budget.generator_batch_size
    if loss.paired and sizes[0] != sizes[1]:
        raise UserError(
            f"the loss {name} pairs real and generated images, so batch_size and "
            f"generator_batch_size must be equal; they are {sizes[0]} and {sizes[1]}",
            document.mark(("budget",)),
        )


def check_combination(suite: Suite, choice: Choice, loss: str) -> None:
    """Refuse what is invalid or known to be bad, unless the suite allows it by name."""
    for rule in combinations.broken(choice.methods, loss):
        if rule.impossible or rule.name not in suite.allow:
            hint = "" if rule.impossible else f". To run it all the same: allow: [{rule.name}]"
            raise UserError(
                f"{choice.label} with the loss {loss}: {rule.reason} ({rule.source}){hint}",
                choice.mark,
            )


def check_layers(suite: Suite, info: data.DatasetInfo, choice: Choice) -> None:
    """Refuse a method whose layers do not fit D's channels, such as more groups than those."""
    layers = hidden_layers(list(choice.methods.values()))
    if layers:
        build = ARCHITECTURES[suite.architecture.name].discriminator
        try:
            build(info.image_size, info.channels, float(suite.architecture.width), **layers)
        except UserError as error:
            raise UserError(f"{choice.label}: {error}", choice.mark) from error
