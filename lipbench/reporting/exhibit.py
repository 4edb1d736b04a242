"""What an exhibit is, and the tables and figures that it yields."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import pandas as pd

from lipbench.plugins import Registry
from lipbench.results.results import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


Part = Literal["answer", "evidence", "lipschitz and cost", "everything"]
PARTS: tuple[Part, ...] = ("answer", "evidence", "lipschitz and cost", "everything")


_ABOUT = {
    "title": "the heading of its section, a text",
    "order": "its place within its part, a number",
    "part": f"one of {', '.join(PARTS)}",
    "reads": "runs or trials",
}


@dataclass(frozen=True)
class Sentences:
    """Plain sentences, the caveats first."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Shown:
    """One entry of a table: its text, a mark that refers to a note, and small print.

    `runs` are the ids of the runs that it is of, which the page leads to.
    """

    text: str
    mark: str = ""
    detail: str = ""
    best: bool = False
    muted: bool = False
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table as it is read (`rows`) and as numbers (`raw`, which becomes the CSV file)."""

    name: str  # of its files
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Shown | str, ...], ...]
    raw: pd.DataFrame
    notes: tuple[str, ...] = ()
    align: str = ""  # l, c or r for each column; by default l and then r


@dataclass(frozen=True)
class Figure:
    """A drawing, what to know about it, and its numbers (`raw`, which become a CSV file)."""

    name: str  # of its files
    caption: str
    drawing: Drawing
    notes: tuple[str, ...] = ()
    raw: pd.DataFrame | None = None  # None where a table of the report has them
    column: bool = False  # legible at 3.25 inches, a paper's column, where it is laid out again


@dataclass(frozen=True)
class Omitted:
    """What a report does not show, and why."""

    reason: str


class Exhibit(ABC):
    """One section of a report: a file in `reports/` defines one subclass.

    It yields sentences, tables and figures, or says why it has none. Sections are sorted by part,
    and by `order` within it; one that yields nothing at all is no section.
    """

    title: ClassVar[str]
    order: ClassVar[int]
    part: ClassVar[Part] = "evidence"
    reads: ClassVar[Literal["runs", "trials"]] = "runs"  # no section where a study has no run yet

    @classmethod
    def refuse_traps(cls) -> None:
        """Raise TypeError for a class that is no section yet, as when its file is loaded."""
        told = {
            "title": isinstance(getattr(cls, "title", None), str),
            "order": isinstance(getattr(cls, "order", None), (int, float)),
            "part": cls.part in PARTS,
            "reads": cls.reads in ("runs", "trials"),
        }
        for name, good in told.items():
            if not good:
                given = f", not {getattr(cls, name)!r}" if hasattr(cls, name) else ""
                raise TypeError(f"{cls.__name__} needs {name}: {_ABOUT[name]}{given}")
        if cls.show is Exhibit.show:
            raise TypeError(f"{cls.__name__} does not define show")

    @abstractmethod
    def show(self, results: Results) -> Iterable[Sentences | Table | Figure | Omitted]:
        """Yield what the results show; they may be unfinished, or have no completed run at all."""


def exhibits(files: Iterable[Path] = ()) -> list[Exhibit]:
    """Return the installed exhibits, and those of a user's own files, in a report's order."""
    plugins = Registry("reports", files).plugins.values()
    found: list[Exhibit] = [plugin.load(Exhibit)() for plugin in plugins]
    return sorted(found, key=lambda e: (PARTS.index(e.part), e.order, e.title))
