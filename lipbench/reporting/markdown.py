"""Write a table as Markdown that shows every text as it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lipbench.reporting.exhibit import Shown, Table

_MEANT = re.compile(r"[\\`*_{}\[\]<>|~$&]")  # emphasis, code, links, HTML, columns, mathematics
_OF_A_LINE = re.compile(r"^(#|[-+=](?=\s|[-+=]|$)|\d+(?=[.)]))")  # headings, lists, rules
_RULES = {"l": ":--", "c": ":-:", "r": "--:"}


def escaped(text: str) -> str:
    r"""Return a text on one line, in which no character has a meaning in Markdown.

    >>> escaped("a_b | [x](y)")
    'a\\_b \\| \\[x\\](y)'
    """
    return _MEANT.sub(r"\\\g<0>", " ".join(text.split()))


def paragraph(text: str) -> str:
    """Return a text as a paragraph: it begins no heading, list or rule."""
    text = escaped(text)
    start = _OF_A_LINE.match(text)
    if start is None:
        return text
    end = start.end()
    return f"{text[:end]}\\{text[end:]}" if text[0].isdigit() else f"\\{text}"


def table(shown: Table, align: str, rows: Sequence[Sequence[Shown]]) -> str:
    """Return a table's Markdown, its caption above and its notes below."""
    lines = [
        [escaped(column) for column in shown.columns],
        [_RULES[letter] for letter in align],
        *[[_entry(entry) for entry in row] for row in rows],
    ]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    caption = f"**{escaped(shown.caption)}**"
    return "\n\n".join([caption, body, *map(paragraph, shown.notes)]) + "\n"


def _entry(shown: Shown) -> str:
    text = escaped(shown.text + shown.mark)
    text = f"**{text}**" if shown.best else text
    return f"{text} ({escaped(shown.detail)})" if shown.detail else text
