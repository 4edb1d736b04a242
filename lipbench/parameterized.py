"""The fields of a dataclass that a suite can set, with types, ranges and defaults.

Methods, losses, datasets and measures are such dataclasses. Imports no torch.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

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
    """Return what checks and describes the fields of a plugin."""
    return TypeAdapter(cls)


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
