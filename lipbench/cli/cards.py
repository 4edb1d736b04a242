"""A method's card: everything that its class says about it, as data."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from lipbench import bibliography
from lipbench.bibliography import Paper
from lipbench.method import Claim, Method
from lipbench.parameterized import Hyperparameter, hyperparameters
from lipbench.planning import combinations
from lipbench.planning.parts import DEFAULT_LOSS
from lipbench.plugins import Plugin, Plugins


@dataclass(frozen=True)
class Refusal:
    """What a method is not combined with, unless a suite allows the rule by name."""

    rule: str
    partners: tuple[str, ...]  # methods by name, or losses as "loss: NAME"
    reason: str
    source: str
    impossible: bool


@dataclass(frozen=True)
class Card:
    """What `lipbench methods NAME` shows."""

    name: str
    label: str
    origin: str
    path: str
    description: str
    hyperparameters: tuple[Hyperparameter, ...]
    hooks: tuple[str, ...]
    claims: tuple[str, ...]
    traits: tuple[str, ...]
    loss: str | None
    recipe: str | None
    compiles: bool
    refusals: tuple[Refusal, ...]
    papers: tuple[Paper, ...]


def describe(name: str, registry: Plugins) -> Card:
    """Return a method's card. Raises UserError for an unknown or broken plugin."""
    plugin = registry.methods[name]
    cls = plugin.load(Method)
    method = cls()
    recipe = method.recipe
    return Card(
        name,
        method.label,
        plugin.origin,
        str(plugin.path),
        inspect.cleandoc(cls.__doc__ or ""),
        tuple(hyperparameters(cls)),
        method.hooks(),
        tuple(_claim(claim) for claim in method.claims),
        tuple(trait.value for trait in sorted(method.traits, key=lambda trait: trait.name)),
        method.requires.loss,
        ", ".join(f"{key} {value:g}" for key, value in vars(recipe).items()) if recipe else None,
        method.compiles,
        tuple(_refusals(name, method, registry)),
        tuple(papers(plugin)),
    )


def papers(plugin: Plugin) -> list[Paper]:
    """Return the papers that a method names."""
    cls: type[Method] = plugin.load(Method)
    return bibliography.papers(cls.papers, plugin.path)


def _claim(claim: Claim) -> str:
    of = {"input_gradient": "", "all": " of each layer", "convolutions": " of each convolution"}
    where = of["input_gradient" if claim.quantity == "input_gradient" else claim.layers]
    return f"{claim.quantity}{where} <= {claim.bound:g}, tolerance {claim.tolerance:.2g} of that"


def _refusals(name: str, method: Method, registry: Plugins) -> list[Refusal]:
    """Return the rules that the method breaks with each loss, and with each other method."""
    partners: dict[str, list[str]] = {}
    losses = [method.requires.loss] if method.requires.loss else list(registry.losses.plugins)
    for loss in losses:
        for rule in combinations.broken({name: method}, loss):
            partners.setdefault(rule.name, []).append(f"loss: {loss}")
    for other_name, plugin in registry.methods.plugins.items():
        if other_name == name:
            continue
        other = plugin.load(Method)()
        loss = method.requires.loss or other.requires.loss or DEFAULT_LOSS
        for rule in combinations.broken({name: method, other_name: other}, loss):
            partners.setdefault(rule.name, []).append(other_name)
    rules = combinations.RULES
    return [
        Refusal(rule, tuple(found), rules[rule].reason, rules[rule].source, rules[rule].impossible)
        for rule, found in partners.items()
    ]
