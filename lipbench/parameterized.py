"""The fields of a dataclass that a suite can set, with types, ranges and defaults.

Methods, losses, datasets and measures are such dataclasses. Imports no torch.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from lipbench.errors import UserError, shortened, unknown

Kind = TypeVar("Kind")

_BOUNDS = {
    "exclusiveMinimum": ">",
    "minimum": ">=",
    "exclusiveMaximum": "<",
    "maximum": "<=",
}
_TYPES = {"number": "float", "integer": "int", "boolean": "bool", "string": "str"}


class ParameterError(UserError):
    """A parameter that a plugin does not take; `key` is its name, if it is a single one."""

    def __init__(self, message: str, key: str | None) -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True)
class Hyperparameter:
    """A field that a suite can set: its type with its range, and its default."""

    name: str
    type: str
    default: str

    def __str__(self) -> str:
        """Return it as people read it: `coefficient: float >= 0, default 10.0`."""
        return f"{self.name}: {self.type}, default {self.default}"


@functools.cache
def adapter(cls: type[Any]) -> TypeAdapter[Any]:
    """Return what checks and describes the fields of a plugin's class.

    Raises TypeError for a field whose annotation is no type that can be checked.
    """
    try:
        made = TypeAdapter(cls)
        if not made.pydantic_complete:
            made.rebuild()
    except (PydanticUserError, NameError) as error:
        reason = str(error).partition("\n")[0]
        raise TypeError(f"{cls.__name__}: its fields cannot be checked: {reason}") from error
    return made


def hyperparameters(cls: type[Any]) -> list[Hyperparameter]:
    """Return the fields of a plugin with their types, ranges and defaults."""
    schema = adapter(cls).json_schema()  # type: ignore[arg-type]
    defaults = {field.name: field.default for field in dataclasses.fields(cls)}
    return [
        Hyperparameter(name, _type(about), _default(defaults[name]))
        for name, about in schema.get("properties", {}).items()
    ]


def checked(cls: type[Kind], params: Mapping[str, Any], what: str, kind: str) -> Kind:
    """Return a dataclass of these values, checked against its types and ranges."""
    fields = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for param in params:
        if param not in fields:
            raise ParameterError(f"{what}: {unknown(kind, param, fields)}", param)
    try:
        # As JSON: pydantic's strict mode takes a dataclass's fields from nothing else.
        validator: TypeAdapter[Kind] = adapter(cls)  # type: ignore[arg-type]
        return validator.validate_json(json.dumps(params, default=str))
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else None
        where = key or "its values together"
        message = first["msg"][0].lower() + first["msg"][1:]
        told = f"{what}: {where}: got {shortened(first['input'])}; {message}"
        raise ParameterError(told, key) from error


def refuse_traps(cls: type[Any], base: type[Any], functions: tuple[str, ...]) -> None:
    """Raise TypeError for what of a class would be told late, or be passed over in silence.

    `functions` are those of the base that the class must define, with the same parameters.
    """
    for name in functions:
        _refuse_function(cls, base, name)
    _refuse_fields(cls, base)
    if not isinstance(cls.papers, tuple):
        raise TypeError(
            f'{cls.__name__}.papers should be a tuple of strings, such as ("key",), not '
            f"{cls.papers!r}"
        )
    adapter(cls)  # type: ignore[arg-type]


def _refuse_function(cls: type[Any], base: type[Any], name: str) -> None:
    """Refuse a class that leaves a function to its base, or gives it other parameters."""
    function = inspect.unwrap(getattr(cls, name))
    if function is getattr(base, name):
        near = difflib.get_close_matches(name, vars(cls), n=1)
        hint = f"; is {near[0]!r} meant to be it?" if near else ""
        raise TypeError(f"{cls.__name__} does not define {name}{hint}")
    takes = tuple(inspect.signature(getattr(base, name)).parameters)
    try:
        inspect.signature(function).bind(*takes)
    except TypeError as error:
        raise TypeError(f"{cls.__name__}.{name} should take ({', '.join(takes)})") from error


def _refuse_fields(cls: type[Any], base: type[Any]) -> None:
    """Refuse what a dataclass would pass over: values without annotation, no decorator."""
    annotated = inspect.get_annotations(cls)
    known = {
        name for each in base.__mro__ for name in (*vars(each), *inspect.get_annotations(each))
    }
    for name, value in vars(cls).items():
        is_value = (
            not name.startswith("_") and not callable(value) and not hasattr(value, "__get__")
        )
        if is_value and name not in annotated and name not in known:
            raise TypeError(
                f"{cls.__name__}.{name} has no annotation, so no suite could set it; write "
                f"`{name}: {type(value).__name__} = {value!r}`, or _{name} for a constant"
            )
    fields = [name for name, about in annotated.items() if "ClassVar" not in str(about)]
    if fields and "__dataclass_params__" not in vars(cls):
        raise TypeError(
            f"{cls.__name__} has the field {fields[0]} and is no dataclass; write "
            "@dataclass(frozen=True) above it"
        )


def _default(value: object) -> str:
    """Return a default as text; what is off is `null` in a suite's file."""
    return "null" if value is None else str(value)


def _type(about: dict[str, Any]) -> str:
    if "enum" in about:
        return " | ".join(map(str, about["enum"]))
    if "anyOf" in about:
        return " | ".join(_type(part) for part in about["anyOf"])
    kind = _TYPES.get(about.get("type", ""), about.get("type", "any"))
    limits = [f"{sign} {about[key]:g}" for key, sign in _BOUNDS.items() if key in about]
    return f"{kind} {' and '.join(limits)}" if limits else kind
