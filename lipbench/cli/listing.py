"""Print what is installed: lists, and one thing's card. Part of `cli`."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeVar

from lipbench.cli import installed
from lipbench.cli.installed import (
    DatasetCard,
    LossCard,
    MeasureCard,
    PluginCard,
    ProtocolCard,
    SuiteCard,
)
from lipbench.cli.printing import say, show, show_facts, table_of
from lipbench.plugins import Registry
from lipbench.words import counted

if TYPE_CHECKING:
    from lipbench.cli.cards import Card

AnyCard = TypeVar("AnyCard", SuiteCard, ProtocolCard, PluginCard)


def suites(name: str | None, as_json: bool) -> None:
    """Print the installed suites and studies, or one with the question that it asks."""
    _print(name, as_json, installed.suites, installed.suite, _list_suites, _show_suite)


def protocols(name: str | None, as_json: bool) -> None:
    """Print the protocols that lipbench ships, or one's whole record."""
    _print(name, as_json, installed.protocols, installed.protocol, _list_protocols, _show_protocol)


def plugins(kind: Registry, name: str | None, as_json: bool) -> None:
    """Print the plugins of a kind, or one with its parameters and its source."""
    list_ = _list_measures if kind.kind == "measures" else functools.partial(_list_plugins, kind)
    every = functools.partial(installed.plugins, kind)
    one = functools.partial(installed.plugin, kind)
    _print(name, as_json, every, one, list_, _show_plugin)


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
    """Print the suites, a table with a heading for each family."""
    table = table_of("suite", "command", "size", "cost", "small form", "question")
    for family, members in itertools.groupby(cards, lambda card: card.family):
        table.add_row()
        table.add_row(f"{family}:")
        for card in members:
            costs = (card.cost, card.small_cost)
            table.add_row(card.name, _command(card), card.size, *costs, card.question)
    show(table)


def _command(card: SuiteCard) -> str:
    return "tune" if card.kind == "study" else "run"


def _show_suite(card: SuiteCard) -> None:
    start = f"lipbench {_command(card)} {card.name}"
    say(f"{card.name}, {card.origin}: {card.path}\n\n{card.about}\n")
    show_facts(
        {
            "size": [card.size],
            "each run": [f"{counted(card.updates, 'update')} of G on {card.dataset}"],
            "protocol": [card.protocol],
            "start it": [start],
            "small form": [f"{card.small_size}; {start} --small"] if card.small_size else [],
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
            "counts": [f"real {counts[0]}, generated {counts[1]}, in up to {sets}"],
            "scores": [", ".join(card.scores)],
            "ranks by": [card.scores[0]],
            "whole record": [card.record],
        }
    )


def _list_plugins(kind: Registry, cards: Iterable[PluginCard]) -> None:
    table = table_of(kind.singular, "from", "parameters", "what it is")
    for card in cards:
        names = ", ".join(field.name for field in card.hyperparameters)
        table.add_row(card.name, card.origin, names, card.description.partition("\n")[0])
    show(table)


def _show_plugin(card: PluginCard) -> None:
    say(f"{card.name}, {card.origin}: {card.path}\n\n{card.description}\n")
    fields = [str(field) for field in card.hyperparameters] or ["none"]
    if isinstance(card, LossCard):
        logits = "real logits, too" if card.needs_real else "generated logits alone"
        show_facts({"in G's step": [logits], "parameters": fields, "source": [card.source]})
        return
    papers = {"papers": list(card.papers) or ["none"]}
    if isinstance(card, MeasureCard):
        show_facts({**_facts(card), "options": fields, **papers})
    elif isinstance(card, DatasetCard):
        splits = card.splits or "see docs/suites.md"
        show_facts({"splits": [splits], "parameters": fields, **papers})
    else:
        weights = [f"{card.weights[at]} for {at}" for at in card.weights]
        networks = {"makes": [card.shapes], "weights": weights}
        begun = {"begins as": [card.initialisation]}
        show_facts({**networks, **begun, "parameters": fields, **papers})


def _list_measures(cards: Iterable[PluginCard]) -> None:
    table = table_of("measure", "from", "better", "options", "scores")
    for card in cards:
        assert isinstance(card, MeasureCard)
        names = ", ".join(field.name for field in card.hyperparameters)
        table.add_row(card.name, card.origin, _better(card), names, ", ".join(card.scores))
    show(table)


def _better(card: MeasureCard) -> str:
    return "higher" if card.higher_is_better else "lower"


def _facts(card: MeasureCard) -> dict[str, list[str]]:
    """Return what a measure's card says besides its options and papers."""
    rewards = {"mind": [f"it rewards {card.rewards}"]} if card.rewards else {}
    return {
        "scores": [", ".join(card.scores)],
        "better": [_better(card)],
        "unit": [card.unit or "none"],
        "axis": ["logarithmic" if card.axis == "log" else "linear"],
        "needs": [", ".join(card.needs) or "generated images alone"],
        "errors": [f"the bootstrap draws {card.resamples} images again"],
        **rewards,
    }


def show_methods(rows: list[tuple[str, str, str, str]]) -> None:
    """Print the list of methods: name, label, summary, origin."""
    table = table_of("method", "label", "from", "what it does")
    for name, label, summary, origin in rows:
        table.add_row(name, label, origin, summary)
    show(table)


def show_card(card: Card) -> None:
    """Print everything that a method says about itself."""
    say(f"{card.name} ({card.label}), {card.origin}: {card.path}\n\n{card.description}\n")
    rows = {
        "hyperparameters": [str(field) for field in card.hyperparameters] or ["none"],
        "hooks": [", ".join(card.hooks) or "none"],
        "claims": list(card.claims) or ["no bound"],
        "does to D": list(card.traits),
        "requires": [f"the loss {card.loss}"] if card.loss else [],
        "recipe": [card.recipe] if card.recipe else [],
        "torch.compile": [] if card.compiles else ["does not capture D as wrapped"],
        "refused with": [
            f"{', '.join(refusal.partners)}: {refusal.reason} ({refusal.source})"
            + ("" if refusal.impossible else f"; allow: [{refusal.rule}]")
            for refusal in card.refusals
        ],
        "papers": [str(paper) for paper in card.papers],
    }
    show_facts(rows)
    for paper in card.papers:
        say(f"\n{paper.bibtex}")
