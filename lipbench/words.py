"""Numbers in sentences."""

from __future__ import annotations

from collections.abc import Sequence


def counted(number: float, noun: str, plural: str | None = None) -> str:
    """Return a number and its noun, in the plural where it is not 1: by default with an s.

    >>> counted(1, "run"), counted(1200, "run"), counted(2, "search", "searches")
    ('1 run', '1,200 runs', '2 searches')
    >>> counted(0.5, "hour"), counted(1.0, "hour")
    ('0.5 hours', '1 hour')
    """
    shown = f"{number:,}" if isinstance(number, int) else f"{number:,.10g}"
    return f"{shown} {noun if number == 1 else plural or f'{noun}s'}"


def a(noun: str) -> str:
    """Return a noun with its article.

    >>> a("loss"), a("architecture")
    ('a loss', 'an architecture')
    """
    return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"


def are(number: int) -> str:
    """Return the verb of so many things.

    >>> are(0), are(1), are(2)
    ('are', 'is', 'are')
    """
    return "is" if number == 1 else "are"


def were(number: int) -> str:
    """Return the past verb of so many things.

    >>> were(0), were(1), were(2)
    ('were', 'was', 'were')
    """
    return "was" if number == 1 else "were"


def listed(parts: Sequence[str], word: str = "and") -> str:
    """Return parts of a sentence with commas and an `and`; nothing for none.

    >>> listed(["a"]), listed(["a", "b"], "or"), listed(["a", "b", "c"])
    ('a', 'a or b', 'a, b and c')
    """
    *first, last = parts or [""]
    return f"{', '.join(first)} {word} {last}" if first else last
