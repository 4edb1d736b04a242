"""Turn results into the files that a report consists of."""

from __future__ import annotations

import importlib.resources
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

import lipbench
from lipbench.errors import UserError
from lipbench.reporting import booktabs, datatables, details, fresh, markdown, paper, svg
from lipbench.reporting import folder as report_folder
from lipbench.reporting.exhibit import (
    PARTS,
    Exhibit,
    Figure,
    Omitted,
    Sentences,
    Shown,
    Table,
    exhibits,
)
from lipbench.reporting.style import RC
from lipbench.results.results import OUTCOMES, Results
from lipbench.results.robustness import robustness
from lipbench.tuning.record import Tuning
from lipbench.words import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


def render(
    results: Results,
    folder: Path,
    shown: Sequence[Exhibit] | None = None,
    made_of: str = "",
    refresh: int = 0,
) -> Path:
    """Write the report of a study to `folder`, replacing an earlier one; return its index.html.

    `made_of` is what `fresh.fingerprint` says of its results, by which the report can be known to
    be current; `refresh` are the seconds after which the page loads itself again, 0 for never.

    Everything is made before the first byte is written, and an earlier report stays as it is
    unless the new one is whole; files that no report wrote stay too. Raises UserError if the
    folder cannot be written, or holds a file of another that has the name of one of the report's.
    """
    files = compose(results, exhibits() if shown is None else shown, refresh)
    try:
        report_folder.replace(folder, files, fresh.listing(files, made_of))
    except OSError as error:
        raise UserError(
            f"cannot write the report to {folder}: {error.strerror or error}; "
            "an earlier report there is untouched"
        ) from error
    return folder / "index.html"


def compose(results: Results, shown: Sequence[Exhibit], refresh: int = 0) -> dict[str, bytes]:
    """Return the content of each file of a report, by its path in the report's folder."""
    import matplotlib

    files = {
        "runs.csv": results.runs.to_csv(index=False).encode(),
        "runs.parquet": _parquet(results.runs),
    }
    if not results.tuning:
        files["robustness.csv"] = robustness(results).to_csv(index=False).encode()
    else:
        files["trials.csv"] = results.trials.to_csv(index=False).encode()
        unconfirmed = results.runs.empty
        shown = [e for e in shown if e.reads == "trials" or not unconfirmed]
    sections: dict[str, list[dict[str, object]]] = {part: [] for part in PARTS}
    omitted: list[tuple[str, str]] = []
    chapters: list[paper.Section] = []
    numbers = {"Table": 0, "Figure": 0}
    with matplotlib.rc_context(RC):
        for exhibit in shown:
            entries: list[dict[str, object]] = []
            chapter = paper.Section(exhibit.title)
            for result in exhibit.show(results):
                if isinstance(result, Omitted):
                    omitted.append((exhibit.title, result.reason))
                    continue
                kind = type(result).__name__
                if isinstance(result, Sentences):
                    entries.append({"kind": kind, "texts": result.texts})
                    chapter.texts.extend(result.texts)
                    continue
                numbers[kind] += 1
                if isinstance(result, Table):
                    entry, written = _table(result)
                    chapter.tables.append((result.name, str(entry["latex"])))
                else:
                    entry, written, picture = _figure(result)
                    chapter.pictures.append(picture)
                if clash := files.keys() & written.keys():
                    raise ValueError(f"{exhibit.title}: a second result writes {sorted(clash)}")
                files |= written
                entries.append({"kind": kind, "number": numbers[kind], "result": result} | entry)
            if entries:
                sections[exhibit.part].append({"title": exhibit.title, "entries": entries})
                chapters.append(chapter)
    files |= paper.compose(results, chapters)
    return files | {"index.html": _page(results, sections, omitted, refresh).encode()}


def _parquet(frame: pd.DataFrame) -> bytes:
    content = io.BytesIO()
    frame.to_parquet(content, index=False)
    return content.getvalue()


def _page(
    results: Results,
    sections: Mapping[str, list[dict[str, object]]],
    omitted: Sequence[tuple[str, str]],
    refresh: int,
) -> str:
    import jinja2

    def text(name: str) -> str:
        return importlib.resources.files("lipbench_reports").joinpath(name).read_text()

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    known = details.details(results)
    return environment.from_string(text("page.html.j2")).render(
        results=results,
        refresh=refresh,
        facts=_facts(results),
        progress=_progress(results),
        parts={part: found for part, found in sections.items() if found},
        omitted=omitted,
        known=known,
        data=details.script(known),
        style=text("page.css"),
        code=text("page.js"),
        datatables=datatables.code() if known["runs"] else "",
        datatables_style=datatables.style() if known["runs"] else "",
        version=lipbench.__version__,
    )


Written = tuple[dict[str, object], dict[str, bytes]]


def _table(table: Table) -> Written:
    align = table.align or "l" + "r" * (len(table.columns) - 1)
    rows = [[e if isinstance(e, Shown) else Shown(e) for e in row] for row in table.rows]
    as_latex = booktabs.table(table, align, rows)
    stem = f"tables/{table.name}"
    return {"align": align, "rows": rows, "latex": as_latex}, {
        f"{stem}.csv": table.raw.to_csv(index=False).encode(),
        f"{stem}.md": markdown.table(table, align, rows).encode(),
    }


def _figure(figure: Figure) -> tuple[dict[str, object], dict[str, bytes], paper.Picture]:
    drawing = figure.drawing
    png = io.BytesIO()
    drawing.savefig(png, format="png", metadata={"Software": None})
    engine = drawing.get_layout_engine()
    drawing.set_layout_engine("none")  # it is laid out now
    pdf = _pdf(drawing)
    vector = svg.svg(drawing, figure.name)
    inches = drawing.get_size_inches()[0]
    part = {
        "svg": vector,
        "narrowest": round(80 * inches),  # pixels; below it the page scrolls the figure
        "widest": round(125 * inches),
    }
    stem = f"figures/{figure.name}"
    files = {f"{stem}.png": png.getvalue(), f"{stem}.pdf": pdf}
    files[f"{stem}.svg"] = vector.encode()
    if figure.raw is not None:
        files[f"{stem}.csv"] = figure.raw.to_csv(index=False).encode()
    if figure.column:
        pdf = _pdf(paper.at_column_width(drawing, engine))
    size = map(float, drawing.get_size_inches())
    return part, files, paper.Picture(figure.name, figure.caption, figure.notes, pdf, *size)


def _pdf(drawing: Drawing) -> bytes:
    content = io.BytesIO()
    drawing.savefig(content, format="pdf", metadata={"CreationDate": None})
    return content.getvalue()


def _progress(results: Results) -> str:
    """Return how many runs there are and how they ended: `12 runs: 9 completed, 3 queued`.

    A study's trials come first, and its runs are then confirmations.
    """
    unique = results.runs.drop_duplicates("run_id")  # one run can stand in two cells
    if results.tuning is None:
        return _counted(unique, "run") if len(unique) else "no runs yet"
    trials = _counted(results.trials, "trial") if len(results.trials) else "no trials yet"
    confirmed = _counted(unique, "confirmation run") if len(unique) else "no confirmation runs yet"
    return f"{trials}; {confirmed}"


def _counted(runs: pd.DataFrame, noun: str) -> str:
    counts = runs["outcome"].value_counts()
    names = [*OUTCOMES, *sorted(set(counts.index) - set(OUTCOMES))]
    parts = [f"{counts[name]:,} {name.replace('_', ' ')}" for name in names if name in counts]
    return f"{counted(len(runs), noun)}: {', '.join(parts)}"


def _facts(results: Results) -> list[tuple[str, str]]:
    """Return what all runs share, or the values that they differ in, for the head of the page."""
    runs = results.runs

    def values(column: str, form: str = "{}") -> str:
        return ", ".join(form.format(value) for value in runs[column].dropna().unique())

    methods = ("Methods", ", ".join(results.methods))
    searched = _search(results.tuning) if results.tuning else []
    if results.tuning and runs.empty:
        return [methods, *searched]
    decay = values("ema_decay")
    return [
        methods,
        *searched,
        ("Settings", ", ".join(results.settings)),
        ("Seeds", values("seed")),
        ("Data", f"{values('dataset')} at {values('image_size')} pixels"),
        (
            "Networks",
            f"{values('architecture')}, width {values('width', '{:g}')}, "
            f"initialisation {values('initialisation')}",
        ),
        ("Loss", values("loss")),
        (
            "Budget",
            f"{values('planned_updates', '{:,}')} generator updates, batches of "
            f"{values('batch_size')} (D) and {values('generator_batch_size')} (G)",
        ),
        ("Precision", values("precision")),
        *([("Scored", f"moving average of G, decay {decay}")] if decay else []),
    ]


def _search(tuning: Tuning) -> list[tuple[str, str]]:
    """Return how a study searched, for the head of the page."""
    own = list(tuning.search.values())
    shared = [p for p in own[0] if all(p in others for others in own)] if own else []
    searched = [("Searched", "; ".join(map(str, shared)))] if shared else []
    for method, parameters in tuning.search.items():
        rest = [str(parameter) for parameter in parameters if parameter not in shared]
        if rest:
            also = f"{method}{' also' if shared else ''}: "
            searched.append(("", also + "; ".join(rest)))
    if searched:
        searched[0] = ("Searched", searched[0][1])
    amount = tuning.amount_text
    again = "none is run again"
    if tuning.configurations:
        many = tuning.configurations
        best = "the best one" if many == 1 else f"the best {many}"
        again = f"{best} of each search, with {_listed_seeds(tuning.confirm_seeds)}"
    return [
        *searched,
        (
            "Objective" if len(tuning.objectives) == 1 else "Objectives",
            "; ".join(
                f"{o.title}, {'higher' if o.higher_is_better else 'lower'} is better, "
                f"{o.if_diverged:,g} where training diverged"
                for o in tuning.objectives
            ),
        ),
        ("Sampler", _called(tuning.sampler, tuning.sampler_options)),
        ("Pruner", _called(tuning.pruner, tuning.pruner_options) if tuning.prunes else "none"),
        ("A search", f"{amount} of one method, with {_listed_seeds(tuning.seeds, 'or')}"),
        ("Run again", again),
        *([("Mind", " ".join(tuning.notes))] if tuning.notes else []),
    ]


def _called(name: str, options: Mapping[str, Any]) -> str:
    given = ", ".join(f"{key}={value}" for key, value in options.items())
    return f"{name}({given})" if given else name


def _listed_seeds(seeds: Sequence[int], word: str = "and") -> str:
    listed = ", ".join(map(str, seeds[:-1])) + f" {word} " if len(seeds) > 1 else ""
    return f"seed{'' if len(seeds) == 1 else 's'} {listed}{seeds[-1]}" if seeds else "no seed"
