"""Turn results into the files that a report consists of."""

from __future__ import annotations

import importlib.resources
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

import lipbench
from lipbench.data import described
from lipbench.errors import UserError
from lipbench.outcome import Outcome
from lipbench.planning.tuning import Tuning
from lipbench.reporting import datatables, details, fresh, paper
from lipbench.reporting import folder as report_folder
from lipbench.reporting.exhibit import PARTS, Exhibit, exhibits
from lipbench.reporting.sections import Section, drawn
from lipbench.results.results import Results
from lipbench.results.robustness import robustness
from lipbench.words import counted


def render(
    results: Results,
    folder: Path,
    shown: Sequence[Exhibit] | None = None,
    made_of: str = "",
    refresh: int = 0,
    processes: int = 1,
) -> Path:
    """Write the report of some results to `folder`, in place of an earlier one; return its page.

    `made_of` is what `fresh.fingerprint` says of its results, by which the report can be known to
    be current; `refresh` are the seconds after which the page loads itself again, 0 for never.

    Everything is made before the first byte is written, and an earlier report stays as it is
    unless the new one is whole; files that no report wrote stay too. Raises UserError if the
    folder cannot be written, or holds a file of another that has the name of one of the report's.
    """
    files = compose(results, exhibits() if shown is None else shown, refresh, processes)
    try:
        report_folder.replace(folder, files, fresh.listing(files, made_of))
    except OSError as error:
        raise UserError(
            f"cannot write the report to {folder}: {error.strerror or error}; "
            "an earlier report there is untouched"
        ) from error
    return folder / "index.html"


def compose(
    results: Results, shown: Sequence[Exhibit], refresh: int = 0, processes: int = 1
) -> dict[str, bytes]:
    """Return the content of each file of a report, by its path in the report's folder.

    Exhibits are drawn by so many processes; the files are the same for any number.
    """
    if results.tuning:
        unconfirmed = results.runs.empty
        shown = [e for e in shown if e.reads == "trials" or not unconfirmed]
    with drawn(shown, results, processes) as found:
        files = _of_runs(results)
        known = details.details(results) | {"summary": None}
        if not results.tuning:
            summed = robustness(results)
            files["robustness.csv"] = summed.to_csv(index=False).encode()
            known["summary"] = details.summary(summed)
        sections = list(found)
    for section in sections:
        if clash := files.keys() & section.files.keys():
            raise ValueError(f"{section.title}: a second result writes {sorted(clash)}")
        files |= section.files
    _number(sections)
    files |= paper.compose(results, [section.chapter for section in sections if section.entries])
    return files | {"index.html": _page(results, sections, known, refresh).encode()}


def _of_runs(results: Results) -> dict[str, bytes]:
    """Return the files that have all runs, or all trials."""
    content = io.BytesIO()
    results.runs.to_parquet(content, index=False)
    files = {
        "runs.csv": results.runs.to_csv(index=False).encode(),
        "runs.parquet": content.getvalue(),
    }
    if results.tuning:
        files["trials.csv"] = results.trials.to_csv(index=False).encode()
    return files


def _number(sections: Sequence[Section]) -> None:
    """Give tables and figures their numbers."""
    numbers = {"Table": 0, "Figure": 0}
    for entry in (entry for section in sections for entry in section.entries):
        if entry["kind"] in numbers:
            numbers[entry["kind"]] += 1
            entry["number"] = numbers[entry["kind"]]


def _page(
    results: Results,
    sections: Sequence[Section],
    known: Mapping[str, Any],
    refresh: int,
) -> str:
    import jinja2

    def text(name: str) -> str:
        return importlib.resources.files("lipbench_reports").joinpath(name).read_text()

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(text("page.html.j2")).render(
        results=results,
        refresh=refresh,
        facts=_facts(results),
        progress=_progress(results),
        parts={
            part: found
            for part in PARTS
            if (found := [s for s in sections if s.part == part and s.entries])
        },
        made_by=_made_by(results),
        omitted=[(s.title, reason) for s in sections for reason in s.omitted],
        known=known,
        data=details.script(known),
        style=text("page.css"),
        code=text("page.js"),
        datatables=datatables.code() if known["runs"] else "",
        datatables_style=datatables.style() if known["runs"] else "",
        version=lipbench.__version__,
    )


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
    names = [*Outcome, *sorted(set(counts.index) - set(Outcome))]
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
        ("Data", f"{values('dataset')}{_size(results, values('image_size'))}"),
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


_COMMANDS = 4  # that are written out: our choice


def _made_by(results: Results) -> list[tuple[str, str]]:
    """Return the machines, the software and the commands that made the runs, as far as known."""
    made = results.provenance
    software = [f"{name} {' and '.join(versions)}" for name, versions in made.versions.items()]
    more = len(made.commands) - _COMMANDS
    facts = {
        "Machines": "; ".join(results.machines),
        "Software": ", ".join(software),
        "Revisions": ", ".join(results.revisions),
        "Plugins": ", ".join(map(str, made.plugins)),
        "Commands": "; ".join(made.commands[:_COMMANDS]) + (f"; {more} more" if more > 0 else ""),
    }
    return [(term, text) for term, text in facts.items() if text]


def _size(results: Results, pixels: str) -> str:
    """Return how large samples are, to follow the dataset's name."""
    info = results.provenance.dataset
    if info and not info.is_of_images:
        return f", {described(info.shape)}"
    return f" at {pixels} pixels"


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
