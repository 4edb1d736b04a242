"""Print what is installed: lists, and one thing's card. Part of `cli`."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import TypeVar

from lipbench.cli import installed
from lipbench.cli.installed import (
    ArchitectureCard,
    DatasetCard,
    LossCard,
    MeasureCard,
    ProtocolCard,
    SuiteCard,
)
from lipbench.cli.printing import say, show, show_facts, table_of
from lipbench.plugins import Plugins
from lipbench.words import counted

AnyCard = TypeVar(
    "AnyCard", SuiteCard, ProtocolCard, LossCard, DatasetCard, ArchitectureCard, MeasureCard
)


def suites(name: str | None, as_json: bool) -> None:
    """Print the installed suites and studies, or one with the question that it asks."""
    _print(name, as_json, installed.suites, installed.suite, _list_suites, _show_suite)


def protocols(name: str | None, as_json: bool) -> None:
    """Print the protocols that lipbench ships, or one's whole record."""
    _print(name, as_json, installed.protocols, installed.protocol, _list_protocols, _show_protocol)


def losses(registry: Plugins, name: str | None, as_json: bool) -> None:
    """Print the losses, or one with its parameters and its source."""
    every = functools.partial(installed.losses, registry)
    one = functools.partial(installed.loss, registry)
    _print(name, as_json, every, one, functools.partial(_list_plugins, "loss"), _show_loss)


def datasets(registry: Plugins, name: str | None, as_json: bool) -> None:
    """Print the datasets, or one with its parameters and its papers."""
    every = functools.partial(installed.datasets, registry)
    one = functools.partial(installed.dataset, registry)
    _print(name, as_json, every, one, functools.partial(_list_plugins, "dataset"), _show_dataset)


def architectures(registry: Plugins, name: str | None, as_json: bool) -> None:
    """Print the architectures, or one with its parameters and how large it is."""
    every = functools.partial(installed.architectures, registry)
    one = functools.partial(installed.architecture, registry)
    _print(
        name, as_json, every, one, functools.partial(_list_plugins, "architecture"), _show_network
    )


def measures(registry: Plugins, name: str | None, as_json: bool) -> None:
    """Print the measures, or one with its options and its papers."""
    every = functools.partial(installed.measures, registry)
    one = functools.partial(installed.measure, registry)
    _print(name, as_json, every, one, _list_measures, _show_measure)


def _print(
    name: str | None,
    as_json: bool,
    every: Callable[[], list[AnyCard]],
    one: Callable[[str], AnyCard],
    list_: Callable[[Iterable[AnyCard]], None],
    show_one: Callable[[AnyCard], None],
) -> None:
    if name:
        card = one(name)
        print(json.dumps(asdict(card), indent=1)) if as_json else show_one(card)
    elif as_json:
        print(json.dumps([asdict(card) for card in every()], indent=1))
    else:
        list_(every())


def _list_suites(cards: Iterable[SuiteCard]) -> None:
    table = table_of("suite", "command", "dataset", "size", "question")
    for card in cards:
        table.add_row(card.name, _command(card), card.dataset, card.size, card.question)
    show(table)


def _command(card: SuiteCard) -> str:
    return "tune" if card.kind == "study" else "run"


def _show_suite(card: SuiteCard) -> None:
    say(f"{card.name}, {card.origin}: {card.path}\n\n{card.about}\n")
    show_facts(
        {
            "size": [card.size],
            "each run": [f"{counted(card.updates, 'update')} of G on {card.dataset}"],
            "protocol": [card.protocol],
            "start it": [f"lipbench {_command(card)} {card.name}"],
        }
    )


def _list_protocols(cards: Iterable[ProtocolCard]) -> None:
    table = table_of("protocol", "features", "real", "generated", "sets", "scores")
    for card in cards:
        counts = ["dataset's" if n is None else f"{n:,}" for n in (card.n_real, card.n_fake)]
        table.add_row(card.id, card.extractor, *counts, str(card.sets), ", ".join(card.scores))
    show(table)


def _show_protocol(card: ProtocolCard) -> None:
    counts = ["the dataset's" if n is None else f"{n:,}" for n in (card.n_real, card.n_fake)]
    sets = counted(card.sets, "set")
    show_facts(
        {
            "protocol": [card.id],
            "source": [card.source],
            "datasets": [card.dataset],
            "features": [card.extractor],
            "images": [f"real {counts[0]}, generated {counts[1]}, in up to {sets}"],
            "scores": [", ".join(card.scores)],
            "ranks by": [card.scores[0]],
            "whole record": [card.record],
        }
    )


def _list_plugins(kind: str, cards: Iterable[LossCard | DatasetCard | ArchitectureCard]) -> None:
    table = table_of(kind, "from", "parameters", "what it is")
    for card in cards:
        names = ", ".join(field.name for field in card.hyperparameters)
        table.add_row(card.name, card.origin, names, card.description.partition("\n")[0])
    show(table)


def _show_loss(card: LossCard) -> None:
    say(f"{card.name}, {card.origin}: {card.path}\n\n{card.description}\n")
    show_facts(
        {
            "in G's step": ["real logits, too" if card.needs_real else "generated logits alone"],
            "parameters": [str(field) for field in card.hyperparameters] or ["none"],
            "source": [card.source],
        }
    )


def _show_dataset(card: DatasetCard) -> None:
    say(f"{card.name}, {card.origin}: {card.path}\n\n{card.description}\n")
    show_facts(
        {
            "splits": [card.splits or "see docs/suites.md"],
            "parameters": [str(field) for field in card.hyperparameters] or ["none"],
            "papers": list(card.papers) or ["none"],
        }
    )


def _show_network(card: ArchitectureCard) -> None:
    say(f"{card.name}, {card.origin}: {card.path}\n\n{card.description}\n")
    show_facts(
        {
            "makes": [card.shapes],
            "weights": [f"{card.weights[at]} for {at}" for at in card.weights],
            "begins as": [card.initialisation],
            "parameters": [str(field) for field in card.hyperparameters],
            "papers": list(card.papers) or ["none"],
        }
    )


def _list_measures(cards: Iterable[MeasureCard]) -> None:
    table = table_of("measure", "from", "better", "options", "scores")
    for card in cards:
        names = ", ".join(field.name for field in card.hyperparameters)
        table.add_row(card.name, card.origin, _better(card), names, ", ".join(card.scores))
    show(table)


def _better(card: MeasureCard) -> str:
    return "higher" if card.higher_is_better else "lower"


def _show_measure(card: MeasureCard) -> None:
    say(f"{card.name}, {card.origin}: {card.path}\n\n{card.description}\n")
    rewards = {"mind": [f"it rewards {card.rewards}"]} if card.rewards else {}
    show_facts(
        {
            "scores": [", ".join(card.scores)],
            "better": [_better(card)],
            "unit": [card.unit or "none"],
            "axis": ["logarithmic" if card.axis == "log" else "linear"],
            "needs": [", ".join(card.needs) or "generated images alone"],
            "errors": [f"the bootstrap draws {card.resamples} images again"],
            **rewards,
            "options": [str(field) for field in card.hyperparameters] or ["none"],
            "papers": list(card.papers) or ["none"],
        }
    )
