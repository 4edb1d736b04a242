"""Mirror run folders to MLflow. The folders are the truth: a mirror can be made again at any time.

One experiment a suite, one MLflow run a run; in a study these are children of one run a method.
Timestamps come from the run's folder, so sending a run again changes nothing. If the store is
away, training goes on; the next `lipbench run`, `tune`, `report` or `sync` catches up.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipbench import locks
from lipbench.plan import Plan, PlannedRun, Trial
from lipbench.store import RunFolder, Status, SuiteFolder
from lipbench.tuning import objectives
from lipbench.tuning.record import Objective, Tuning
from lipbench.urls import local_file, masked

if TYPE_CHECKING:
    from mlflow import MlflowClient

_METRICS_A_REQUEST = 1000  # MLflow's limit
_PARAMS_A_REQUEST = 100
_FAILURES = 2  # in a row: then a store counts as away, and `lipbench sync` is left to the user
_HASH_TAG = "lipbench.hash"
_PARENT_TAG = "mlflow.parentRunId"  # MLflow's page folds such runs under their parent
_METHOD = "method: "  # begins what stands for a hash in a parent's tag
_REPORT = "report"
_MLFLOW_STATUS = {"completed": "FINISHED", "diverged": "FINISHED", "running": "RUNNING"}
_MLFLOW_STATUS |= {"pruned": "FINISHED"}
_MLFLOW_STATUS |= {"interrupted": "KILLED", "queued": "SCHEDULED"}

_Standing = tuple[Trial, Status, dict[str, float]]


class Mirror:
    """One suite's experiment in an MLflow store, for one process and one thread at a time."""

    def __init__(self, uri: str, suite: SuiteFolder, plan: Plan) -> None:
        """Connect, making the experiment at the first time; raises what MLflow raises."""
        self._suite = suite
        self._plan = plan
        self._planned = {run.spec.hash: run for run in plan.unique}
        self._folders = suite.folders()
        self._parents: dict[str, str] = {}  # MLflow's ids, by the methods' labels
        self._points: set[tuple[str, str, float, int, int]] = set()  # sent of the parents' metrics
        self._summarised: dict[str, Status] = {}  # of trials, by hash, as the parents tell of them
        self.remarks: list[str] = []  # on what was put right in the store
        with self._alone(), _first_use(uri):
            self._client = _client(uri)
            self._experiment = self._open(plan)

    def send(self, hash_: str) -> None:
        """Send what a run's folder holds now: parameters, metrics, scores, tags and samples."""
        from mlflow.entities import RunTag

        if hash_ not in self._folders:
            self._folders = self._suite.folders()
        folder = self._folders.get(hash_)
        sessions = folder.sessions() if folder else []
        if folder is None or not sessions:  # its worker has not begun yet
            return
        run = self._look_up(hash_)
        if run is None:
            return
        status = folder.status()
        started = round(1000 * sessions[0]["started"])
        parent = self._parent(run, started)
        id_ = self._run(hash_, folder.path.name, started)
        self._log(id_, run, folder, started)
        tags = _tags(run, status, sessions[-1]) | _not_finite(folder)
        tags |= {_PARENT_TAG: parent} if parent else {}
        self._client.log_batch(id_, tags=[RunTag(key, value) for key, value in tags.items()])
        for stale in {"cause", "not finite"} & set(self._client.get_run(id_).data.tags) - set(
            tags
        ):
            self._client.delete_tag(id_, stale)
        known = {entry.path for entry in self._client.list_artifacts(id_, "samples")}
        for sample in folder.samples():
            if f"samples/{sample.name}" not in known:
                self._client.log_artifact(id_, str(sample), "samples")
        state = _MLFLOW_STATUS.get(status.outcome, "FAILED")
        if status.ended:
            self._client.set_terminated(id_, state, round(1000 * status.heartbeat))
        else:
            self._client.update_run(id_, state)
        if parent and self._summarised.get(hash_) != status:
            self._summarise(parent, run.method)

    def catch_up(self) -> None:
        """Send the runs that have ended otherwise than the store knows: a kill came between."""
        known = dict(self._known())
        for hash_, status in self._suite.statuses().items():
            state = _MLFLOW_STATUS.get(status.outcome, "FAILED")
            if status.outcome not in ("queued", "running", "damaged") and known.get(hash_) != (
                state,
                status.outcome,
            ):
                self.send(hash_)

    def _known(self) -> Iterator[tuple[str, tuple[str, str | None]]]:
        """Yield the hash of each run in the store, with its state and its outcome."""
        token = None
        while True:
            page = self._client.search_runs([self._experiment], page_token=token)
            for run in page:
                tags = run.data.tags
                if _HASH_TAG in tags:
                    yield tags[_HASH_TAG], (run.info.status, tags.get("outcome"))
            token = page.token
            if not token:
                return

    def send_report(self, folder: Path) -> None:
        """Send the rendered report as the artifact of a run of its own, called report."""
        id_ = self._run(_REPORT, _REPORT, 0)
        self._client.log_artifacts(id_, str(folder), _REPORT)
        self._client.set_terminated(id_, "FINISHED")

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold off other processes that mirror this suite: none makes a second of anything."""
        with locks.held_where_possible(self._suite.path / ".mlflow.lock"):
            yield

    def _open(self, plan: Plan) -> str:
        """Return the id of the suite's experiment, made at the first time."""
        found = self._client.get_experiment_by_name(plan.name)
        if found is not None and found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
            self.remarks.append(f"MLflow: the experiment {plan.name} was deleted; it is restored")
        if found is not None:
            return str(found.experiment_id)
        artifacts = (self._suite.path.parent / "mlflow-artifacts" / plan.name).resolve().as_uri()
        made = str(self._client.create_experiment(plan.name, artifacts))
        # MLflow's page then opens on training runs, and not on traces of language models.
        about = {"mlflow.experimentKind": "custom_model_development"}
        about |= {"mlflow.note.content": plan.description} if plan.description else {}
        for key, value in about.items():
            self._client.set_experiment_tag(made, key, value)
        return made

    def _look_up(self, hash_: str) -> PlannedRun | None:
        """Return a planned run; the plan is read again for one that it has got since."""
        if hash_ not in self._planned:
            self._read_plan()
        return self._planned.get(hash_)

    def _read_plan(self) -> None:
        self._plan = self._suite.plan()
        self._planned |= {run.spec.hash: run for run in self._plan.unique}

    def _run(self, hash_: str, name: str, started: int) -> str:
        """Return the id of the MLflow run of a hash, made at the first time."""
        found = self._find(hash_, started)
        if found is None:
            with self._alone():
                found = self._find(hash_, started) or self._make(hash_, name, started)
        return found

    def _find(self, hash_: str, started: int) -> str | None:
        """Return the id of the MLflow run of a hash, if there is one.

        One that was started at another time is of a run that has been set aside since: it goes.
        """
        for run in self._client.search_runs([self._experiment], f"tags.`{_HASH_TAG}` = '{hash_}'"):
            if run.info.start_time == started:
                return str(run.info.run_id)
            self._client.delete_run(run.info.run_id)
        return None

    def _make(self, hash_: str, name: str, started: int) -> str:
        tags = {_HASH_TAG: hash_, "mlflow.source.name": "lipbench", "mlflow.source.type": "LOCAL"}
        made = self._client.create_run(
            self._experiment, start_time=started, tags=tags, run_name=name
        )
        return str(made.info.run_id)

    def _parent(self, run: PlannedRun, started: int) -> str | None:
        """Return the id of the run of a trial's method, made when the first trial is sent."""
        tuning, method = self._plan.tuning, run.method
        if run.trial is None or tuning is None:
            return None
        if method not in self._parents:
            with self._alone():
                found = self._find_parent(method) or self._make(_METHOD + method, method, started)
                self._log_params(found, _searched(tuning, method))
            self._parents[method] = found
        return self._parents[method]

    def _find_parent(self, method: str) -> str | None:
        # Not `= '...'`: a label may have quotation marks.
        every = self._client.search_runs(
            [self._experiment], f"tags.`{_HASH_TAG}` LIKE '{_METHOD}%'"
        )
        found = [run.info.run_id for run in every if run.data.tags[_HASH_TAG] == _METHOD + method]
        return str(found[0]) if found else None

    def _summarise(self, parent: str, method: str) -> None:
        """Send how a method's trials stand, whichever process does them."""
        from mlflow.entities import Metric, RunTag

        with self._alone():  # else an older view could be sent last
            self._read_plan()
            tuning = self._plan.tuning
            if tuning is None:
                return
            trials = self._trials(method, tuning.objectives)
            points = {(parent, *point) for point in _progress(trials, tuning.objectives)}
            for chunk in _chunks(sorted(points - self._points), _METRICS_A_REQUEST):
                self._client.log_batch(parent, metrics=[Metric(*point[1:]) for point in chunk])
            self._points |= points
            # A tag: parameters are final in MLflow, and a study can go on with a larger budget.
            budget = tuning.amount_text
            self._client.log_batch(parent, tags=[RunTag("budget", budget)])
            if trials and all(status.ended for _, status, _ in trials):
                last = max(status.heartbeat for _, status, _ in trials)
                self._client.set_terminated(parent, "FINISHED", round(1000 * last))
            else:
                self._client.update_run(parent, "RUNNING")

    def _trials(self, method: str, wanted: Sequence[Objective]) -> list[_Standing]:
        """Return every trial and confirmation of a method, how it stands and what came of it."""
        folders = self._suite.folders()
        trials = []
        for run in self._plan.runs:
            if run.trial and run.method == method:
                folder = folders.get(run.spec.hash)
                status = folder.status() if folder else Status()
                updates = run.spec.budget.generator_updates
                values = {}
                if folder and status.outcome == "completed":
                    values = objectives.known(wanted, folder, status, updates)
                trials.append((run.trial, status, values))
                self._summarised[run.spec.hash] = status
        return trials

    def _log(self, id_: str, run: PlannedRun, folder: RunFolder, time_: int) -> None:
        from mlflow.entities import Metric

        self._log_params(id_, flatten(run))
        metrics = [
            Metric(name, value, time_, update)
            for update, name, value in _series(folder)
            if math.isfinite(value)
        ]
        for chunk in _chunks(metrics, _METRICS_A_REQUEST):
            self._client.log_batch(id_, metrics=chunk)

    def _log_params(self, id_: str, params: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        known = self._client.get_run(id_).data.params
        new = [Param(k, v) for k, v in params.items() if k not in known]
        for chunk in _chunks(new, _PARAMS_A_REQUEST):
            self._client.log_batch(id_, params=chunk)


class Courier:
    """Sends runs to a mirror from a thread, so that training never waits for a database."""

    def __init__(self, uri: str, suite: SuiteFolder, plan: Plan) -> None:
        self.problem: str | None = None
        self.remarks: list[str] = []
        self._failures = 0
        self._waiting: set[str] = set()
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._thread = threading.Thread(target=self._deliver, args=(uri, suite, plan), daemon=True)
        self._thread.start()

    def send(self, hash_: str) -> None:
        """Send a run's folder as soon as may be, as it is then."""
        if hash_ not in self._waiting and self._failures < _FAILURES:
            self._waiting.add(hash_)
            self._queue.put(hash_)

    def close(self) -> None:
        """Wait until everything is sent, or has failed (see `problem`)."""
        self._queue.put(None)
        self._thread.join()

    def _deliver(self, uri: str, suite: SuiteFolder, plan: Plan) -> None:
        mirror = None
        hash_: str | None = ""  # first of all: what an earlier command could not send
        while hash_ is not None:
            self._waiting.discard(hash_)
            try:
                if self._failures < _FAILURES:
                    mirror = mirror or Mirror(uri, suite, plan)
                    self.remarks = mirror.remarks
                    mirror.send(hash_) if hash_ else mirror.catch_up()
                    self._failures = 0
            # Whatever goes wrong with a store, from any of its many backends, is told at the end:
            # the folders are whole without it.
            except Exception as error:
                self.problem = masked(f"{type(error).__name__}: {error}".splitlines()[0], uri)
                self._failures += 1
            hash_ = self._queue.get()


def flatten(run: PlannedRun) -> dict[str, str]:
    """Return every resolved value of a run as MLflow parameters, e.g. `setting.lr`."""

    def leaves(value: Any, prefix: str) -> Iterator[tuple[str, str]]:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                yield from leaves(inner, f"{prefix}.{key}" if prefix else key)
        else:
            yield prefix, str(value)

    spec = run.spec.to_json()
    methods = {method["name"]: method["params"] for method in spec.pop("methods")}
    labels = {"method": run.method, "setting": run.setting}
    given = {f"{name}_label": label for name, label in labels.items()}
    return {**given, **dict(leaves({**spec, **methods}, ""))}


@contextlib.contextmanager
def _first_use(uri: str) -> Iterator[None]:
    """Hold off others while a local SQLite store is opened: two cannot make its tables at once."""
    if (file := local_file(uri)) is None:
        yield
        return
    with locks.held_where_possible(file.with_name(f".{file.name}.lock")):
        yield


def _client(uri: str) -> MlflowClient:
    # A server that is away is told of in seconds; by default MLflow tries for minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    for name in ("alembic", "mlflow"):  # they announce each migration of a new database
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(uri)


def _series(folder: RunFolder) -> Iterator[tuple[int, str, float]]:
    """Yield (update, name, value) of a run's metrics and scores."""
    for row in folder.rows("metrics"):
        for name, value in row.items():
            if name != "update":
                yield row["update"], name, float(value)
    for row in folder.rows("scores"):
        suffix = "" if row["checkpoint"] == "last" else f"_{row['checkpoint']}"
        for name, value in row["scores"].items():
            yield row["update"], f"{name}{suffix}", float(value)
        for name, value in row.get("floors", {}).items():
            yield row["update"], f"{name}_floor", float(value)
    for row in folder.rows("evals"):
        protocol = row.get("protocol", "").replace("@", "_v")
        for name, value in row["scores"].items():
            yield row["update"], f"{protocol}.{row['checkpoint']}.{name}", float(value)
    for row in folder.rows("audits"):
        for name in ("lower_bound", "upper_bound", "upper_bound_kernel", "overfitting_gap"):
            if row.get(name) is not None:
                yield row["update"], f"audit.{name}", float(row[name])


def _not_finite(folder: RunFolder) -> dict[str, str]:
    """Return the tag that stands for values which no metric can hold, at most the first few."""
    bad = [
        f"{name} at update {u}" for u, name, value in _series(folder) if not math.isfinite(value)
    ]
    return {"not finite": ", ".join(bad[:5])} if bad else {}


def _searched(tuning: Tuning, method: str) -> dict[str, str]:
    """Return how a study searches for a method, as parameters of the method's run."""
    return {
        "objectives": ", ".join(objective.name for objective in tuning.objectives),
        "sampler": tuning.sampler,
        "pruner": tuning.pruner,
        **{parameter.name: str(parameter) for parameter in tuning.search.get(method, ())},
    }


def _progress(
    trials: Sequence[_Standing], wanted: Sequence[Objective]
) -> Iterator[tuple[str, float, int, int]]:
    """Yield (name, value, time, step) of how many trials had ended, and the best values by then.

    Confirmations don't count: they have other seeds, and only the best configurations have any.
    """
    ended = [(s, values) for trial, s, values in trials if s.ended and not trial.confirms]
    best: dict[str, float] = {}
    for step, (status, values) in enumerate(sorted(ended, key=lambda e: e[0].heartbeat), start=1):
        time = round(1000 * status.heartbeat)
        yield "trials_ended", float(step), time, step
        for objective in wanted:
            name, better = objective.name, max if objective.higher_is_better else min
            if name in values:
                best[name] = better(values[name], best.get(name, values[name]))
            if name in best:
                yield f"best_{name}", best[name], time, step


def _tags(run: PlannedRun, status: Status, session: Mapping[str, Any]) -> dict[str, str]:
    tags = {
        "method": run.method,
        "setting": run.setting,
        "seed": str(run.spec.seed),
        "outcome": status.outcome,
        "protocol": run.spec.protocol,
        "revision": session["revision"] or "unknown",
    }
    if run.trial:
        tags |= {name: str(getattr(run.trial, name)) for name in ("repeat", "confirms")}
        tags["trial"] = str(run.trial.number)
    return {**tags, "cause": status.cause} if status.cause else tags


def _chunks(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
