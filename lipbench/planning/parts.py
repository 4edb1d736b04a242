"""What a run is made of: the names of its spec as objects, with checked parameters."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lipbench import paths
from lipbench.architecture import Architecture
from lipbench.dataset import Source
from lipbench.errors import UserError
from lipbench.loss import Loss
from lipbench.measure import Measure
from lipbench.method import Method
from lipbench.parameterized import checked
from lipbench.planning import spec
from lipbench.planning.spec import ArchitectureSpec, LossSpec, RunSpec
from lipbench.plugins import CONTRACTS, Plugins

DEFAULT_LOSS = "non_saturating"  # Miyato et al. 2018, section 4: of every method but WGAN-GP


@dataclass(frozen=True)
class Parts:
    """The plugins of a run, with its parameters."""

    methods: tuple[Method, ...]
    loss: Loss
    architecture: Architecture


def names(run: RunSpec) -> dict[str, list[str]]:
    """Return the plugins that a run names, by kind."""
    return {
        "methods": [each.name for each in run.methods],
        "losses": [run.loss.name],
        "datasets": [run.dataset.name],
        "architectures": [run.architecture.name],
    }


def of(run: RunSpec, plugins: Plugins) -> Parts:
    """Return a run's parts. Raises UserError for an unknown or invalid one."""
    methods = tuple(method(each.name, each.params, plugins) for each in run.methods)
    made = architecture(run.architecture.name, run.architecture.params, plugins)
    return Parts(methods, loss(run.loss.name, run.loss.params, plugins), made)


def complete(run: RunSpec, plugins: Plugins) -> RunSpec:
    """Return a stored spec with what its plugins gained since, at defaults."""
    parts = of(run, plugins)
    named = [
        {"name": entry.name, "params": asdict(method)}
        for entry, method in zip(run.methods, parts.methods, strict=True)
    ]
    return spec.from_json(
        {
            **run.to_json(),
            "methods": named,
            "loss": {"name": run.loss.name, "params": asdict(parts.loss)},
            "architecture": {
                "name": run.architecture.name,
                "params": asdict(parts.architecture),
            },
        }
    )


def method(name: str, params: Mapping[str, Any], plugins: Plugins) -> Method:
    """Return a method. Raises UserError for an unknown or invalid name or hyperparameter."""
    what = f"method {name!r}"
    made: Method = checked(plugins.methods[name].load(Method), params, what, "hyperparameter")
    try:
        _ = made.claims
    except Exception as error:
        raise UserError(f"{what}: its claims: {type(error).__name__}: {error}") from error
    return made


def loss(name: str, params: Mapping[str, Any], plugins: Plugins) -> Loss:
    """Return a loss. Raises UserError for an unknown or invalid name or parameter."""
    cls: type[Loss] = plugins.losses[name].load(Loss)
    return checked(cls, params, f"loss {name!r}", "parameter")


def dataset(name: str, params: Mapping[str, Any], plugins: Plugins) -> Source:
    """Return a dataset's source, its `path` made absolute.

    Raises UserError for an unknown or invalid name or parameter.
    """
    cls: type[Source] = plugins.datasets[name].load(Source)
    path = params.get("path")
    if isinstance(path, str):
        params = {**params, "path": str(paths.expanded(path).resolve())}
    return checked(cls, params, f"dataset {name!r}", "parameter")


def architecture(name: str, params: Mapping[str, Any], plugins: Plugins) -> Architecture:
    """Return an architecture. Raises UserError for an unknown or invalid name or parameter."""
    cls: type[Architecture] = plugins.architectures[name].load(Architecture)
    return checked(cls, params, f"architecture {name!r}", "parameter")


def architecture_spec(name: str, params: Mapping[str, Any], plugins: Plugins) -> ArchitectureSpec:
    """Return an architecture with every parameter spelled out; raises as `architecture` does."""
    return ArchitectureSpec(name, asdict(architecture(name, params, plugins)))


def measure(name: str, options: Mapping[str, Any], plugins: Plugins) -> Measure:
    """Return a measure. Raises UserError for an unknown or invalid name or option."""
    cls: type[Measure] = plugins.measures[name].load(Measure)
    return checked(cls, options, f"measure {name!r}", "option")


def loss_spec(name: str, params: Mapping[str, Any], plugins: Plugins) -> LossSpec:
    """Return a loss with every parameter spelled out. Raises UserError as `loss` does."""
    return LossSpec(name, asdict(loss(name, params, plugins)))


Made = Method | Loss | Source | Architecture | Measure

MAKERS: Mapping[str, Callable[[str, Mapping[str, Any], Plugins], Made]] = {
    "methods": method,
    "losses": loss,
    "datasets": dataset,
    "architectures": architecture,
    "measures": measure,
}


def load_own(plugins: Plugins) -> None:
    """Import a user's own files. Raises UserError for one with a mistake."""
    for registry in plugins.kinds:
        module, name = CONTRACTS[registry.kind]
        for plugin in registry.own():
            plugin.load(getattr(importlib.import_module(module), name))
