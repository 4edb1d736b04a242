"""What of each method is searched, and what spec a point of that space is. Knows no Optuna."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from lipbench.errors import Mark, UserError, unknown
from lipbench.loss import Loss
from lipbench.method import Method
from lipbench.planning import parts
from lipbench.planning.choices import Choice
from lipbench.planning.fits import check_combination, check_layers
from lipbench.planning.resolve import Resolved
from lipbench.planning.settings import unsearched
from lipbench.planning.spec import LossSpec, MethodSpec, RunSpec, Setting
from lipbench.planning.suite import SettingEntry
from lipbench.planning.tune_entries import ChoicesEntry, RangeEntry, SearchEntry
from lipbench.planning.tuning import Parameter, Value
from lipbench.plugins import Plugins, Registry
from lipbench.tuning.presets import PRESETS

Kind = Literal["float", "int", "categorical"]
Entry = RangeEntry | ChoicesEntry

_SETTING: Mapping[str, Kind] = {"lr": "float", "beta1": "float", "beta2": "float", "n_dis": "int"}
_LOSS = "loss"
_SEARCH = ("tune", "search")


@dataclass(frozen=True)
class SearchedMethod:
    """One method of a study: what of it is fixed, and what is searched."""

    choice: Choice
    base: RunSpec
    search: tuple[Parameter, ...]  # one that exists only with some values of others after those
    registry: Plugins

    @property
    def label(self) -> str:
        """Return what the method is called."""
        return self.choice.label

    def spec(self, params: Mapping[str, Value], seed: int) -> RunSpec:
        """Return the run that a point of the search space is, with this seed.

        Raises UserError where a value is not one that the method or loss takes.
        """
        setting: dict[str, Any] = {name: params[name] for name in _SETTING if name in params}
        methods = [
            MethodSpec(name, asdict(method)) for name, method in self.methods(params).items()
        ]
        return replace(
            self.base,
            setting=replace(self.base.setting, **setting),
            methods=tuple(methods),
            loss=self.loss(params),
            seed=seed,
        )

    def methods(self, params: Mapping[str, Value]) -> dict[str, Method]:
        """Return the methods with these hyperparameters. Raises UserError for invalid ones."""
        made = {}
        for name, method in self.choice.methods.items():
            changed = _of(name, params)
            made[name] = (
                parts.method(name, {**asdict(method), **changed}, self.registry)
                if changed
                else method
            )
        return made

    def loss(self, params: Mapping[str, Value]) -> LossSpec:
        """Return the loss with these parameters. Raises UserError for invalid ones."""
        name = str(params.get(_LOSS, self.base.loss.name))
        given = self.base.loss.params if name == self.base.loss.name else {}
        changed = {**given, **_of(_LOSS, params)}
        return parts.loss_spec(name, changed, self.registry)


def walk(search: tuple[Parameter, ...], choose: Callable[[Parameter], Value]) -> dict[str, Value]:
    """Return a point of a search space: a value for each parameter that exists there.

    >>> loss = Parameter("loss", "categorical", choices=("hinge", "wasserstein"))
    >>> drift = Parameter("loss.drift", "float", 0, 1, when={"loss": ("wasserstein",)})
    >>> walk((loss, drift), lambda parameter: "hinge")
    {'loss': 'hinge'}
    """
    point: dict[str, Value] = {}
    for parameter in search:
        if all(name in point and point[name] in among for name, among in parameter.when.items()):
            point[parameter.name] = choose(parameter)
    return point


def searched_methods(resolved: Resolved) -> tuple[SearchedMethod, ...]:
    """Return a study's methods with what is searched of each.

    Raises UserError for a parameter that no method has, a range without values, a value that a
    method or loss does not take, and a setting left open.
    """
    tune = resolved.suite.tune
    assert tune is not None
    entries = _entries(tune.search, resolved)
    found = [_candidate(choice, loss, entries, resolved) for choice, loss in resolved.choices]
    used = {parameter.name for searched in found for parameter in searched.search}
    for name in tune.search.parameters:
        if name in entries and name not in used:
            raise UserError(_unused(name, resolved), _mark(resolved, name))
    for searched in found:
        _check(searched, resolved)
        _check_setting_is_whole(searched, resolved)
    return tuple(found)


def _of(owner: str, params: Mapping[str, Value]) -> dict[str, Value]:
    """Return the parameters of a method or of the loss, by their own names."""
    prefix = f"{owner}."
    return {name.removeprefix(prefix): v for name, v in params.items() if name.startswith(prefix)}


def _mark(resolved: Resolved, *keys: str) -> Mark:
    return resolved.document.mark((*_SEARCH, *keys))


def _entries(search: SearchEntry, resolved: Resolved) -> dict[str, Entry]:
    """Return what the preset and the study itself say, by the parameters' names."""
    entries: dict[str, Entry] = {}
    if search.preset is not None:
        if search.preset not in PRESETS:
            raise UserError(unknown("preset", search.preset, PRESETS), _mark(resolved, "preset"))
        entries |= PRESETS[search.preset]
    for name, entry in search.parameters.items():
        if entry is None:
            if entries.pop(name, None) is None:
                raise UserError(
                    f"{name} is null, which takes it out of a preset: there it is not",
                    _mark(resolved, name),
                )
            continue
        entries[name] = entry
    if not entries:
        raise UserError("nothing is searched", _mark(resolved))
    return entries


def _candidate(
    choice: Choice, loss: LossSpec, entries: Mapping[str, Entry], resolved: Resolved
) -> SearchedMethod:
    own = choice.loss or any(method.requires.loss for method in choice.methods.values())
    fixed = loss.name if own or _LOSS not in entries else None
    found: dict[str, Parameter] = {}
    waiting = dict(entries)
    while waiting:
        ready = {n: e for n, e in waiting.items() if not waiting.keys() & _parents(n, e, fixed)}
        if not ready:
            name = next(iter(waiting))
            raise UserError(
                f"{', '.join(waiting)}: each waits for another one's value", _mark(resolved, name)
            )
        for name, entry in ready.items():
            parameter = _parameter(name, entry, choice, fixed, found, entries, resolved)
            if parameter is not None:
                found[name] = parameter
            del waiting[name]
    # One that no setting gives is searched always: `_check_setting_is_whole`.
    setting = unsearched(resolved.suite, resolved.document, choice) or Setting(
        lr=1.0, beta1=0.0, beta2=0.0, n_dis=1
    )
    base = resolved.spec(choice, loss, setting, resolved.suite.seeds[0])
    return SearchedMethod(choice, base, tuple(found.values()), resolved.registry)


def _check_setting_is_whole(searched: SearchedMethod, resolved: Resolved) -> None:
    always = {parameter.name for parameter in searched.search if not parameter.when}
    left = [name for name in _SETTING if name not in always]
    if left and resolved.suite.settings is None and searched.choice.setting is None:
        raise UserError(
            f"{', '.join(left)}: neither always searched nor in a setting; name one, e.g. "
            "settings: C",
            _mark(resolved),
        )


def _parents(name: str, entry: Entry, fixed: str | None) -> set[str]:
    """Return the parameters whose values decide whether this one exists."""
    of_loss = {_LOSS} if name.startswith(f"{_LOSS}.") and fixed is None else set()
    return {parent for parent in entry.when if parent != name} | of_loss


def _parameter(
    name: str,
    entry: Entry,
    choice: Choice,
    fixed: str | None,
    found: Mapping[str, Parameter],
    entries: Mapping[str, Entry],
    resolved: Resolved,
) -> Parameter | None:
    """Return a parameter of this method, or None where it does not have it."""
    losses = resolved.registry.losses
    kind = _kind(name, choice, fixed, found, losses)
    if kind is None or (name == _LOSS and fixed is not None):
        return None
    when: dict[str, tuple[Value, ...]] = {}
    for parent, values in entry.when.items():
        mark = _mark(resolved, name, "when", parent)
        if parent not in entries or parent == name:
            others = [other for other in entries if other != name]
            raise UserError(unknown("searched parameter", parent, others), mark)
        if parent == _LOSS and fixed is not None:
            if fixed not in values:
                return None
            continue
        if parent not in found:
            return None
        # A loss can also be the one that another method requires.
        known = (*found[parent].choices, *(losses.plugins if parent == _LOSS else ()))
        if strange := [value for value in values if value not in known]:
            raise UserError(
                f"{name} exists when {parent} is {strange[0]!r}, which is not among its choices",
                mark,
            )
        when[parent] = tuple(value for value in values if value in found[parent].choices)
        if not when[parent]:
            return None
    if name.startswith(f"{_LOSS}.") and _LOSS in found:
        field = name.removeprefix(f"{_LOSS}.")
        has = [c for c in found[_LOSS].choices if field in _fields_of(str(c), losses)]
        when[_LOSS] = tuple(value for value in when.get(_LOSS, has) if value in has)
    return _checked(name, kind, entry, when, resolved)


def _fields_of(loss: str, losses: Registry) -> set[str]:
    if loss not in losses.plugins:
        return set()
    return {field.name for field in dataclasses.fields(losses[loss].load(Loss))}


def _kind(
    name: str,
    choice: Choice,
    fixed: str | None,
    found: Mapping[str, Parameter],
    losses: Registry,
) -> Kind | None:
    """Return what values a parameter takes; None where this method does not have it."""
    owner, dot, field = name.partition(".")
    if not dot:
        return "categorical" if name == _LOSS else _SETTING.get(name)
    if owner == _LOSS:
        names = found[_LOSS].choices if _LOSS in found else (fixed,)
        for loss in map(str, names):
            if field in _fields_of(loss, losses):
                return _kind_of(losses[loss].load(Loss), field)
        return None
    if owner in choice.methods:
        return _kind_of(type(choice.methods[owner]), field)
    return None


def _kind_of(cls: type[Any], field: str) -> Kind | None:
    """Return what a dataclass's field takes: a number, an integer, or else one of some values."""
    if field not in {f.name for f in dataclasses.fields(cls)}:
        return None
    hint = typing.get_type_hints(cls)[field]
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    kinds: dict[Any, Kind] = {float: "float", int: "int"}
    return kinds.get(hint, "categorical")


def _checked(
    name: str,
    kind: Kind,
    entry: Entry,
    when: Mapping[str, tuple[Value, ...]],
    resolved: Resolved,
) -> Parameter:
    mark = _mark(resolved, name)
    if isinstance(entry, ChoicesEntry):
        if len(set(map(repr, entry.choices))) < len(entry.choices):
            raise UserError(f"{name}: a choice is there twice", mark)
        return Parameter(name, "categorical", choices=tuple(entry.choices), when=when)
    if kind == "categorical":
        raise UserError(f"{name} is no number; write its choices, e.g. {name}: [a, b]", mark)
    low, high = entry.low, entry.high
    if not low < high:
        raise UserError(f"{name}: no value is from {low:g} to {high:g}; low must be less", mark)
    if entry.log and low <= 0:
        raise UserError(f"{name}: a logarithmic range begins above 0, not at {low:g}", mark)
    if entry.log and entry.step:
        raise UserError(f"{name}: a logarithmic range has no step", mark)
    if entry.step and entry.step > high - low:
        raise UserError(f"{name}: a step of {entry.step:g} leaves one value", mark)
    if kind == "int" and not all(float(v).is_integer() for v in (low, high, entry.step or 1)):
        raise UserError(f"{name} is a whole number; its range's ends and step are, too", mark)
    return Parameter(name, kind, low, high, entry.log, entry.step, when=when)


def _unused(name: str, resolved: Resolved) -> str:
    """Return why no method of a study has a parameter."""
    known = set(_SETTING) | {_LOSS}
    losses = resolved.registry.losses
    known |= {f"{_LOSS}.{field}" for loss in losses.plugins for field in _fields_of(loss, losses)}
    for choice, _ in resolved.choices:
        for method, made in choice.methods.items():
            known |= {f"{method}.{field.name}" for field in dataclasses.fields(made)}
    if name in known:
        return f"{name}: no method of this study has it with the losses that it trains with"
    return unknown("parameter", name, known)


def _check(searched: SearchedMethod, resolved: Resolved) -> None:
    """Refuse ends of ranges and choices that the method or loss does not take."""
    for parameter in searched.search:
        for value in _extremes(parameter):
            mark = _mark(resolved, parameter.name)
            params = {**_least(searched.search), parameter.name: value}
            choice = replace(searched.choice, mark=mark)
            try:
                _try(replace(searched, choice=choice), parameter, params, resolved)
            except UserError as error:
                marked = str(error).startswith(f"{mark}: ")
                raise UserError(str(error), None if marked else mark) from error
            except (TypeError, ValueError, KeyError) as error:
                raise UserError(f"{parameter.name}: {value!r} is not possible", mark) from error


def _least(search: tuple[Parameter, ...]) -> dict[str, Value]:
    return walk(search, lambda parameter: next(_extremes(parameter)))


def _extremes(parameter: Parameter) -> Iterator[Value]:
    if parameter.kind == "categorical":
        yield from parameter.choices
        return
    for end in (parameter.low, parameter.high):
        yield int(end) if parameter.kind == "int" else float(end)


def _try(
    searched: SearchedMethod, parameter: Parameter, params: dict[str, Value], resolved: Resolved
) -> None:
    name, value = parameter.name, params[parameter.name]
    if name in _SETTING:
        _check_setting(name, value, searched.base.setting)
        return
    if name == _LOSS:
        _ = resolved.registry.losses[str(value)]
        check_combination(resolved.suite, searched.choice, str(value))
        return
    if name.startswith(f"{_LOSS}."):
        for loss in parameter.when.get(_LOSS, (searched.base.loss.name,)):
            searched.loss({_LOSS: loss, name: value})
        return
    choice = replace(searched.choice, methods=searched.methods({name: value}))
    named = resolved.suite.architecture.name
    check_layers(named, resolved.architecture, resolved.info, choice)


def _check_setting(name: str, value: Value, base: Setting) -> None:
    from pydantic import ValidationError

    try:
        SettingEntry.model_validate({**base.to_json(), name: value})
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UserError(f"{name}: got {value!r}; {message[0].lower()}{message[1:]}") from error
