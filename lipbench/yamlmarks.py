"""Read YAML strictly, remembering on which line each value stands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lipbench.errors import Mark, UserError

Keys = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """YAML 1.2's numbers and booleans: PyYAML alone reads `1e-4` as a string and `no` as False."""

    yaml_implicit_resolvers: dict[str, Any] = {  # noqa: RUF012 - as PyYAML declares it
        first: [
            (tag, regexp) for tag, regexp in resolvers if "float" not in tag and "bool" not in tag
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|^[-+]?\.(inf|Inf|INF)$"),
    list("-+0123456789."),
)
# Integers look like such floats too: their resolver, added before, must come first.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


@dataclass
class Document:
    """A YAML document as plain values, and the place of each by its path in them."""

    data: Any
    source: str
    marks: dict[Keys, Mark] = field(default_factory=dict)

    def mark(self, path: Keys) -> Mark:
        """Return where the value at a path, or the nearest one that holds it, was written."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.marks:
                return self.marks[path[:length]]
        return Mark(self.source)

    def set(self, assignment: str) -> None:
        """Apply `key.path=value`, the value being YAML. Raises UserError where it can't be."""
        key, separator, text = assignment.partition("=")
        mark = Mark(f"--set {assignment}")
        if not separator or not key:
            raise UserError("write it as key.path=value", mark)
        path = tuple(int(part) if part.isdigit() else part for part in key.split("."))
        parent = self.data
        for depth, step in enumerate(path[:-1], start=1):
            child = _get(parent, step)
            if isinstance(child, str):  # `dataset: digits` is short for `dataset: {name: digits}`
                child = {"name": child}
            if child is None:
                child, self.marks[path[:depth]] = {}, mark
            parent = _put(parent, step, child, mark)
        _put(parent, path[-1], _parse(text, mark, lines=False).data, mark)
        self.marks = {known: at for known, at in self.marks.items() if known[: len(path)] != path}
        self.marks[path] = mark


def _get(parent: Any, step: str | int) -> Any:
    if isinstance(parent, list):
        return parent[step] if isinstance(step, int) and step < len(parent) else None
    return parent.get(step) if isinstance(parent, dict) else None


def _put(parent: Any, step: str | int, value: Any, mark: Mark) -> Any:
    fits = isinstance(parent, dict) or (
        isinstance(parent, list) and isinstance(step, int) and step < len(parent)
    )
    if not fits:
        raise UserError(f"there is no place {step!r} to set", mark)
    parent[step] = value
    return value


def read(path: Path) -> Document:
    """Read a file; raise UserError, with its line, for what is not YAML or stands there twice."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read ({error})", Mark(str(path))) from error
    return _parse(text, Mark(str(path)))


def _parse(text: str, mark: Mark, lines: bool = True) -> Document:
    document = Document(None, mark.source)
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is not None:
            document.data = _build(loader, node, (), document)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: the date 2024-13-45
        at = getattr(error, "problem_mark", None)
        line = at.line + 1 if at and lines else None
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UserError(f"not valid YAML: {problem}", Mark(mark.source, line)) from error
    return document


def _build(loader: _Loader, node: yaml.Node, path: Keys, document: Document) -> Any:
    document.marks[path] = Mark(document.source, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_build(loader, item, (*path, i), document) for i, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        mapping: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node, deep=True)
            mark = Mark(document.source, key_node.start_mark.line + 1)
            if not isinstance(key_node, yaml.ScalarNode):
                raise UserError("a key must be a name", mark)
            if key in mapping:
                raise UserError(f"{key!r} stands here twice", mark)
            mapping[key] = _build(loader, value_node, (*path, key), document)
            document.marks[(*path, key)] = mark
        return mapping
    return loader.construct_object(node, deep=True)
