"""Write a table as LaTeX that fits a page, with booktabs.

A table is set as large as it fits: in a column, across the page, in smaller type, and at last in
parts that repeat its first column. One with more rows than a page has goes over pages (longtable).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lipbench.reporting.latex import breakable, comments, escaped

if TYPE_CHECKING:
    from lipbench.reporting.exhibit import Shown, Table

COLUMN = 3.25  # inches: a column of a page with two
TEXT = 6.75  # inches: the page's text
_POINTS = 72.27  # an inch
_SEPARATOR = 8.0  # points between two columns
_SIZES = (("small", 9.25), ("footnotesize", 8.5), ("scriptsize", 7.97))  # and its em, in points
_LINES = 44  # of a float; a longer table goes over pages
_WRAPPED = 16.0  # em: a wider text has lines
_HEAD = 8.0  # em: a wider title has two lines


@dataclass(frozen=True)
class Entry:
    """One entry as LaTeX, how wide it is set (em), in how many lines, and with places to break."""

    latex: str
    width: float
    lines: float = 1.0
    broken: str = ""  # where it differs


@dataclass(frozen=True)
class Sheet:
    """A table whose entries are LaTeX: a title, columns, rows and notes."""

    name: str  # of its label
    caption: str  # LaTeX
    align: Sequence[str]  # of each column
    head: tuple[Entry, ...]
    rows: tuple[tuple[Entry, ...], ...]
    notes: tuple[str, ...] = ()  # LaTeX


def table(shown: Table, align: str, rows: Sequence[Sequence[Shown]]) -> str:
    """Return a table's LaTeX with its caption, its notes and the label `tab:<name>`."""
    return write(
        Sheet(
            shown.name,
            escaped(shown.caption),
            align,
            tuple(title(column) for column in shown.columns),
            tuple(tuple(map(_entry, row, align)) for row in rows),
            tuple(breakable(note) for note in shown.notes),
        )
    )


def write(sheet: Sheet) -> str:
    """Return a sheet's LaTeX: a float, or several, or a table over pages."""
    wrapped = _wrapped(sheet)
    size, parts = _fitted(wrapped)
    lines: list[str] = []
    for number, columns in enumerate(parts, 1):
        lines += _part(wrapped, size, columns, number, len(parts))
    return "\n".join([*comments("\n".join(lines)), *_packages(lines), *lines, ""])


def text(content: str) -> Entry:
    """Return a plain text as an entry."""
    return Entry(escaped(content), em(content), broken=breakable(content))


def title(content: str) -> Entry:
    """Return a column's title, in two lines or more where it is wide."""
    words = content.split()
    if em(content) <= _HEAD:
        return text(content)
    cuts = [(" ".join(words[:i]), " ".join(words[i:])) for i in range(1, len(words))]
    lines = min(cuts, key=lambda cut: max(map(em, cut)), default=(content,))
    width = max(map(em, lines))
    if width <= _WRAPPED:
        stacked = r"\\".join(map(escaped, lines))
        return Entry(rf"\begin{{tabular}}[b]{{@{{}}c@{{}}}}{stacked}\end{{tabular}}", width, 2)
    box = rf"\parbox[b]{{{_WRAPPED:g}em}}{{\raggedright {breakable(content)}}}"
    return Entry(box, _WRAPPED, 2 * width / _WRAPPED)


def em(content: str) -> float:
    """Return about how wide a text is in Computer Modern, in em: a little more than it is."""
    return sum(map(_character, content))


def _character(character: str) -> float:
    if not character.isascii():
        return 4.5 if "U+" in escaped(character) else 0.85
    if character in "iljtfr.,;:!|'`()[] ":
        return 0.4
    if character in "mwMW%@&_<>+=^~":
        return 0.9
    return 0.75 if character.isupper() else 0.54


def _entry(shown: Shown, letter: str) -> Entry:
    plain = text(shown.text + shown.mark)
    width = plain.width * (1.15 if shown.best else 1)
    latex, broken = (
        rf"\textbf{{{content}}}" if shown.best else content
        for content in (escaped(shown.text) + escaped(shown.mark), plain.broken)
    )
    if not shown.detail:
        return Entry(latex, width, broken=broken)
    small = rf"{{\tiny {escaped(shown.detail)}}}"
    stacked = rf"\begin{{tabular}}[t]{{@{{}}{letter}@{{}}}}{latex}\\[-3pt]{small}\end{{tabular}}"
    width = max(width, 0.72 * em(shown.detail))
    return Entry(stacked, width, 1.7, rf"{broken} {{\tiny {breakable(shown.detail)}}}")


def _wrapped(sheet: Sheet) -> Sheet:
    """Return the sheet with lines in the entries of text that are too wide for one."""
    rows = [list(row) for row in sheet.rows]
    align = list(sheet.align)
    for column, letter in enumerate(align):
        widths = [row[column].width for row in rows]
        if max(widths, default=0) <= (_WRAPPED if letter == "l" else 1.5 * _WRAPPED):
            continue
        side = {"l": "raggedright", "r": "raggedleft"}.get(letter, "centering")
        align[column] = rf">{{\{side}\arraybackslash}}p{{{_WRAPPED:g}em}}"
        for row in rows:
            entry = row[column]
            lines = max(entry.lines, -(-1.15 * entry.width // _WRAPPED))
            row[column] = Entry(entry.broken or entry.latex, min(entry.width, _WRAPPED), lines)
    return Sheet(
        sheet.name,
        sheet.caption,
        align,
        sheet.head,
        tuple(map(tuple, rows)),
        sheet.notes,
    )


def _widths(sheet: Sheet) -> list[float]:
    columns = [sheet.head, *sheet.rows]
    return [max(row[i].width for row in columns) for i in range(len(sheet.head))]


def _fitted(sheet: Sheet) -> tuple[str, list[list[int]]]:
    """Return the largest type in which a sheet is as wide as the page, and its columns.

    Where even the smallest does not do, the columns are in parts, each with the first one.
    """
    widths = _widths(sheet)
    every = list(range(len(widths)))
    for name, points in _SIZES:
        if _inches(widths, every, points) <= TEXT:
            return name, [every]
    name, points = _SIZES[-1]
    parts: list[list[int]] = []
    for column in every[1:]:
        wider = [*(parts[-1] if parts else [0]), column]
        if parts and _inches(widths, wider, points) <= TEXT:
            parts[-1] = wider
        else:
            parts.append([0, column])
    return name, parts or [every]


def _inches(widths: Sequence[float], columns: Sequence[int], points: float) -> float:
    return sum(widths[i] * points + _SEPARATOR for i in columns) / _POINTS


def _part(
    sheet: Sheet, size: str, columns: Sequence[int], number: int, count: int
) -> Iterator[str]:
    """Yield the lines of one part of a sheet."""
    points = dict(_SIZES)[size]
    align = "".join(sheet.align[i] for i in columns)
    caption = sheet.caption + (f" Part {number} of {count}." if count > 1 else "")
    label = "tab:" + re.sub("[^A-Za-z0-9.:_-]+", "-", sheet.name) + f"-{number}" * (number > 1)
    head = _line(sheet.head[i] for i in columns)
    rows = [_line(row[i] for i in columns) for row in sheet.rows]
    notes = sheet.notes if number == count else ()
    height = sum(max((row[i].lines for i in columns), default=1) for row in sheet.rows)
    if height > _LINES:
        yield from _over_pages(size, align, caption, label, head, rows, notes)
        return
    wide = _inches(_widths(sheet), columns, points) > COLUMN
    star = "*" if wide else ""
    yield rf"\begin{{table{star}}}"
    yield rf"  \centering\{size}\setlength{{\tabcolsep}}{{{_SEPARATOR / 2:g}pt}}"
    yield r"  \setlength{\abovecaptionskip}{0pt}\setlength{\belowcaptionskip}{5pt}"
    yield rf"  \caption{{{caption}}}"
    yield rf"  \label{{{label}}}"
    yield rf"  \begin{{tabular}}{{{align}}}"
    yield from (r"    \toprule", head, r"    \midrule", *rows, r"    \bottomrule")
    yield r"  \end{tabular}"
    for note in notes:
        yield rf"  \par\smallskip\parbox{{\linewidth}}{{\footnotesize {note}}}"
    yield rf"\end{{table{star}}}"


def _over_pages(
    size: str,
    align: str,
    caption: str,
    label: str,
    head: str,
    rows: list[str],
    notes: Sequence[str],
) -> Iterator[str]:
    yield rf"{{\{size}\setlength{{\tabcolsep}}{{{_SEPARATOR / 2:g}pt}}"
    yield rf"\begin{{longtable}}{{{align}}}"
    yield rf"  \caption{{{caption}}}\label{{{label}}}\\"
    yield from (r"    \toprule", head, r"    \midrule", r"  \endfirsthead")
    yield from (r"    \toprule", head, r"    \midrule", r"  \endhead")
    yield from (r"    \bottomrule", r"  \endfoot", *rows)
    yield r"\end{longtable}}"
    for note in notes:
        yield rf"\par\smallskip\noindent{{\footnotesize {note}\par}}"


def _line(entries: Iterator[Entry]) -> str:
    return "    " + " & ".join(entry.latex for entry in entries) + r" \\"


def _packages(lines: Sequence[str]) -> list[str]:
    body = "\n".join(lines)
    needed = {"booktabs": r"\toprule", "array": r"\arraybackslash", "longtable": "{longtable}"}
    used = ",".join(name for name, command in needed.items() if command in body)
    remark = "% over pages: a page of two columns needs \\onecolumn around it"
    return [rf"% \usepackage{{{used}}}", *([remark] if "{longtable}" in body else [])]
