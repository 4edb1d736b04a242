"""What is installed besides methods: suites, protocols, losses, datasets, architectures.

Imports torch for architectures alone, which are networks.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from lipbench import bibliography
from lipbench.dataset import Source
from lipbench.errors import UserError, unknown
from lipbench.loss import Loss
from lipbench.measure import Measure
from lipbench.parameterized import Hyperparameter, hyperparameters
from lipbench.planning import header
from lipbench.planning.suite import PRESETS, Suite, installed, read
from lipbench.plugins import Plugin, Registry
from lipbench.protocols import FITTED, PROTOCOLS, Protocol, Sizes
from lipbench.protocols.scores import scores_of
from lipbench.words import counted

T = TypeVar("T")

_CIFAR10 = Sizes(train=50_000, test=10_000)
_OTHERS = "others"
_FAMILIES = (*header.FAMILIES, _OTHERS)


@dataclass(frozen=True)
class SuiteCard:
    """What `lipbench suites NAME` shows."""

    name: str
    origin: str
    path: str
    kind: str  # "suite" or "study"
    description: str
    dataset: str
    protocol: str
    updates: int  # of G, of each run
    methods: int
    settings: int  # 0: a study searches them
    seeds: int
    runs: int | None  # None: a study's budget decides
    size: str  # the numbers above in words
    small_size: str  # of the small form; empty where there is none
    question: str
    family: str
    cost: str  # in brief, as the file's comment tells; empty where it does not
    small_cost: str
    about: str  # the comment that the file begins with


@dataclass(frozen=True)
class ProtocolCard:
    """What `lipbench protocols NAME` shows."""

    name: str
    id: str
    source: str
    extractor: str
    dataset: str  # the only one that it scores, or "any"
    scores: tuple[str, ...]  # the one that ranks first
    n_real: int | None  # None: the dataset's sizes decide
    n_fake: int | None
    sets: int
    record: str  # the whole record as a sentence


@dataclass(frozen=True)
class LossCard:
    """What `lipbench losses NAME` shows."""

    name: str
    origin: str
    path: str
    description: str
    source: str
    needs_real: bool  # logits in G's step
    hyperparameters: tuple[Hyperparameter, ...]


@dataclass(frozen=True)
class DatasetCard:
    """What `lipbench datasets NAME` shows."""

    name: str
    origin: str
    path: str
    description: str
    splits: str
    hyperparameters: tuple[Hyperparameter, ...]
    papers: tuple[str, ...]


@dataclass(frozen=True)
class ArchitectureCard:
    """What `lipbench architectures NAME` shows."""

    name: str
    origin: str
    path: str
    description: str
    shapes: str
    initialisation: str
    weights: Mapping[str, str]  # how many G and D have, by the shape of samples
    hyperparameters: tuple[Hyperparameter, ...]
    papers: tuple[str, ...]


@dataclass(frozen=True)
class MeasureCard:
    """What `lipbench measures NAME` shows."""

    name: str
    origin: str
    path: str
    description: str
    higher_is_better: bool
    unit: str
    axis: str
    scores: tuple[str, ...]  # what protocols call it, on each space
    needs: tuple[str, ...]
    resamples: str  # whose images the bootstrap draws again
    rewards: str
    hyperparameters: tuple[Hyperparameter, ...]
    papers: tuple[str, ...]


PluginCard = LossCard | DatasetCard | ArchitectureCard | MeasureCard


def suites() -> list[SuiteCard]:
    """Return the installed suites and studies by family and name.

    Raises UserError for one with a mistake.
    """
    cards = [_suite(name, *file) for name, file in installed().items()]
    return sorted(cards, key=lambda card: (_FAMILIES.index(card.family), _by_numbers(card.name)))


def _by_numbers(name: str) -> list[str | int]:
    """Return a key by which figure9 comes before figure10."""
    return [int(part) if part.isdecimal() else part for part in re.split("([0-9]+)", name)]


def suite(name: str) -> SuiteCard:
    """Return one installed suite or study. Raises UserError for a name that there is not."""
    return _suite(name, *_found("suite", name, installed()))


def protocols() -> list[ProtocolCard]:
    """Return the protocols that lipbench ships, by name."""
    return [protocol(name) for name in sorted({*PROTOCOLS, *FITTED})]


def protocol(name: str) -> ProtocolCard:
    """Return one shipped protocol. Raises UserError for a name that there is not."""
    if name in FITTED:
        return _protocol(name, FITTED[name](_CIFAR10), fitted=True)
    return _protocol(name, _found("protocol", name, PROTOCOLS, FITTED), fitted=False)


def plugins(kind: Registry) -> list[PluginCard]:
    """Return the plugins of a kind, by name. Raises UserError for one with a mistake."""
    return [_CARDS[kind.kind](plugin) for plugin in kind.by_name()]


def plugin(kind: Registry, name: str) -> PluginCard:
    """Return one plugin of a kind. Raises UserError for a name that there is not."""
    return _CARDS[kind.kind](kind[name])


def _found(kind: str, name: str, known: Mapping[str, T], others: Iterable[str] = ()) -> T:
    """Return what has a name. Raises UserError, with the near name, where nothing has it."""
    if name not in known:
        raise UserError(unknown(kind, name, {*known, *others}))
    return known[name]


def _suite(name: str, origin: str, path: Path) -> SuiteCard:
    asked, _ = read(path, [])
    about = header.read(path)
    family = about.parts.get("Family")
    combinations, settings = _counts(asked)
    runs = None if asked.tune else combinations * settings * len(asked.seeds)
    return SuiteCard(
        name,
        origin,
        str(path),
        "study" if asked.tune else "suite",
        asked.description,
        asked.dataset.name,
        asked.protocol if isinstance(asked.protocol, str) else str(asked.protocol.get("name")),
        asked.budget.generator_updates,
        combinations,
        settings,
        len(asked.seeds),
        runs,
        _size(asked),
        _size(read(path, [], small=True)[0]) if asked.small is not None else "",
        about.question or asked.description,
        family if family in header.FAMILIES else _OTHERS,
        about.brief("Cost"),
        about.brief("Small"),
        about.text,
    )


def _counts(asked: Suite) -> tuple[int, int]:
    """Return how many methods a suite has, and settings; a study has none."""
    methods = sum(entry.size() for entry in asked.methods)
    return methods, 0 if asked.tune else _settings(asked)


def _settings(asked: Suite) -> int:
    """Return how many settings each method of a suite runs at."""
    named = [name for name in asked.settings or [] if isinstance(name, str)]
    presets = sum(len(PRESETS.get(name, (name,))) for name in named)
    return presets + len(asked.settings or []) - len(named)


def _size(asked: Suite) -> str:
    combinations, settings = _counts(asked)
    parts = [counted(combinations, "method")]
    if asked.tune:
        budget, again = asked.tune.budget, asked.tune.confirm
        unit = budget.kind.removesuffix("s").replace("_", " ")
        parts.append(counted(budget.amount, unit))
        if len(asked.seeds) > 1:
            parts.append(counted(len(asked.seeds), "seed"))
        confirmed = again.configurations * len(again.seeds)
        return f"{' x '.join(parts)}, then {counted(confirmed, 'run')} each to confirm"
    runs = combinations * settings * len(asked.seeds)
    parts += [counted(settings, "setting"), counted(len(asked.seeds), "seed")]
    return f"{' x '.join(parts)} = {counted(runs, 'run')}"


def _protocol(name: str, protocol: Protocol, fitted: bool) -> ProtocolCard:
    """Return a protocol's card; `fitted` says that a dataset's sizes decide its counts."""
    others = [score for score in protocol.scores if score != protocol.primary]
    return ProtocolCard(
        name,
        name if fitted else protocol.id,
        protocol.source,
        protocol.extractor,
        protocol.dataset or "any",
        (protocol.primary, *others),
        None if fitted else protocol.n_real,
        None if fitted else protocol.n_fake,
        protocol.sets,
        f"With the sizes of CIFAR-10, for example: {protocol.sentence()}"
        if fitted
        else protocol.sentence(),
    )


def _loss(plugin: Plugin) -> LossCard:
    cls: type[Loss] = plugin.load(Loss)
    return LossCard(
        plugin.name,
        plugin.origin,
        str(plugin.path),
        inspect.cleandoc(cls.__doc__ or ""),
        cls.source,
        cls.needs_real,
        tuple(hyperparameters(cls)),
    )


def _dataset(plugin: Plugin) -> DatasetCard:
    cls: type[Source] = plugin.load(Source)
    return DatasetCard(
        plugin.name,
        plugin.origin,
        str(plugin.path),
        inspect.cleandoc(cls.__doc__ or ""),
        cls.splits,
        tuple(hyperparameters(cls)),
        tuple(map(str, bibliography.papers(plugin.papers, plugin.path))),
    )


def _architecture(plugin: Plugin) -> ArchitectureCard:
    import torch

    from lipbench.architecture import Architecture
    from lipbench.cost import parameters

    cls: type[Architecture] = plugin.load(Architecture)
    made = cls()
    weights = {}
    for shape in cls.examples:
        with torch.device("meta"):  # shapes suffice
            networks = (made.generator(shape), made.discriminator(shape))
        counts = [f"{parameters.trainable(network):,}" for network in networks]
        weights[" x ".join(map(str, shape))] = f"G {counts[0]}, D {counts[1]}"
    return ArchitectureCard(
        plugin.name,
        plugin.origin,
        str(plugin.path),
        inspect.cleandoc(cls.__doc__ or ""),
        cls.shapes,
        cls.initialisation,
        weights,
        tuple(hyperparameters(cls)),
        tuple(map(str, bibliography.papers(plugin.papers, plugin.path))),
    )


def _measure(plugin: Plugin) -> MeasureCard:
    scores = scores_of(plugin)
    cls: type[Measure] = plugin.load(Measure)
    needs = {
        "real images": cls.needs_real,
        "training images": cls.needs_training,
        "a conditional generator": cls.needs_labels,
        "a classifier": cls.needs_classes,
    }
    features = cls.description.replace("{features}", "features")
    return MeasureCard(
        plugin.name,
        plugin.origin,
        str(plugin.path),
        f"{features}\n\n{inspect.cleandoc(cls.__doc__ or '')}",
        cls.higher_is_better,
        cls.unit,
        cls.axis,
        tuple(score.name for score in scores),
        tuple(name for name, needed in needs.items() if needed),
        cls.resamples,
        cls.rewards,
        tuple(hyperparameters(cls)),
        tuple(map(str, bibliography.papers(plugin.papers, plugin.path))),
    )


_CARDS: Mapping[str, Callable[[Plugin], PluginCard]] = {
    "losses": _loss,
    "datasets": _dataset,
    "architectures": _architecture,
    "measures": _measure,
}
