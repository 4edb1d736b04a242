"""What a user can get wrong: one exception, printed as one or two lines, exit code 2."""

from __future__ import annotations

import contextlib
import difflib
import errno
import inspect
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

# What the system says where a disk is full, or a folder cannot be made or written: users' matters.
STORAGE_ERRORS = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
        errno.ENOTDIR,
        errno.EEXIST,
    }
)


_MANY = 20  # names, of which a message with a near one lists none
_LISTED = 30  # names at most in a message


@dataclass(frozen=True)
class Mark:
    """Where a value was written: a file and its line, or a command-line option."""

    source: str
    line: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


class UserError(Exception):
    """A mistake that the user can mend; its message says where, what was given, what is possible.

    Programming errors are not UserErrors: they crash with their traceback.
    """

    def __init__(self, message: str, mark: Mark | None = None) -> None:
        super().__init__(message if mark is None else f"{mark}: {message}")


def place_of(function: Callable[..., object]) -> Mark:
    """Return where a function is defined."""
    code = inspect.unwrap(function).__code__
    return Mark(code.co_filename, code.co_firstlineno)


@contextlib.contextmanager
def blaming(function: Callable[..., object], for_what: str = "") -> Iterator[None]:
    """Tell of what a plugin's function raises as a mistake in its file, with its line.

    UserErrors pass, and so does what a function of lipbench's own raises: that is no user's.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if function.__module__.partition(".")[0] == __package__:
            raise
        place = place_of(function)
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == place.source]
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}".rstrip(": ")
        raise UserError(
            f"{function.__name__} fails{for_what}: {reason}",
            Mark(place.source, lines[-1] if lines else place.line),
        ) from error


def shortened(value: object, length: int = 80) -> str:
    """Return the repr of a value, cut to a length: a message repeats no page of text.

    >>> shortened("a" * 100, 12)
    "'aaaaaaaa..."
    """
    text = repr(value)
    return text if len(text) <= length else f"{text[: length - 3]}..."


def unknown(kind: str, name: object, known: Iterable[str]) -> str:
    """Return the sentence for a name that does not exist, with the nearest one that does.

    Capitals do not count in what is near. Of many names none is listed where one is near, and
    else the first thirty.

    >>> unknown("method", "sgd", ["adam", "sdg"])
    "no method called 'sgd'; did you mean 'sdg'? There are adam, sdg"
    >>> unknown("method", "ADAN", ["adam"])
    "no method called 'ADAN'; did you mean 'adam'? There are adam"
    """
    known = sorted(known)
    folded = {other.casefold(): other for other in reversed(known)}
    near = [folded[n] for n in difflib.get_close_matches(str(name).casefold(), folded, n=1)]
    if near and len(known) > _MANY:
        return f"no {kind} called {shortened(str(name))}; did you mean {near[0]!r}?"
    hint = f"did you mean {near[0]!r}? There are" if near else "there are"
    more = f" and {len(known) - _LISTED:,} more" if len(known) > _LISTED else ""
    listed = ", ".join(known[:_LISTED]) or "none"
    return f"no {kind} called {shortened(str(name))}; {hint} {listed}{more}"
