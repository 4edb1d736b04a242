"""The sections of a report: each exhibit's entries of the page, files and LaTeX chapter."""

from __future__ import annotations

import gc
import multiprocessing
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from lipbench.errors import UserError
from lipbench.reporting import booktabs, files, markdown, paper, svg
from lipbench.reporting.exhibit import Exhibit, Figure, Omitted, Sentences, Shown, Table
from lipbench.reporting.style import RC
from lipbench.results.results import Results


@dataclass
class Section:
    """What one exhibit came to."""

    title: str
    part: str
    entries: list[dict[str, Any]] = field(default_factory=list)  # of the page, in order
    omitted: list[str] = field(default_factory=list)  # reasons
    files: dict[str, bytes] = field(default_factory=dict)  # by their path in the report's folder
    chapter: paper.PaperSection = field(default_factory=lambda: paper.PaperSection(""))


@contextmanager
def drawn(
    exhibits: Sequence[Exhibit], results: Results, processes: int = 1
) -> Iterator[Iterable[Section]]:
    """Give the section of each exhibit, in their order, drawn by so many processes meanwhile.

    Processes are forked, since results can be as large as memory allows: where the system cannot
    (Windows), where it is not safe (macOS, several threads), or for 1, it is this process, when
    the sections are asked for. Raises UserError where one is killed.
    """
    forks = sys.platform == "linux" and threading.active_count() == 1
    if processes < 2 or len(exhibits) < 2 or not forks:
        yield (section(exhibit, results) for exhibit in exhibits)
        return
    with _old_objects_left_alone():
        pool = ProcessPoolExecutor(
            min(processes, len(exhibits)),
            multiprocessing.get_context("fork"),
            initializer=_take,
            initargs=(exhibits, results),  # never pickled, since a fork has them
        )
        try:
            with pool:
                yield pool.map(_taken_section, range(len(exhibits)))
        except BrokenProcessPool as error:
            raise UserError(
                "a process that drew the report was killed, as the system does where memory runs "
                "out; an earlier report is untouched"
            ) from error


def section(exhibit: Exhibit, results: Results) -> Section:
    """Return an exhibit's section; raise ValueError where two of its results share a file name."""
    import matplotlib

    made = Section(exhibit.title, exhibit.part, chapter=paper.PaperSection(exhibit.title))
    with matplotlib.rc_context(RC):
        for result in exhibit.show(results):
            match result:
                case Omitted():
                    made.omitted.append(result.reason)
                case Sentences():
                    made.entries.append({"kind": "Sentences", "texts": result.texts})
                    made.chapter.texts.extend(result.texts)
                case Table():
                    _add(made, result, *_table(result))
                    made.chapter.tables.append((result.name, str(made.entries[-1]["latex"])))
                case Figure():
                    *entry, picture = _figure(result)
                    _add(made, result, *entry)
                    made.chapter.pictures.append(picture)
    return made


def _add(
    made: Section, result: Table | Figure, entry: dict[str, Any], written: dict[str, bytes]
) -> None:
    if clash := made.files.keys() & written.keys():
        raise ValueError(f"{made.title}: a second result writes {sorted(clash)}")
    made.files |= written
    common = {
        "kind": type(result).__name__,
        "caption": result.caption,
        "notes": result.notes,
    }
    made.entries.append(common | entry)


def _table(table: Table) -> tuple[dict[str, Any], dict[str, bytes]]:
    align = table.align or "l" + "r" * (len(table.columns) - 1)
    rows = [[e if isinstance(e, Shown) else Shown(e) for e in row] for row in table.rows]
    entry = {
        "columns": table.columns,
        "align": align,
        "rows": rows,
        "latex": booktabs.table(table, align, rows),
    }
    stem = f"tables/{table.name}"
    return entry, {
        f"{stem}.csv": table.raw.to_csv(index=False).encode(),
        f"{stem}.md": markdown.table(table, align, rows).encode(),
    }


def _figure(figure: Figure) -> tuple[dict[str, Any], dict[str, bytes], paper.PaperFigure]:
    drawing = figure.drawing
    pixels = files.png(drawing)
    engine = drawing.get_layout_engine()
    drawing.set_layout_engine("none")  # it is laid out now
    vector = svg.svg(drawing, figure.name)
    inches = drawing.get_size_inches()[0]
    entry = {
        "svg": vector,
        "narrowest": round(80 * inches),  # pixels; below it the page scrolls the figure
        "widest": round(125 * inches),
    }
    stem = f"figures/{figure.name}"
    if figure.column:
        paper.at_column_width(drawing, engine)
    pdf = files.pdf(drawing)
    written = {f"{stem}.png": pixels, f"{stem}.svg": vector.encode(), f"{stem}.pdf": pdf}
    if figure.raw is not None:
        written[f"{stem}.csv"] = figure.raw.to_csv(index=False).encode()
    size = map(float, drawing.get_size_inches())
    return entry, written, paper.PaperFigure(figure.name, figure.caption, figure.notes, pdf, *size)


@contextmanager
def _old_objects_left_alone() -> Iterator[None]:
    """Keep the garbage collector from what is there: it would copy the results in each fork."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


_taken: tuple[Sequence[Exhibit], Results]


def _take(exhibits: Sequence[Exhibit], results: Results) -> None:
    """Keep, in a forked process, the exhibits and what they are about."""
    global _taken
    _taken = exhibits, results


def _taken_section(number: int) -> Section:
    exhibits, results = _taken
    return section(exhibits[number], results)
