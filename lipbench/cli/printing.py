"""What commands print: tables without a terminal's limits when piped. Part of `cli`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from lipbench.urls import masked

if TYPE_CHECKING:
    from rich.table import Table


_PIPED_WIDTH = 400
_LISTED_SEEDS = 20


def say(text: str, error: bool = False) -> None:
    """Print now, to the standard output or that of errors; no secret of a URL is printed."""
    print(masked(text), file=sys.stderr if error else sys.stdout, flush=True)


def show_notes(notes: Iterable[str]) -> None:
    """Print notes on the dataset, a line each."""
    for note in notes:
        say(f"dataset: {note}")


def aside(really: bool = True) -> contextlib.AbstractContextManager[Any]:
    """Print within as errors are: a plugin's own prints must not get into a command's JSON."""
    return contextlib.redirect_stdout(sys.stderr) if really else contextlib.nullcontext()


def flush() -> None:
    """Print what waits to be printed, now, unless nobody reads any more (`| head`)."""
    try:
        sys.stdout.flush()
    except OSError:
        _discard(sys.stdout)


def _discard(stream: TextIO) -> None:
    """Let a stream print nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class Output:
    """A stream for a sweep, which gets the signal of a terminal's end when the reader is gone.

    So `lipbench run | head` is saved and stops, and under `nohup` it goes on.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write as the stream does."""
        with self._until_gone():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush as the stream does."""
        with self._until_gone():
            self._stream.flush()

    @contextlib.contextmanager
    def _until_gone(self) -> Iterator[None]:
        try:
            yield
        except OSError:  # a pipe that is closed, a terminal that is gone, a full disk
            _discard(self._stream)
            signal.raise_signal(signal.SIGHUP)


def show(table: Table) -> None:
    """Print a table; what is piped is neither cut to a terminal's width nor padded."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    console = Console(highlight=False, markup=False, width=width)
    with console.capture() as captured:
        console.print(table)
    say("\n".join(line.rstrip() for line in captured.get().splitlines()))


def table_of(*headings: str) -> Table:
    """Return a table with one line a row."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    return table


def show_facts(rows: Mapping[str, Iterable[str]]) -> None:
    """Print headings with one or more lines each; none where it has no line."""
    for heading, lines in rows.items():
        for index, line in enumerate(lines):
            say(hanging("" if index else heading, line))


def hanging(heading: str, text: str) -> str:
    """Return a heading and its text: on a terminal wrapped beside it, piped in one line."""
    import shutil
    import textwrap

    if not sys.stdout.isatty():
        return f"{heading:17}{text}"
    width = shutil.get_terminal_size().columns
    return textwrap.fill(text, width, initial_indent=f"{heading:17}", subsequent_indent=" " * 17)
