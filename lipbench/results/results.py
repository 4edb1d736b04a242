"""All that came of one suite: what an exhibit may read."""

from __future__ import annotations

import importlib.resources
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from lipbench import records
from lipbench.errors import UserError
from lipbench.planning.tuning import Tuning
from lipbench.protocols import Protocol
from lipbench.records import Damaged
from lipbench.results import frame, provenance
from lipbench.results.audits import audits
from lipbench.results.provenance import Provenance
from lipbench.runs.suite_folder import SuiteFolder
from lipbench.words import counted

_SMALL = (
    "This is the suite's small form (`--small`): fewer updates, a narrower network or other data "
    "than the suite's question is about."
)


@dataclass(frozen=True)
class Results:
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
    grids: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    """A run's grids of images by its run_id, the oldest first; a file's name is the update."""
    planes: Mapping[str, Path] = field(default_factory=dict)
    """What a run's picture of the plane is drawn from, by its run_id; see `runs.plane.Plane`."""
    specs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """A run's spec as JSON by its run_id."""
    revisions: tuple[str, ...] = ()  # of lipbench's code that made the runs
    provenance: Provenance = field(default_factory=Provenance)
    metric: str = ""  # the score to rank by in place of the protocol's
    remarks: tuple[str, ...] = ()  # what to know before all else: which runs these are

    @property
    def primary(self) -> str:
        """Return the score that methods are ranked by."""
        return self.metric or self.protocol.primary

    def __post_init__(self) -> None:
        protocols = set(self.runs["protocol"].dropna()) - {self.protocol.id}
        if protocols:
            raise ValueError(f"a report is about {self.protocol.id}, not {sorted(protocols)}")
        repeated = self.runs.duplicated(["method", "setting", "seed"])
        if repeated.any():
            raise ValueError(f"two runs in one place: {list(self.runs['run_id'][repeated])}")


def read(folder: Path, by: Protocol | None = None) -> Results:
    """Return the results in a suite's folder that its current plan names.

    `by` is another protocol than the suite's, that `lipbench eval` scored the runs under. Raises
    UserError where there is no plan, or no run was scored by that protocol.
    """
    suite = SuiteFolder(folder)
    plan = suite.plan()
    protocol = by or plan.protocol
    every = frame.runs(suite, plan, by)
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
    grids = {run.path.name: found for run in folders.values() if (found := run.samples())}
    starts = [session for run in made for session in frame.sessions(run)]
    settings = tuple(
        dict.fromkeys(run.setting for run in plan.runs if run.trial is None or run.trial.confirms)
    )
    return Results(
        suite=plan.name,
        description=plan.description,
        runs=runs,
        left_out=int((~every["planned"]).sum()),
        curves=frame.curves(folders.values(), protocol.id),
        samples={run_id: found[-1] for run_id, found in grids.items()},
        methods=tuple(plan.tuning.search if plan.tuning else {run.method: 0 for run in plan.runs}),
        settings=settings,
        protocol=protocol,
        published=published(),
        audits={run.path.name: rows for run in made if (rows := audits(run))},
        cost=_cost(suite),
        machines=tuple(dict.fromkeys(_machine(s) for s in starts if "device" in s)),
        tuning=plan.tuning,
        trials=frame.trials(suite, plan) if plan.tuning else pd.DataFrame(),
        grids=grids,
        planes={run.path.name: path for run in folders.values() if (path := run.plane())},
        specs={
            folders[run.spec.hash].path.name if run.spec.hash in folders else run.id: (
                run.spec.to_json()
            )
            for run in plan.unique
        },
        revisions=tuple(dict.fromkeys(str(s["revision"]) for s in starts if s.get("revision"))),
        provenance=provenance.of(plan, starts),
        remarks=(_SMALL,) if plan.small else (),
    )


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
    return f"{session.get('processor', 'cpu')} ({counted(threads, 'thread')})"


def published() -> pd.DataFrame:
    """Return the published scores that reports compare with, a row for each number."""
    text = importlib.resources.files("lipbench_reports").joinpath("published.csv").read_text()
    return pd.read_csv(io.StringIO(text))
