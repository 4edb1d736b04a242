"""The fields of a dataclass that a suite can set, with types, ranges and defaults.

Methods and losses are such dataclasses. Imports no torch.
"""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

_BOUNDS = {
    "exclusiveMinimum": ">",
    "minimum": ">=",
    "exclusiveMaximum": "<",
    "maximum": "<=",
}
_TYPES = {"number": "float", "integer": "int", "boolean": "bool", "string": "str"}


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
    """Return what checks and describes the fields of a method or loss."""
    return TypeAdapter(cls)


def hyperparameters(cls: type[Any]) -> list[Hyperparameter]:
    """Return the fields of a method or loss with their types, ranges and defaults."""
    schema = adapter(cls).json_schema()  # type: ignore[arg-type]
    defaults = {field.name: field.default for field in dataclasses.fields(cls)}
    return [
        Hyperparameter(name, _type(about), _default(defaults[name]))
        for name, about in schema.get("properties", {}).items()
    ]


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
