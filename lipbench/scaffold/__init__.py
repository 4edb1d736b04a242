"""Write a new plugin and its test, from templates that run as they are.

A kind of plugin is a pair of templates beside this file: KIND.py.txt and test_KIND.py.txt. In
them, $name is the plugin's name, $cls its class and $title its name as words. What the first
one's docstring indents are the commands to try it with.
"""

from __future__ import annotations

import ast
import importlib.util
import keyword
import re
from dataclasses import dataclass
from pathlib import Path
from string import Template

from lipbench.errors import UserError, unknown
from lipbench.words import a

_FOLDER = Path(__file__).parent
_SUFFIX = ".py.txt"


@dataclass(frozen=True)
class Written:
    """A new plugin's file, its test's, and commands to try them with."""

    file: Path
    test: Path
    commands: tuple[str, ...]


def kinds() -> list[str]:
    """Return the kinds of plugins that there are templates of, such as "method"."""
    names = [path.name.removesuffix(_SUFFIX) for path in _FOLDER.glob(f"[!_]*{_SUFFIX}")]
    return sorted(name for name in names if not name.startswith("test_"))


def write(kind: str, name: str, folder: Path) -> Written:
    """Write NAME.py and test_NAME.py of a kind to a folder.

    Raises UserError for an unknown kind; a name that Python could not import, that is reserved, or
    that an installed plugin or a module has; and a file that is there already.
    """
    from lipbench import atomic  # which `--help` can do without

    if kind not in kinds():
        raise UserError(unknown("kind of plugin", kind, kinds()))
    _check_name(kind, name)
    file, test = folder / f"{name}.py", folder / f"test_{name}.py"
    for path in (file, test):
        if path.exists():
            raise UserError(f"{path} is there already")
    if importlib.util.find_spec(name):
        raise UserError(f"the name {name!r} is that of a Python module, which the file would hide")
    texts = [(_FOLDER / f"{part}{kind}{_SUFFIX}").read_text("utf-8") for part in ("", "test_")]
    words = {
        "name": name,
        "cls": _class_name(kind, name, "".join(texts)),
        "title": name.replace("_", " ").capitalize(),
    }
    made = [Template(text).substitute(words) for text in texts]
    for path, text in zip((file, test), made, strict=True):
        atomic.replace_text(path, text)
    # A line that ends with a backslash goes on, for Python as for a shell.
    lines = (ast.get_docstring(ast.parse(made[0])) or "").splitlines()
    commands = [" ".join(line.split()) for line in lines if line.startswith("    ")]
    return Written(file, test, tuple(commands))


def _check_name(kind: str, name: str) -> None:
    from lipbench.plugins import RESERVED, Registry, kind_called  # as above

    plain = name.isidentifier() and name == name.lower() and not name.startswith("_")
    if not plain or keyword.iskeyword(name):
        raise UserError(f"{name!r} is not {a(kind)}'s name: write small_letters_and_underscores")
    if name.startswith("test_"):
        raise UserError(f"{name!r} is the name of a test")
    plural = kind_called(kind)
    if name in RESERVED.get(plural, ()):
        raise UserError(f"the name {name!r} is a key of a suite's {plural}")
    if taken := Registry(plural).plugins.get(name):
        raise UserError(f"the name {name!r} is taken by {taken.path} ({taken.origin})")


def _class_name(kind: str, name: str, text: str) -> str:
    """Return the class's name, which is not one that the templates' text has another use for."""
    cls = "".join(part.title() for part in name.split("_"))
    return f"{cls}{kind.title()}" if re.search(rf"\b{cls}\b", text) else cls
