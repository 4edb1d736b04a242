"""The commands on what there is: `methods`, `suites`, `protocols`, `losses`, ..."""

from __future__ import annotations

import json
from pathlib import Path

from lipbench.cli import printing
from lipbench.cli.given import load_own, print_json
from lipbench.cli.options import (
    ArchitectureName,
    DatasetName,
    JsonOption,
    LossName,
    MeasureName,
    MethodName,
    PluginOption,
    ProtocolName,
    SuiteName,
)


def methods(
    name: MethodName = None,
    plugin: PluginOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the methods, with those of your own files, or show the card of one method."""
    from lipbench.plugins import Plugins

    registry = Plugins(plugin or [])
    load_own(registry)
    if name:
        from lipbench.cli import cards, listing

        with printing.aside():
            card = cards.describe(name, registry)
        print_json(card) if as_json else listing.show_card(card)
        return
    rows = [(found.name, *found.summary, found.origin) for found in registry.methods.by_name()]
    if as_json:
        keys = ("name", "label", "summary", "origin")
        print(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=1))
    else:
        from lipbench.cli import listing

        listing.show_methods(rows)


def suites(name: SuiteName = None, as_json: JsonOption = False) -> None:
    """List the installed suites and studies by family, with their cost, or show one's card."""
    from lipbench.cli import listing

    listing.suites(name, as_json)


def protocols(name: ProtocolName = None, as_json: JsonOption = False) -> None:
    """List the protocols, which say how scores are computed, or show one's record."""
    from lipbench.cli import listing

    listing.protocols(name, as_json)


def losses(
    name: LossName = None,
    plugin: PluginOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the adversarial losses, with those of your own files, or show the card of one loss."""
    _plugins("losses", name, plugin, as_json)


def datasets(
    name: DatasetName = None,
    plugin: PluginOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the datasets, with those of your own files, or show the card of one dataset."""
    _plugins("datasets", name, plugin, as_json)


def architectures(
    name: ArchitectureName = None,
    plugin: PluginOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the architectures, with those of your own files, or show the card of one."""
    _plugins("architectures", name, plugin, as_json)


def measures(
    name: MeasureName = None,
    plugin: PluginOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the measures that scores are made of, with your own, or show the card of one."""
    _plugins("measures", name, plugin, as_json)


def _plugins(kind: str, name: str | None, files: list[Path] | None, as_json: bool) -> None:
    from lipbench.cli import listing
    from lipbench.plugins import Plugins

    plugins = Plugins(files or [])
    load_own(plugins)
    (registry,) = (each for each in plugins.kinds if each.kind == kind)
    listing.plugins(registry, name, as_json)
