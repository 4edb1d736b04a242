"""Read results as tables: one row a run, also while a sweep is running."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lipbench import protocols, records
from lipbench.errors import UserError, unknown
from lipbench.outcome import Outcome
from lipbench.planning.plan import Plan, PlannedRun
from lipbench.planning.spec import RunSpec
from lipbench.planning.tuning import Objective, Tuning
from lipbench.protocols import PROTOCOLS, SCORES, Protocol
from lipbench.records import Damaged, Rows
from lipbench.runs.run_folder import RunFolder, Status, checked
from lipbench.runs.suite_folder import SuiteFolder
from lipbench.tuning import objectives

# The columns of `load_runs` but for scores, in their order, with their types. Those that are whole
# numbers in every row stay as they are.
_FIRST = {"run_id": "str", "method": "str", "setting": "str", "seed": None, "outcome": "str"}
_ABOUT = {
    "suite": "str", "planned": "bool", "methods": "str", "params": "str", "lr": "float",
    "beta1": "float", "beta2": "float", "n_dis": None, "optimizer": "str", "lr_g": "float",
    "alpha": "float", "momentum": "float", "dataset": "str", "image_size": None,
    "architecture": "str", "width": "float", "latent_dim": None, "initialisation": "str",
    "loss": "str",
    "batch_size": None, "generator_batch_size": None, "augmentation": "str",
    "precision": "str", "ema_decay": "float",
    "protocol": "str", "cause": "str", "generator_updates": None, "planned_updates": None,
}  # fmt: skip
_OF_TRIALS = {"trial": "Int64", "repeat": "Int64", "confirms": "boolean"}
_TRIAL_FIRST = ["run_id", "method", "seed", "trial", "outcome", "cause"]
_TRIAL_LAST = ["intermediate", "generator_updates", "seconds", "started", "ended"]
_COSTS = (
    "seconds_training", "seconds_scoring", "seconds_auditing", "seconds_per_update",
    "images_per_second", "extra_parameters", "peak_resident_bytes", "peak_device_bytes",
    "energy_joules",
)  # fmt: skip


def load_runs(folder: str | Path, protocol: str | Protocol | None = None) -> pd.DataFrame:
    """Return one row a run of a suite's results folder, e.g. `runs/table1_2_cifar10`.

    `protocol` is another protocol that `run` or `eval` scored the runs by, or its id, or its name
    where only one has it, in place of the suite's. Columns and their types follow from the plan
    and the protocol, whatever the runs have come to. A run that stands in two cells of the plan
    has a row for each, with one `run_id`.

    Columns: `run_id`, `suite`, `planned` (whether the current plan has it), `method` and `setting`
    (labels), `methods` (plugins' names), `params` (JSON), `lr`, `beta1`, `beta2`, `n_dis`,
    `optimizer`, `lr_g` (of G; `lr` is D's), `alpha`, `momentum` (NaN where the optimizer has
    none), `seed`, `dataset`, `image_size` (pixels; NaN for points), `architecture`, `width`,
    `latent_dim`, `initialisation`, `loss`, `batch_size`, `generator_batch_size`, `augmentation`
    (of real images), `precision`, `ema_decay`, `protocol`, `outcome`, `cause`,
    `generator_updates` (done), `planned_updates`, `collapsed`, the protocol's scores at the end of
    training with `<score>_floor` (what real images score), `<score>_std` (over sets of latents)
    and `<score>_se` (bootstrap standard error), `<score>_best` of the checkpoint that the
    selection scores chose, of the update `best_update`, and `<score>_gap` (how much worse the last
    one is), all of them for each score, `seconds`, `seconds_training`, `seconds_scoring`,
    `seconds_auditing`, and of training `seconds_per_update` (after a warm-up), `images_per_second`
    (real and generated ones of D's updates and generated ones of G's), `extra_parameters` (trained
    ones of D and G beyond the plain networks'), `peak_resident_bytes` (the process: interpreter,
    data and feature extractor too), `peak_device_bytes` (torch's tensors on a GPU) and
    `energy_joules` (all that the GPU did meanwhile). A run without a result has NaN scores, and
    its outcome says why; a cost that its machine did not give is NaN. The runs of a study have
    more: `trial` (which one a run is, or confirms), `repeat` (the study's seed in which it was
    drawn), `confirms`, and each objective.

    Raises UserError where the folder holds no plan, or no score by a protocol of this id.
    """
    suite = SuiteFolder(Path(folder))
    return runs(suite, suite.plan(), protocol)


def runs(suite: SuiteFolder, plan: Plan, protocol: str | Protocol | None = None) -> pd.DataFrame:
    """Return the frame of `load_runs` from an open folder and its plan."""
    folders, statuses = suite.folders(), suite.statuses()
    used = _protocol(protocol, plan, suite)
    planned = {run.spec.hash for run in plan.runs}
    others = _unplanned([folder for hash_, folder in folders.items() if hash_ not in planned])
    rows = []
    for run in (*plan.runs, *others):
        made = folders.get(run.spec.hash)
        status, scores = _read(run, made, statuses)
        rows.append(
            {
                "suite": plan.name,
                "planned": run.spec.hash in planned,
                **_judged(run, made, status, plan.tuning),
                **_row(run, made, status, scores, used.id),
            }
        )
    return _typed(rows, _columns(used, plan.tuning))


def load_trials(folder: str | Path) -> pd.DataFrame:
    """Return one row a trial of a study's results folder, in the order in which they were drawn.

    Columns: `run_id`, `method` (label), `seed` (the study's repeat), `trial` (from 0, in each
    method and repeat), `outcome`, `cause`, each objective by its name (what Optuna was told: of a
    diverged trial the ceiling; NaN where there is no result, so also of a pruned trial),
    `intermediate` (the first objective's last value during training, of other images),
    `generator_updates` (done), `seconds` (training, scoring and audits), `started` and `ended`
    (Unix time), and `params_<name>` of each searched parameter, NaN or None where it does not
    exist. Two trials of the same values are one run, with two rows.

    Raises UserError where the folder holds no study.
    """
    suite = SuiteFolder(Path(folder))
    return trials(suite, suite.plan())


def trials(suite: SuiteFolder, plan: Plan) -> pd.DataFrame:
    """Return the frame of `load_trials` from an open folder and its plan."""
    if plan.tuning is None:
        raise UserError(f"{suite.path} holds a suite's results and no study's: it has no trials")
    folders, statuses = suite.folders(), suite.statuses()
    rows = [
        {
            "run_id": folders[run.spec.hash].path.name if run.spec.hash in folders else run.id,
            "method": run.method,
            "seed": run.trial.repeat,
            "trial": run.trial.number,
            **_trial(run, folders.get(run.spec.hash), statuses, plan.tuning.objectives),
            **{f"params_{name}": value for name, value in run.trial.params.items()},
        }
        for run in plan.runs
        if run.trial and not run.trial.confirms
    ]
    searched = {p.name: None for parameters in plan.tuning.search.values() for p in parameters}
    columns = [*_TRIAL_FIRST, *[objective.name for objective in plan.tuning.objectives]]
    columns += [*_TRIAL_LAST, *[f"params_{name}" for name in searched]]
    return pd.DataFrame(rows, columns=list(dict.fromkeys(columns)))


def load_curves(folder: str | Path) -> pd.DataFrame:
    """Return what was measured during training, long: `run_id`, `update`, `name`, `value`.

    Names are those of training's metrics (means since the last row) and `<score>_selection`, the
    scores that choose the best checkpoint: of other latents and real images than those reported.
    Rows that cannot be read are left out, with a warning that names the file.
    """
    suite = SuiteFolder(Path(folder))
    return curves(suite.folders().values(), suite.plan().protocol.id)


def curves(folders: Iterable[RunFolder], protocol: str) -> pd.DataFrame:
    """Return the frame of `load_curves` from run folders; scores are those of a protocol's id."""
    rows = [
        (run.path.name, update, name, float(value))  # 'nan' and 'inf' are stored as text
        for run in folders
        for measured in (_metrics(run), _selections(run, protocol))
        for update, values in measured.items()
        for name, value in values.items()
    ]
    frame = pd.DataFrame(rows, columns=["run_id", "update", "name", "value"])
    return frame.astype({"update": "int64", "value": "float64"})


def _metrics(run: RunFolder) -> dict[int, dict[str, Any]]:
    """Return a run's metrics by update; of an update that was recorded twice, the newer ones."""
    by_update = {row.pop("update"): row for row in _readable(run, "metrics")}
    return dict(sorted(by_update.items()))


def _selections(run: RunFolder, protocol: str) -> dict[int, dict[str, Any]]:
    """Return a run's selection scores by update, as their columns are called."""
    by_update = {
        row["update"]: {f"{name}_selection": value for name, value in row["scores"].items()}
        for row in _readable(run, "scores")
        if row["checkpoint"] == "selection" and row.get("protocol") == protocol
    }
    return dict(sorted(by_update.items()))


def sessions(run: RunFolder) -> list[dict[str, Any]]:
    """Return a run's sessions, or none with a warning where its manifest cannot be read."""
    try:
        return run.sessions()
    except Damaged as damage:
        records.warn([damage])
        return []


def _readable(run: RunFolder, name: str) -> list[dict[str, Any]]:
    """Return the rows of a run that can be read, with a warning of others."""
    found = run.readable(name)
    records.warn(found.damage)
    return found.rows


def _read(
    run: PlannedRun,
    folder: RunFolder | None,
    statuses: Mapping[str, Status],
) -> tuple[Status, list[dict[str, Any]]]:
    """Return a run's status and the rows with its scores, none where it is damaged."""
    status = statuses.get(run.spec.hash, Status())
    found = folder.readable("scores") if folder else Rows([], [])
    status = checked(status, found, run.spec.budget.generator_updates)
    return status, [] if status.outcome == Outcome.DAMAGED else found.rows


def _judged(
    run: PlannedRun, folder: RunFolder | None, status: Status, tuning: Tuning | None
) -> dict[str, float]:
    """Return a completed run's objectives: its audit's bounds are no columns otherwise."""
    if tuning is None or folder is None or status.outcome != Outcome.COMPLETED:
        return {}
    updates = run.spec.budget.generator_updates
    return objectives.known(tuning.objectives, folder, status, updates)


def _trial(
    run: PlannedRun,
    folder: RunFolder | None,
    statuses: Mapping[str, Status],
    wanted: Sequence[Objective],
) -> dict[str, Any]:
    """Return what came of a trial."""
    status, scores = _read(run, folder, statuses)
    told: dict[str, float] = {}
    during = objectives.intermediate(wanted[0], scores)
    starts = [s["started"] for s in sessions(folder) if "started" in s] if folder else []
    if folder and status.outcome in (Outcome.COMPLETED, Outcome.DIVERGED):
        updates = run.spec.budget.generator_updates
        told = objectives.known(wanted, folder, status, updates)
    return {
        "outcome": status.outcome.value,
        "cause": status.cause,
        **{objective.name: math.nan for objective in wanted},
        "intermediate": during[max(during)] if during else math.nan,
        "generator_updates": status.update,
        "seconds": objectives.seconds(status),
        "started": starts[0] if starts else math.nan,
        "ended": status.heartbeat if status.ended else math.nan,
        **told,
    }


def _row(
    run: PlannedRun,
    folder: RunFolder | None,
    status: Status,
    scores: Sequence[Mapping[str, Any]],
    protocol: str,
) -> dict[str, Any]:
    spec = run.spec
    return {
        "run_id": folder.path.name if folder else run.id,
        "method": run.method,
        "methods": " + ".join(method.name for method in spec.methods),
        "params": json.dumps({method.name: method.params for method in spec.methods}),
        "setting": run.setting,
        "lr": spec.setting.lr,
        "beta1": spec.setting.beta1,
        "beta2": spec.setting.beta2,
        "optimizer": spec.setting.optimizer,
        "lr_g": spec.setting.lr_g or spec.setting.lr,
        "alpha": spec.setting.alpha,
        "momentum": spec.setting.momentum,
        "n_dis": spec.setting.n_dis,
        "seed": spec.seed,
        "dataset": spec.dataset.name,
        "image_size": spec.dataset.image_size,
        "architecture": spec.architecture.name,
        "width": spec.architecture.params["width"],
        "latent_dim": spec.architecture.params["latent_dim"],
        "initialisation": spec.initialisation,
        "loss": str(spec.loss),
        "batch_size": spec.budget.batch_size,
        "generator_batch_size": spec.budget.generator_batch_size,
        "augmentation": str(spec.augmentation) or "none",
        "precision": spec.precision,
        "ema_decay": spec.ema_decay,
        "protocol": protocol,
        "outcome": status.outcome.value,
        "cause": status.cause,
        "generator_updates": status.update,
        "planned_updates": spec.budget.generator_updates,
        **final_scores(spec, scores, protocol),
        **cost(status),
        **_place(run),
    }


def _place(run: PlannedRun) -> dict[str, Any]:
    """Return which trial of a study a run is."""
    if run.trial is None:
        return {}
    return {
        "trial": run.trial.number,
        "repeat": run.trial.repeat,
        "confirms": run.trial.confirms,
    }


def final_scores(
    spec: RunSpec, rows: Sequence[Mapping[str, Any]], protocol: str
) -> dict[str, Any]:
    """Return the scores that are reported; those that choose a checkpoint are curves.

    Only `collapsed`, as NA, before the run is scored at the end of its budget.
    """
    found = {
        row["checkpoint"]: row
        for row in rows
        if row.get("protocol") == protocol and row["checkpoint"] != "selection"
    }
    last, best = found.get("last"), found.get("best")
    if last and best and best.get("reached", last["update"]) != last["update"]:
        best = None  # chosen before the run went on
    if last is None or last["update"] != spec.budget.generator_updates:
        return {"collapsed": pd.NA}
    columns: dict[str, Any] = {"collapsed": last.get("collapsed")}
    for name, value in last["scores"].items():
        columns[name] = float(value)
        for part, suffix in (("floors", "floor"), ("spreads", "std"), ("errors", "se")):
            if name in last.get(part, {}):
                columns[f"{name}_{suffix}"] = float(last[part][name])
        if best and name in best["scores"]:
            chosen = float(best["scores"][name])
            worse = -1 if SCORES[name].higher_is_better else 1
            columns[f"{name}_best"] = chosen
            columns[f"{name}_gap"] = worse * (float(value) - chosen) + 0.0  # never -0.0
    return columns | ({"best_update": best["update"]} if best else {})


def cost(status: Status) -> dict[str, float]:
    """Return what a run has cost so far, by the names of `load_runs`; NaN is not measured."""
    costs = {name: status.cost.get(name, math.nan) for name in _COSTS}
    parts = ("seconds_training", "seconds_scoring", "seconds_auditing")
    return {"seconds": sum(costs[part] for part in parts), **costs}


def _unplanned(folders: list[RunFolder]) -> list[PlannedRun]:
    """Return runs that the plan does not name, with labels made from their values.

    A folder that holds no run of this version is passed over: it can't spoil the others' table.
    """
    found = []
    for folder in folders:
        with contextlib.suppress(UserError):
            spec = folder.spec()
            methods = " + ".join(method.name for method in spec.methods)
            found.append(PlannedRun(spec, methods, str(spec.setting)))
    return found


def _protocol(wanted: str | Protocol | None, plan: Plan, suite: SuiteFolder) -> Protocol:
    """Return the protocol that is asked for, by its id, or by its name where one has it.

    Raises UserError for an id that nothing has.
    """
    if not isinstance(wanted, str):
        return wanted or plan.protocol
    known: dict[str, Protocol] = {}
    for found in (
        lambda: {protocol.id: protocol for protocol in (*PROTOCOLS.values(), plan.protocol)},
        suite.protocols,
        lambda: _beside_scores(suite),
    ):
        known |= found()
        named = [each for each in known.values() if wanted in (each.id, each.name)]
        if len(named) == 1:
            return named[0]
    raise UserError(unknown("protocol", wanted, known))


def _beside_scores(suite: SuiteFolder) -> dict[str, Protocol]:
    """Return the protocols whose records older versions kept beside the scores."""
    rows = [row for folder in suite.folders().values() for row in folder.rows("scores")]
    stored = {row["protocol"]: row["record"] for row in rows if row.get("record")}
    return {id_: protocols.from_json(record) for id_, record in stored.items()}


def _columns(protocol: Protocol, tuning: Tuning | None) -> dict[str, str | None]:
    """Return the columns of `load_runs` in their order, with their types."""
    parts = ("", "_floor", "_std", "_se", "_best", "_gap")
    scores = [f"{score}{part}" for score in protocol.scores for part in parts]
    measured = dict.fromkeys([*scores, "best_update", "seconds", *_COSTS], "float")
    columns = {**_FIRST, **_ABOUT, "collapsed": "boolean", **measured}
    if tuning is None:
        return columns
    judged = dict.fromkeys([objective.name for objective in tuning.objectives], "float")
    return {**columns, **judged, **_OF_TRIALS}


def _typed(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str | None]) -> pd.DataFrame:
    """Return rows as a table; columns beyond the given ones (of another protocol) come last."""
    others = sorted({name for row in rows for name in row} - columns.keys())
    frame = pd.DataFrame(rows, columns=[*columns, *others])
    types = {name: kind for name, kind in columns.items() if kind}
    if not rows:  # of a study before its first trial
        types |= {name: "int64" for name, kind in columns.items() if kind is None}
    return frame.astype({**types, **dict.fromkeys(others, "float")})
