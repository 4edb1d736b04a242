"""Resolve a suite's settings: names and entries to optimizers' settings, with labels."""

from __future__ import annotations

from dataclasses import asdict

from lipbench import yamlmarks
from lipbench.errors import Mark, UserError, unknown
from lipbench.planning.choices import Choice
from lipbench.planning.spec import Setting
from lipbench.planning.suite import MIYATO2018, PRESETS, RECIPE, SettingEntry, Suite


def settings(suite: Suite, document: yamlmarks.Document) -> list[tuple[str, Setting | None]]:
    """Return (label, setting) of each setting; None is each method's own recipe.

    Raises UserError for an unknown name, and for two settings of one label.
    """
    if not suite.settings:
        raise UserError("suite needs 'settings'", document.mark(()))
    found: dict[str, Setting | None] = {}
    for index, entry in enumerate(suite.settings):
        mark = document.mark(("settings", index))
        for label, setting in _expanded(entry, mark):
            if label in found:
                raise UserError(f"two settings are called {label!r}", mark)
            found[label] = setting
    return list(found.items())


def _expanded(entry: str | SettingEntry, mark: Mark) -> list[tuple[str, Setting | None]]:
    if isinstance(entry, SettingEntry):
        setting = entry.setting()
        return [(entry.name or str(setting), setting)]
    if entry == RECIPE:
        return [(RECIPE, None)]
    if entry not in {*PRESETS, *MIYATO2018}:
        raise UserError(unknown("setting", entry, [*PRESETS, *MIYATO2018, RECIPE]), mark)
    return [(name, MIYATO2018[name]) for name in PRESETS.get(entry, (entry,))]


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


def unsearched(suite: Suite, document: yamlmarks.Document, choice: Choice) -> Setting | None:
    """Return what a study leaves of a method's setting unsearched, or None if it names none."""
    if suite.settings is None:
        return choice.setting
    found = settings(suite, document)
    if len(found) > 1:
        raise UserError(
            "a study has one setting, for what of it is not searched",
            document.mark(("settings",)),
        )
    ((_, setting),) = found
    return setting or recipe(choice)
