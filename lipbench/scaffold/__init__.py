"""Write a new method and its test, from templates that run as they are."""

from __future__ import annotations

import keyword
from pathlib import Path
from string import Template

from lipbench import atomic
from lipbench.errors import UserError
from lipbench.plugins import RESERVED

_TEMPLATES = {"{}.py": "method.py.txt", "test_{}.py": "test_method.py.txt"}


def write(name: str, folder: Path) -> list[Path]:
    """Write NAME.py and test_NAME.py to a folder, and return their paths.

    Raises UserError for a name that Python could not import or that is reserved, or a file that
    is there already.
    """
    if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower():
        raise UserError(f"{name!r} is not a method's name: write small_letters_and_underscores")
    if name.startswith("test_"):
        raise UserError(f"{name!r} is the name of a test")
    if name in RESERVED["methods"]:
        raise UserError(f"the name {name!r} is a key of a suite's methods")
    paths = {folder / pattern.format(name): text for pattern, text in _TEMPLATES.items()}
    for path in paths:
        if path.exists():
            raise UserError(f"{path} is there already")
    words = {"name": name, "cls": "".join(part.title() for part in name.split("_"))}
    for path, template in paths.items():
        text = Path(__file__).with_name(template).read_text(encoding="utf-8")
        atomic.replace_text(path, Template(text).substitute(words))
    return list(paths)
