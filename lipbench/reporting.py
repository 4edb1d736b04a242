"""Turn a study into its report: what an exhibit is, and the files that a report consists of."""

from __future__ import annotations

import base64
import importlib.resources
import io
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pandas as pd

from lipbench import latex, markdown, records, report_folder
from lipbench.errors import UserError
from lipbench.frame import load_curves, load_runs, load_trials, sessions
from lipbench.plugins import Registry
from lipbench.protocols import Protocol
from lipbench.records import Damaged
from lipbench.store import RunFolder, SuiteFolder
from lipbench.tuning.record import Tuning
from lipbench.words import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

__all__ = [
    "Exhibit",
    "Figure",
    "Omitted",
    "Pen",
    "Shown",
    "Study",
    "Table",
    "exhibits",
    "published",
    "render",
    "study",
]

OUTCOMES = (  # in the order in which reports name them
    "completed",
    "pruned",  # trials of a study only
    "diverged",
    "failed",
    "out_of_memory",
    "running",
    "interrupted",
    "damaged",
    "queued",
)

# Okabe and Ito's, which the colour-blind can tell apart; grey for yellow, too pale for lines.
_COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#E69F00",
    "#000000",
    "#999999",
)
_DASHES: tuple[Literal["-", "--", ":", "-."], ...] = ("-", "--", ":", "-.")
_MARKERS: tuple[Literal["o", "s", "^", "D"], ...] = ("o", "s", "^", "D")


@dataclass(frozen=True)
class Pen:
    """How one method is drawn, in every figure of a report."""

    colour: str
    dash: Literal["-", "--", ":", "-."]
    marker: Literal["o", "s", "^", "D"]


@dataclass(frozen=True)
class Study:
    """The results of one suite: everything that an exhibit may read."""

    suite: str
    description: str
    runs: pd.DataFrame  # a row for each run of the current plan
    left_out: int  # runs in the folder that the plan does not name
    curves: pd.DataFrame  # run_id, update, name, value
    samples: Mapping[str, Path]  # run_id to its newest grid of images
    methods: tuple[str, ...]  # labels, in the plan's order
    settings: tuple[str, ...]
    protocol: Protocol
    published: pd.DataFrame
    audits: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """A run's audits by its run_id, oldest first; not finite numbers are 'inf' and 'nan'."""
    cost: Mapping[str, Any] | None = None  # of the methods side by side, as `lipbench cost` wrote
    machines: tuple[str, ...] = ()  # that made the runs
    tuning: Tuning | None = None  # how the study searched; its `runs` are the confirmations
    trials: pd.DataFrame = field(default_factory=pd.DataFrame)  # as `load_trials` returns them

    def __post_init__(self) -> None:
        protocols = set(self.runs["protocol"].dropna()) - {self.protocol.id}
        if protocols:
            raise ValueError(f"a report is about {self.protocol.id}, not {sorted(protocols)}")
        repeated = self.runs.duplicated(["method", "setting", "seed"])
        if repeated.any():
            raise ValueError(f"two runs in one place: {list(self.runs['run_id'][repeated])}")

    @property
    def pens(self) -> dict[str, Pen]:
        """Return each method's pen."""
        return {
            method: Pen(
                _COLOURS[i % len(_COLOURS)],
                _DASHES[i // len(_COLOURS) % len(_DASHES)],
                _MARKERS[i // len(_COLOURS) % len(_MARKERS)],
            )
            for i, method in enumerate(self.methods)
        }


@dataclass(frozen=True)
class Shown:
    """One entry of a table: its text, a mark that refers to a note, and small print."""

    text: str
    mark: str = ""
    detail: str = ""
    best: bool = False
    muted: bool = False


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


@dataclass(frozen=True)
class Omitted:
    """What a report does not show, and why."""

    reason: str


class Exhibit(ABC):
    """One section of a report: a file in `reports/` defines one subclass.

    It yields tables and figures, or says why it has none. Sections are sorted by `order`; one that
    yields nothing at all is no section.
    """

    title: ClassVar[str]
    order: ClassVar[int]
    reads: ClassVar[Literal["runs", "trials"]] = "runs"  # no section where a study has no run yet

    @abstractmethod
    def show(self, study: Study) -> Iterable[Table | Figure | Omitted]:
        """Yield what the study shows; it may be unfinished, or have no completed run at all."""


def study(folder: Path, by: Protocol | None = None) -> Study:
    """Return the results in a suite's folder that its current plan names.

    `by` is another protocol than the suite's, that `lipbench eval` scored the runs under. Raises
    UserError where there is no plan, or no run was scored by that protocol.
    """
    suite = SuiteFolder(folder)
    plan = suite.plan()
    protocol = by or plan.protocol
    every = load_runs(folder, by)
    if plan.tuning and not plan.runs:
        raise UserError(f"no trial of {folder} has begun yet")
    if by and every["collapsed"].isna().all():  # which every scored run has
        raise UserError(
            f"no run of {folder} has its last checkpoint scored by {by.id} yet: that is what "
            "`lipbench eval` with the same --protocol does"
        )
    shown = every["planned"] & every["confirms"].eq(True) if plan.tuning else every["planned"]
    runs = every[shown].drop(columns="planned").reset_index(drop=True)
    folders = suite.folders()
    made = [folders[run.spec.hash] for run in plan.runs if run.spec.hash in folders]
    settings = tuple(
        dict.fromkeys(run.setting for run in plan.runs if run.trial is None or run.trial.confirms)
    )
    return Study(
        suite=plan.name,
        description=plan.description,
        runs=runs,
        left_out=int((~every["planned"]).sum()),
        curves=load_curves(folder),
        samples={run.path.name: grids[-1] for run in folders.values() if (grids := run.samples())},
        methods=tuple(plan.tuning.search if plan.tuning else {run.method: 0 for run in plan.runs}),
        settings=settings,
        protocol=protocol,
        published=published(),
        audits={run.path.name: audits for run in made if (audits := _audits(run))},
        cost=_cost(suite),
        machines=tuple(
            dict.fromkeys(_machine(s) for run in made for s in sessions(run) if "device" in s)
        ),
        tuning=plan.tuning,
        trials=load_trials(folder) if plan.tuning else pd.DataFrame(),
    )


def _audits(run: RunFolder) -> list[dict[str, Any]]:
    """Return a run's audits, oldest first: of one update that was audited twice, the newer."""
    found = run.readable("audits")
    records.warn(found.damage)
    by_update = {int(row["update"]): row for row in found.rows}
    return [by_update[update] for update in sorted(by_update)]


def _cost(suite: SuiteFolder) -> dict[str, Any] | None:
    """Return what `lipbench cost` measured; none, with a warning, where it cannot be read."""
    try:
        return suite.cost()
    except Damaged as damage:
        records.warn([damage])
        return None


def _machine(session: Mapping[str, Any]) -> str:
    """Return on what a run was made: `NVIDIA H100`, `AMD EPYC 7B13 (1 thread)`."""
    if session["device"] != "cpu":
        return str(session["device"])
    threads = session.get("threads", 1)
    return f"{session.get('processor', 'cpu')} ({threads} thread{'' if threads == 1 else 's'})"


def exhibits(files: Iterable[Path] = ()) -> list[Exhibit]:
    """Return the installed exhibits, and those of a user's own files, in a report's order."""
    plugins = Registry("reports", files).plugins.values()
    found: list[Exhibit] = [plugin.load(Exhibit)() for plugin in plugins]
    return sorted(found, key=lambda exhibit: (exhibit.order, exhibit.title))


def published() -> pd.DataFrame:
    """Return the published scores that reports compare with, a row for each number."""
    text = importlib.resources.files("lipbench_reports").joinpath("published.csv").read_text()
    return pd.read_csv(io.StringIO(text))


def render(results: Study, folder: Path, shown: Sequence[Exhibit] | None = None) -> Path:
    """Write the report of a study to `folder`, replacing an earlier one; return its index.html.

    Everything is made before the first byte is written, and an earlier report stays as it is
    unless the new one is whole; files that no report wrote stay too. Raises UserError if the
    folder cannot be written, or holds a file of another that has the name of one of the report's.
    """
    files = compose(results, exhibits() if shown is None else shown)
    try:
        report_folder.replace(folder, files)
    except OSError as error:
        raise UserError(
            f"cannot write the report to {folder}: {error.strerror or error}; "
            "an earlier report there is untouched"
        ) from error
    return folder / "index.html"


def compose(results: Study, shown: Sequence[Exhibit]) -> dict[str, bytes]:
    """Return the content of each file of a report, by its path in the report's folder."""
    import jinja2
    import matplotlib

    files = {"runs.csv": results.runs.to_csv(index=False).encode()}
    if results.tuning:
        files["trials.csv"] = results.trials.to_csv(index=False).encode()
        unconfirmed = results.runs.empty
        shown = [e for e in shown if e.reads == "trials" or not unconfirmed]
    sections = []
    numbers = {"Table": 0, "Figure": 0}
    with matplotlib.rc_context(_RC):
        for exhibit in shown:
            parts: list[dict[str, object]] = []
            for result in exhibit.show(results):
                if isinstance(result, Omitted):
                    parts.append({"kind": "Omitted", "reason": result.reason})
                    continue
                kind = type(result).__name__
                numbers[kind] += 1
                part, written = _table(result) if isinstance(result, Table) else _figure(result)
                if clash := files.keys() & written.keys():
                    raise ValueError(f"{exhibit.title}: a second result writes {sorted(clash)}")
                files |= written
                parts.append({"kind": kind, "number": numbers[kind], "result": result} | part)
            if parts:
                sections.append({"title": exhibit.title, "parts": parts})
    source = importlib.resources.files("lipbench_reports").joinpath("page.html.j2").read_text()
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.from_string(source).render(
        study=results, facts=_facts(results), progress=_progress(results), sections=sections
    )
    return files | {"index.html": page.encode()}


FONTS = ["STIXGeneral", "DejaVu Sans"]  # both come with matplotlib
_RC: Any = {
    "font.family": FONTS,
    "mathtext.fontset": "stix",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "hatch.linewidth": 0.5,
    "lines.linewidth": 1.2,
    "pdf.fonttype": 42,  # conferences refuse Type 3 fonts
    "savefig.dpi": 180,
}

Part = tuple[dict[str, object], dict[str, bytes]]


def _table(table: Table) -> Part:
    align = table.align or "l" + "r" * (len(table.columns) - 1)
    rows = [[e if isinstance(e, Shown) else Shown(e) for e in row] for row in table.rows]
    as_latex = latex.table(table, align, rows)
    stem = f"tables/{table.name}"
    return {"align": align, "rows": rows, "latex": as_latex}, {
        f"{stem}.csv": table.raw.to_csv(index=False).encode(),
        f"{stem}.md": markdown.table(table, align, rows).encode(),
        f"{stem}.tex": as_latex.encode(),
    }


def _figure(figure: Figure) -> Part:
    drawing = figure.drawing
    png, pdf = io.BytesIO(), io.BytesIO()
    drawing.savefig(png, format="png", metadata={"Software": None})
    drawing.set_layout_engine("none")  # it is laid out now
    drawing.savefig(pdf, format="pdf", metadata={"CreationDate": None})
    inches = drawing.get_size_inches()[0]
    part = {
        "base64": base64.b64encode(png.getvalue()).decode(),
        "narrowest": round(80 * inches),  # pixels; below it the page scrolls the figure
        "widest": round(125 * inches),
    }
    stem = f"figures/{figure.name}"
    files = {f"{stem}.png": png.getvalue(), f"{stem}.pdf": pdf.getvalue()}
    if figure.raw is not None:
        files[f"{stem}.csv"] = figure.raw.to_csv(index=False).encode()
    return part, files


def _progress(study: Study) -> str:
    """Return how many runs there are and how they ended: `12 runs: 9 completed, 3 queued`.

    A study's trials come first, and its runs are then confirmations.
    """
    unique = study.runs.drop_duplicates("run_id")  # one run can stand in two cells
    if study.tuning is None:
        return _counted(unique, "run") if len(unique) else "no runs yet"
    trials = _counted(study.trials, "trial") if len(study.trials) else "no trials yet"
    confirmed = _counted(unique, "confirmation run") if len(unique) else "no confirmation runs yet"
    return f"{trials}; {confirmed}"


def _counted(runs: pd.DataFrame, noun: str) -> str:
    counts = runs["outcome"].value_counts()
    names = [*OUTCOMES, *sorted(set(counts.index) - set(OUTCOMES))]
    parts = [f"{counts[name]:,} {name.replace('_', ' ')}" for name in names if name in counts]
    return f"{counted(len(runs), noun)}: {', '.join(parts)}"


def _facts(study: Study) -> list[tuple[str, str]]:
    """Return what all runs share, or the values that they differ in, for the head of the page."""
    runs = study.runs

    def values(column: str, form: str = "{}") -> str:
        return ", ".join(form.format(value) for value in runs[column].dropna().unique())

    methods = ("Methods", ", ".join(study.methods))
    searched = _search(study.tuning) if study.tuning else []
    if study.tuning and runs.empty:
        return [methods, *searched]
    decay = values("ema_decay")
    return [
        methods,
        *searched,
        ("Settings", ", ".join(study.settings)),
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
