"""Resolve a suite's methods: entries and their grids to methods with labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from lipbench import yamlmarks
from lipbench.errors import Mark, UserError, unknown
from lipbench.method import Method
from lipbench.planning import parts
from lipbench.planning.schema import Named
from lipbench.planning.spec import Setting
from lipbench.planning.suite import MIYATO2018, RECIPE, MethodEntry, OptimizerEntry, Suite
from lipbench.plugins import Plugins


@dataclass(frozen=True)
class Choice:
    """One point of a methods entry's grid: a method, or several together, by plugin name."""

    label: str
    methods: dict[str, Method]
    mark: Mark
    setting: Setting | None  # the entry's own, in place of a recipe
    loss: Named | None  # the entry's own, in place of the suite's
    loss_mark: Mark


def choices(suite: Suite, document: yamlmarks.Document, plugins: Plugins) -> list[Choice]:
    """Return every point of every entry's grid; their labels differ.

    Raises UserError for unknown or invalid methods, and for two entries of one label.
    """
    found: dict[str, Choice] = {}
    for index, entry in enumerate(suite.methods):
        mark = entry_mark(document, index)
        setting = _own_setting(suite, entry, entry_mark(document, index, "setting"))
        loss_mark = entry_mark(document, index, "loss")
        points = entry.grid()
        if not points or not entry.methods:
            raise UserError("an empty grid: nothing would run", mark)
        for point in points:
            try:
                methods = {name: parts.method(name, set_, plugins) for name, set_ in point.items()}
            except UserError as error:
                raise UserError(str(error), mark) from error
            label = _label(entry.label, methods, len(points) > 1 and point)
            if label in found:
                raise UserError(f"two entries are called {label!r}; give one a label", mark)
            found[label] = Choice(label, methods, mark, setting, entry.loss, loss_mark)
    return list(found.values())


def entry_mark(document: yamlmarks.Document, index: int, *key: str) -> Mark:
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
    if isinstance(entry.setting, OptimizerEntry):
        return entry.setting.setting()
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
    told = []
    for name, method in methods.items():
        if given:
            shown = dict(point[name]) if point else {}
        else:
            defaults = {field.name: field.default for field in dataclasses.fields(method)}
            shown = {k: v for k, v in asdict(method).items() if v != defaults[k]}
        values = ", ".join(f"{key}={value}" for key, value in shown.items())
        told.append((method.label, values))
    if given:
        all_values = ", ".join(values for _, values in told if values)
        return f"{given} ({all_values})" if all_values else given
    return " + ".join(f"{label} ({values})" if values else label for label, values in told)
