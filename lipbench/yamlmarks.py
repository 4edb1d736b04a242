"""Read YAML 1.2 (its core schema) strictly and within bounds, with the line of each value."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

from lipbench.errors import Mark, UserError, shortened

Keys = tuple[str | int, ...]

_MOST_BYTES = 1_000_000  # of a file: PyYAML reads about 100 kB a second
_MOST_VALUES = 100_000  # of a document, each alias being the values that it stands for
_MOST_LEVELS = 100  # of lists and mappings in one another
_INTEGERS = range(-(2**63), 2**63)

_TAG = "tag:yaml.org,2002:"
_TRUE, _FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
# https://yaml.org/spec/1.2.2/#103-core-schema, in its order: the first form that fits counts.
_FORMS = {
    "null": re.compile(r"null|Null|NULL|~|"),
    "bool": re.compile("|".join(_TRUE + _FALSE)),
    "int": re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
    "float": re.compile(
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
    ),
    "str": re.compile(r".*", re.DOTALL),
}
# Those that YAML does not take, also where an escape such as "\0" writes them.
_STRANGE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Loader(Reader, Scanner, Parser, Composer):
    """PyYAML's nodes, with the core schema's tags, and of at most some levels."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        self.levels = self.nodes = 0

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        """Return the next node. Raises MarkedYAMLError for one too many or too deep."""
        event = self.peek_event()
        if self.levels > _MOST_LEVELS:
            problem = f"more than {_MOST_LEVELS} lists and mappings stand in one another"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        self.nodes += 1
        if self.nodes > 2 * _MOST_VALUES:  # with the keys of mappings
            problem = f"more than {_MOST_VALUES:,} values"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        if isinstance(event, yaml.ScalarEvent) and event.tag == "!":  # a string, by YAML 1.2
            event.implicit = (False, True)
        self.levels += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self.levels -= 1
        return node

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: tuple[bool, bool]) -> str:
        """Return the tag of a node that has none."""
        if kind is not yaml.ScalarNode:
            return _TAG + ("seq" if kind is yaml.SequenceNode else "map")
        if not implicit[0]:  # quoted
            return f"{_TAG}str"
        return _TAG + next(tag for tag, form in _FORMS.items() if form.fullmatch(value))

    def descend_resolver(self, *_: Any) -> None:
        """Do nothing: tags do not depend on paths."""

    def ascend_resolver(self) -> None:
        """Do nothing: tags do not depend on paths."""


@dataclass
class Document:
    """A YAML document as plain values, and the place of each by its path in them."""

    data: Any
    source: str
    marks: dict[Keys, Mark] = field(default_factory=dict)
    laid_over: bool = False  # whether `lay_over` has changed the values

    def mark(self, path: Keys) -> Mark:
        """Return where the value at a path, or the nearest one that holds it, was written."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.marks:
                return self.marks[path[:length]]
        return Mark(self.source)

    def set(self, assignment: str) -> None:
        """Apply `key.path=value`, the value being YAML. Raises UserError where it can't be."""
        key, separator, text = assignment.partition("=")
        mark = Mark(f"--set {_brief(assignment)}")
        keys = key.split(".")
        if not separator or "" in keys:
            raise UserError("write it as key.path=value", mark)
        if len(keys) > _MOST_LEVELS:
            raise UserError(f"the key has {len(keys):,} parts; at most {_MOST_LEVELS}", mark)
        if _STRANGE.search(key):
            raise UserError("the key has a control character", mark)
        value = parse(text, mark)
        parent: Any = self.data
        path: Keys = ()
        for step in keys[:-1]:
            at = _place(parent, step, mark)
            path = (*path, at)
            child = parent[at] if isinstance(parent, list) else parent.get(at)
            if isinstance(child, str):  # `dataset: digits` is short for `dataset: {name: digits}`
                child = {"name": child}
            if child is None:
                child, self.marks[path] = {}, mark
            parent[at] = child
            parent = child
        at = _place(parent, keys[-1], mark)
        path = (*path, at)
        parent[at] = value
        self._forget(path)
        self.marks[path] = mark

    def lay_over(self, key: str) -> None:
        """Take the mapping at a key out, and merge it into the mapping that held it.

        Two mappings merge key by key, unless they have different names; all else is replaced.
        Each value keeps the place where it was written.
        """
        overlay = self.data.pop(key)
        places = {path[1:]: mark for path, mark in self.marks.items() if path[:1] == (key,)}
        self._forget((key,))
        self._merge(self.data, overlay, (), places)
        self.laid_over = True

    def _merge(
        self, below: dict[str, Any], above: dict[str, Any], path: Keys, places: dict[Keys, Mark]
    ) -> None:
        for key, value in above.items():
            under, at = below.get(key), (*path, key)
            if isinstance(under, dict) and isinstance(value, dict) and _one_name(under, value):
                self._merge(under, value, at, places)
                continue
            below[key] = value
            self._forget(at)
            self.marks |= {known: m for known, m in places.items() if known[: len(at)] == at}

    def _forget(self, path: Keys) -> None:
        """Forget the places of a value and of what it holds."""
        self.marks = {known: at for known, at in self.marks.items() if known[: len(path)] != path}


def _one_name(below: dict[str, Any], above: dict[str, Any]) -> bool:
    """Return whether a mapping over another one is of the same thing."""
    return "name" not in above or above["name"] == below.get("name")


def _brief(text: str) -> str:
    """Return an option's text as it is where it is short, else the start of it."""
    short = text if len(text) <= 80 else f"{text[:77]}..."
    return short if short.isprintable() else repr(short)


def _place(parent: Any, step: str, mark: Mark) -> Any:
    """Return the key or index that a part of a key is. Raises UserError where there is none."""
    if isinstance(parent, dict):
        return step
    if isinstance(parent, list) and re.fullmatch("[0-9]{1,9}", step) and int(step) < len(parent):
        return int(step)
    has = f"a list of {len(parent)}, from 0 on" if isinstance(parent, list) else shortened(parent)
    raise UserError(f"there is no place {_brief(step)} to set in {has}", mark)


def read(path: Path) -> Document:
    """Read a file; raise UserError, with its line, for what is not YAML or stands there twice."""
    mark = Mark(str(path))
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):  # opening a pipe would wait for its writer
            raise UserError("cannot be read (it is not a regular file)", mark)
        if facts.st_size > _MOST_BYTES:
            raise UserError(f"has {facts.st_size:,} bytes; at most {_MOST_BYTES:,}", mark)
        written = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        raise UserError(f"cannot be read ({error})", mark) from error
    try:
        text = written.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = written.count(b"\n", 0, error.start) + 1
        raise UserError("is not UTF-8 text", Mark(str(path), line)) from error
    return _parse(text, mark)


def parse(text: str, mark: Mark) -> Any:
    """Return an option's value. Raises UserError, at the mark, for what is not YAML."""
    return _parse(text, mark, lines=False).data


def _parse(text: str, mark: Mark, lines: bool = True) -> Document:
    document = Document(None, mark.source)
    building = _Building(document, lines)
    document.marks[()] = building.mark(0)  # of an empty document
    strange = _STRANGE.search(text)
    if strange:
        place = building.mark(text.count("\n", 0, strange.start()))
        raise UserError(f"has the control character {strange.group()!a}", place)
    loader = _Loader(text)
    try:
        node = loader.get_node() if loader.check_node() else None
        if node is not None:
            document.data = building.value(node, ())
        if loader.check_node():
            place = building.mark(loader.line)
            raise UserError("a second document stands here; write one", place)
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the escape "\UFFFFFFFF"
        at = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        place = building.mark(at.line if at else loader.line)
        raise UserError(f"not valid YAML: {_brief(problem)}", place) from error
    return document


class _Building:
    """The values of nodes, each alias a copy of its own, and their places, for one document."""

    def __init__(self, document: Document, lines: bool) -> None:
        self.document, self.lines = document, lines
        self.count = 0
        self.above: list[yaml.Node] = []  # that hold the node in hand

    def mark(self, line: int) -> Mark:
        """Return the place of a line, which PyYAML counts from 0."""
        return Mark(self.document.source, line + 1 if self.lines else None)

    def value(self, node: yaml.Node, path: Keys) -> Any:
        """Return a node's value, and note the places of what it holds."""
        mark = self.document.marks[path] = self.mark(node.start_mark.line)
        self.count += 1
        if self.count > _MOST_VALUES:
            raise UserError(f"with its aliases it has more than {_MOST_VALUES:,} values", mark)
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node, mark)
        if any(node is holder for holder in self.above):
            raise UserError("an alias stands within the value that it names", mark)
        if len(self.above) >= _MOST_LEVELS:
            problem = f"more than {_MOST_LEVELS} lists and mappings stand in one another"
            raise UserError(problem, mark)
        known = _TAG + ("seq" if isinstance(node, yaml.SequenceNode) else "map")
        if node.tag not in (known, "!"):
            raise UserError(f"the tag {_shown(node.tag)} does not fit this value", mark)
        self.above.append(node)
        if isinstance(node, yaml.SequenceNode):
            built: Any = [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
        else:
            built = self.mapping(node, path)
        self.above.pop()
        return built

    def mapping(self, node: yaml.Node, path: Keys) -> dict[str, Any]:
        """Return a mapping's values by their names. Raises UserError for what is no name."""
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            mark = self.mark(key_node.start_mark.line)
            if not isinstance(key_node, yaml.ScalarNode):
                raise UserError("a key must be a name", mark)
            key = _scalar(key_node, mark)
            if not isinstance(key, str):
                given = shortened(key_node.value)
                raise UserError(f"a key must be a name, not {given} without quotes", mark)
            if key in found:
                raise UserError(f"{shortened(key)} stands here twice", mark)
            found[key] = self.value(value_node, (*path, key))
            self.document.marks[(*path, key)] = mark
        return found


def _shown(tag: str) -> str:
    """Return a tag as files have it, `!!int`, cut to a length."""
    return _brief(f"!!{tag.removeprefix(_TAG)}" if tag.startswith(_TAG) else tag)


def _scalar(node: yaml.ScalarNode, mark: Mark) -> Any:
    """Return a scalar's value. Raises UserError for one that is not of its tag's form."""
    text, tag = node.value, node.tag.removeprefix(_TAG)
    if not node.tag.startswith(_TAG) or tag not in _FORMS:
        known = ", ".join(f"!!{name}" for name in _FORMS)
        raise UserError(f"the tag {_shown(node.tag)} is not one of {known}", mark)
    strange = _STRANGE.search(text)
    if strange:
        raise UserError(f"has the control character {strange.group()!a}", mark)
    whole = tag == "float" and _FORMS["int"].fullmatch(text)  # `!!float 1`
    if not (_FORMS[tag].fullmatch(text) or whole):
        raise UserError(f"{shortened(text)} is no !!{tag}", mark)
    if tag == "int" or whole:
        number = _integer(text, mark)
        return float(number) if whole else number
    if tag == "float":
        return float(re.sub(r"\.(?=inf|nan)", "", text.lower()))
    return {"null": None, "bool": text in _TRUE, "str": text}[tag]


def _integer(text: str, mark: Mark) -> int:
    """Return a whole number: 010 is ten, 0o10 is eight. Raises UserError for more than 64 bits."""
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    digits = text[2:] if base != 10 else text
    # 30 digits are more than 64 bits in each base, and Python reads no more than 4300.
    number = int(digits, base) if len(digits.lstrip("+-0")) <= 30 and len(digits) < 4000 else None
    if number is None or number not in _INTEGERS:
        raise UserError(f"{_brief(text)} is a whole number of more than 64 bits", mark)
    return number
