"""Compose the folder `paper/`: what a LaTeX paper takes from a report, and a document around it.

`main.tex` is there to see that it compiles. A paper takes `methods.tex`, tables and figures one by
one, and `references.bib`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lipbench.reporting import booktabs, citations, prose
from lipbench.reporting.citations import Citations, Named
from lipbench.reporting.latex import breakable, comments, escaped
from lipbench.results.results import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing
    from matplotlib.layout_engine import LayoutEngine

_TALLEST = 7.5  # inches of a figure, which leaves room for its caption
PACKAGES = ("array", "booktabs", "graphicx", "longtable")


@dataclass(frozen=True)
class PaperFigure:
    """A figure as a paper takes it: a PDF of this width and height, in inches."""

    name: str
    caption: str
    notes: Sequence[str]
    pdf: bytes
    inches: float
    height: float


@dataclass
class PaperSection:
    """A report's section: its title, its sentences, its tables as LaTeX by name, its figures."""

    title: str
    texts: list[str] = field(default_factory=list)
    tables: list[tuple[str, str]] = field(default_factory=list)
    pictures: list[PaperFigure] = field(default_factory=list)


def compose(results: Results, sections: Sequence[PaperSection]) -> dict[str, bytes]:
    """Return the files of `paper/` by their names in it."""
    cite = Citations(citations.library())
    methods = {name for names in results.runs["methods"].dropna() for name in names.split(" + ")}
    methods |= {method["name"] for spec in results.specs.values() for method in spec["methods"]}
    papers = citations.of_methods(sorted(methods), results.provenance.plugins)
    files: dict[str, str | bytes] = {"methods.tex": _methods(results, cite, papers)}
    body: list[str] = []
    for section in sections:
        body += ["", rf"\section*{{{escaped(section.title)}}}"]
        body += map(breakable, section.texts)
        for name, latex in section.tables:
            body.append(_put(files, "tables", name, latex))
        for picture in section.pictures:
            stem = _stem(picture.name)
            files[f"figures/{stem}.pdf"] = picture.pdf
            body.append(_put(files, "figures", picture.name, _figure(picture, stem)))
    own = (prose.methods_table(results, cite, papers), prose.settings_table(results))
    first = [_put(files, "tables", t.name, booktabs.write(t)) for t in own if t is not None]
    files["references.bib"] = cite.bibtex()
    files["main.tex"] = _main(results, [*first, *body], cited=bool(files["references.bib"]))
    return {
        f"paper/{name}": content if isinstance(content, bytes) else content.encode("ascii")
        for name, content in files.items()
    }


def _methods(results: Results, cite: Citations, papers: Named) -> str:
    lines = [
        "% What was run, from the records of the runs. Numbers, versions and names are facts;",
        "% shorten it, but change no number by hand: write the report again.",
    ]
    for title, sentences in prose.paragraphs(results, cite, papers):
        lines += ["", rf"\paragraph{{{title}.}}", *sentences]
    return "\n".join([*comments("\n".join(lines)), *lines, ""])


def _put(files: dict[str, str | bytes], folder: str, name: str, latex: str) -> str:
    """Add a file, and return the command that takes it in."""
    path = f"{folder}/{_stem(name)}"
    if f"{path}.tex" in files:
        raise ValueError(f"two results are called {path}")
    files[f"{path}.tex"] = latex
    return rf"\input{{{path}}}"


def _stem(name: str) -> str:
    return re.sub("[^A-Za-z0-9._-]+", "-", name)


def _figure(figure: PaperFigure, stem: str) -> str:
    """Return a figure's float: in a column where it fits there, else across the page."""
    star = "" if figure.inches <= booktabs.COLUMN else "*"
    size = f"[width={booktabs.TEXT}in]" if figure.inches > booktabs.TEXT else ""
    tall = figure.height * min(1.0, booktabs.TEXT / figure.inches)
    if tall > _TALLEST:
        size = f"[height={_TALLEST}in]"
    lines = [
        rf"\begin{{figure{star}}}",
        r"  \centering",
        rf"  \includegraphics{size}{{figures/{stem}.pdf}}",
        rf"  \caption{{{escaped(figure.caption)}}}",
        rf"  \label{{fig:{stem}}}",
        *[
            rf"  \par\smallskip\parbox{{\linewidth}}{{\footnotesize {breakable(note)}}}"
            for note in figure.notes
        ],
        rf"\end{{figure{star}}}",
        "",
    ]
    return "\n".join([*comments("\n".join(lines)), r"% \usepackage{graphicx}", *lines])


def at_column_width(drawing: Drawing, engine: LayoutEngine | None) -> None:
    """Lay a drawing out again as wide as a column, its type as large as before."""
    width, height = drawing.get_size_inches()
    narrower = booktabs.COLUMN / width
    if narrower < 1:
        drawing.set_layout_engine(engine)
        shorter = math.sqrt(narrower) if height < width else 1.0
        drawing.set_size_inches(booktabs.COLUMN, height * shorter)


def _main(results: Results, body: Sequence[str], cited: bool) -> str:
    lines = [
        r"\documentclass[10pt]{article}",
        rf"\usepackage[letterpaper,textwidth={booktabs.TEXT}in,textheight=9in]{{geometry}}",
        rf"\usepackage{{{','.join(PACKAGES)}}}",
        r"\usepackage{float}  % floats stand where they are taken in",
        r"\makeatletter\renewcommand{\fps@table}{H}\renewcommand{\fps@figure}{H}\makeatother",
        r"\renewenvironment{table*}{\table}{\endtable}",
        r"\renewenvironment{figure*}{\figure}{\endfigure}",
        r"\setlength{\emergencystretch}{3em}",
        r"\begin{document}",
        rf"\section*{{{escaped(results.suite)}}}",
        breakable(results.description),
        r"\input{methods}",
        *body,
        *([r"\bibliographystyle{plain}", r"\bibliography{references}"] if cited else []),
        r"\end{document}",
        "",
    ]
    return "\n".join([*comments("\n".join(lines)), *lines])
