"""One suite's experiment in an MLflow store, and how a run's folder becomes an MLflow run."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipbench.outcome import Outcome
from lipbench.planning.plan import Plan, PlannedRun
from lipbench.runs import checkpoints, locks
from lipbench.runs.run_folder import RunFolder, Status
from lipbench.runs.suite_folder import SuiteFolder
from lipbench.tracking import connection, contents, parents
from lipbench.tracking.connection import HASH_TAG
from lipbench.tracking.contents import Point, milliseconds

if TYPE_CHECKING:
    from mlflow.entities import Run

_METRICS_A_REQUEST = 1000  # MLflow's limit
_PARAMS_A_REQUEST = 100
_FORM, _FORM_TAG = "2", "lipbench.form"  # of what a mirror holds; the first one had no such tag
_CHECKPOINT_TAG = "lipbench.checkpoint"
_PARENT_TAG = "mlflow.parentRunId"  # MLflow's page folds such runs under their parent
_REPORT = "report"
_REPLACED = (
    "MLflow: runs that an older lipbench mirrored are replaced, so that their metrics are in "
    "groups; MLflow keeps the old ones among its deleted runs"
)
_PASSING = ("cause", "not finite")  # tags that a run may lose again
_STATES = {
    **{outcome: "FINISHED" for outcome in Outcome if outcome.is_result},
    Outcome.RUNNING: "RUNNING",
    Outcome.INTERRUPTED: "KILLED",
    Outcome.QUEUED: "SCHEDULED",
}


class Mirror:
    """One suite's experiment in an MLflow store, for one process and one thread at a time."""

    def __init__(
        self, uri: str, suite: SuiteFolder, plan: Plan, log_checkpoints: bool = False
    ) -> None:
        """Connect, making the experiment at the first time; raises what MLflow raises."""
        self._suite = suite
        self._plan = plan
        self._planned = {run.spec.hash: run for run in plan.unique}
        self._folders = suite.folders()
        self._log_checkpoints = log_checkpoints
        self._parents: dict[str, str] = {}  # MLflow's ids, by key
        self._summarised: dict[str, Status] = {}  # of runs, by hash, as their parents tell of them
        self._sent: dict[str, set[Point]] = defaultdict(set)  # of parents and of unfinished runs
        with self._alone(), connection.first_use(uri):
            self._client = connection.connect(uri)
            experiment, remark = connection.experiment(self._client, suite, plan)
        self._experiment, self.name = str(experiment.experiment_id), experiment.name
        self.remarks = [remark] if remark else []  # what a user should know of the store

    def send(self, hash_: str) -> None:
        """Send what a run's folder holds now: parameters, metrics, scores, tags and files."""
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
        facts = contents.facts(run, folder, status, sessions, self._plan.protocol.id)
        started = milliseconds(sessions[0]["started"])
        parent_id = self._parent(run, started)
        id_ = self._run(hash_, contents.run_name(run), started)
        stored = self._client.get_run(id_)
        self._send_params(stored, facts.params)
        self._send_dataset(stored, run)
        self._send_points(id_, facts.points)
        self._send_tags(stored, {**facts.tags, _PARENT_TAG: parent_id})
        self._send_files(id_, folder, status)
        if self._log_checkpoints and status.outcome.is_result:
            self._send_checkpoint(stored, folder)
        self._end(id_, _STATES.get(status.outcome, "FAILED"), status.heartbeat, status.ended)
        if status.ended:
            del self._sent[id_]
        if self._summarised.get(hash_) != status:
            self._summarise(parent_id, run)

    def catch_up(self) -> None:
        """Send the runs that have ended otherwise than the store knows: a kill came between."""
        known = {run.data.tags[HASH_TAG]: run for run in self._every() if not _is_old(run)}
        active = {run.info.run_id for run in known.values()}
        for hash_, status in self._suite.statuses().items():
            if status.outcome in (Outcome.QUEUED, Outcome.RUNNING, Outcome.DAMAGED):
                continue
            if hash_ not in known or not self._is_whole(known[hash_], status, active):
                self.send(hash_)

    def _is_whole(self, run: Run, status: Status, active: set[str]) -> bool:
        """Return whether the store has all of a run that has ended, and its parent."""
        tags = run.data.tags
        wants = self._log_checkpoints and status.outcome.is_result
        return (
            run.info.status == _STATES.get(status.outcome, "FAILED")
            and tags.get("outcome") == status.outcome
            and tags.get(_PARENT_TAG) in active
            and (_CHECKPOINT_TAG in tags or not wants)
        )

    def _every(self, filter_: str = "") -> Iterator[Run]:
        """Yield the runs of the experiment that lipbench made and nobody deleted."""
        token = None
        while True:
            page = self._client.search_runs([self._experiment], filter_, page_token=token)
            yield from (run for run in page if HASH_TAG in run.data.tags)
            token = page.token
            if not token:
                return

    def send_report(self, folder: Path) -> None:
        """Send the rendered report as the artifact of a run of its own, called report."""
        made = milliseconds((folder / "index.html").stat().st_mtime)
        id_ = self._run(_REPORT, _REPORT, made, at_any_time=True)
        self._client.log_artifacts(id_, str(folder), _REPORT)
        begun = self._client.get_run(id_).info.start_time  # of the first report
        self._client.set_terminated(id_, "FINISHED", begun)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold off other processes that mirror this suite: none makes a second of anything."""
        with locks.held_where_possible(self._suite.path / ".mlflow.lock"):
            yield

    def _look_up(self, hash_: str) -> PlannedRun | None:
        """Return a planned run; the plan is read again for one that it has got since."""
        if hash_ not in self._planned:
            self._read_plan()
        return self._planned.get(hash_)

    def _read_plan(self) -> None:
        self._plan = self._suite.plan()
        self._planned |= {run.spec.hash: run for run in self._plan.unique}

    def _run(self, key: str, name: str, started: int, at_any_time: bool = False) -> str:
        """Return the id of the MLflow run of a hash or key, made at the first time."""
        id_ = self._find(key, started, at_any_time)
        if id_ is None:
            with self._alone():
                id_ = self._find(key, started, at_any_time) or self._make(key, name, started)
        return id_

    def _find(self, key: str, started: int, at_any_time: bool = False) -> str | None:
        """Return the id of the MLflow run of a hash or key, if there is one.

        One that was started at another time is of a run that has been set aside since: it goes.
        One of an older form goes too: its metrics have other names, and MLflow can't rename.
        """
        for run in list(self._every(f"tags.`{HASH_TAG}` = '{key}'")):
            if not _is_old(run) and (at_any_time or run.info.start_time == started):
                return str(run.info.run_id)
            self._client.delete_run(run.info.run_id)
            if _is_old(run) and _REPLACED not in self.remarks:
                self.remarks.append(_REPLACED)
        return None

    def _make(self, key: str, name: str, started: int) -> str:
        tags = {HASH_TAG: key, _FORM_TAG: _FORM}
        tags |= {"mlflow.source.name": "lipbench", "mlflow.source.type": "LOCAL"}
        made = self._client.create_run(
            self._experiment, start_time=started, tags=tags, run_name=name
        )
        return str(made.info.run_id)

    def _parent(self, run: PlannedRun, started: int) -> str:
        """Return the id of a run's parent, made when its first child is sent."""
        parent = parents.parent(run, self._plan)
        if parent.key not in self._parents:
            id_ = self._run(parent.key, parent.name, started, at_any_time=True)
            stored = self._client.get_run(id_)
            self._send_params(stored, parent.params)
            self._send_tags(stored, parent.tags)
            self._send_dataset(stored, run)
            if parent.old_key:
                self._replace_old(parent.old_key, id_)
            self._parents[parent.key] = id_
        return self._parents[parent.key]

    def _replace_old(self, old_key: str, id_: str) -> None:
        """Nest the children of a parent of an older form under the new one, which replaces it."""
        # Not `= '...'`: a label may have quotation marks.
        with self._alone():
            for old in list(self._every(f"tags.`{HASH_TAG}` LIKE 'method: %'")):
                if old.data.tags[HASH_TAG] == old_key:
                    for child in list(self._every(f"tags.`{_PARENT_TAG}` = '{old.info.run_id}'")):
                        self._client.set_tag(child.info.run_id, _PARENT_TAG, id_)
                    self._client.delete_run(old.info.run_id)

    def _summarise(self, id_: str, run: PlannedRun) -> None:
        """Send how the children of a run's parent stand, whichever process does them."""
        with self._alone():  # else an older view could be sent last
            if self._plan.tuning:  # other processes may have added trials
                self._read_plan()
                self._folders = self._suite.folders()
            tuning = self._plan.tuning
            siblings = parents.siblings(run, self._plan)
            children = parents.standing(siblings, self._folders, self._plan)
            self._send_points(id_, parents.points(children, self._plan))
            self._send_tags(self._client.get_run(id_), parents.tags(children, tuning))
            state = parents.state(children)
            last = max(status.heartbeat for _, status, _ in children)
            self._end(id_, state, last, state in ("FINISHED", "FAILED"))
            self._summarised |= {child.spec.hash: status for child, status, _ in children}

    def _end(self, id_: str, state: str, last: float, ended: bool) -> None:
        """Give a run its state, and the time of its end if it has ended."""
        if ended:
            self._client.set_terminated(id_, state, milliseconds(last))
        else:
            self._client.update_run(id_, state)

    def _send_params(self, stored: Run, params: Mapping[str, str]) -> None:
        """Send those parameters that a run has not got yet; MLflow lets none be changed."""
        from mlflow.entities import Param

        new = [Param(k, v) for k, v in params.items() if k not in stored.data.params]
        for chunk in _chunks(new, _PARAMS_A_REQUEST):
            self._client.log_batch(stored.info.run_id, params=chunk)

    def _send_dataset(self, stored: Run, run: PlannedRun) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        if stored.inputs is None or not stored.inputs.dataset_inputs:
            used = Dataset(**contents.dataset(run, self._plan))
            context = [InputTag("mlflow.data.context", "training")]
            with self._alone():  # the first run with a dataset makes its row in the store
                self._client.log_inputs(stored.info.run_id, [DatasetInput(used, context)])

    def _send_points(self, id_: str, points: Iterable[Point]) -> None:
        """Send metrics that were not sent yet; MLflow keeps one of equal points, and is slow."""
        from mlflow.entities import Metric

        for chunk in _chunks(sorted({*points} - self._sent[id_]), _METRICS_A_REQUEST):
            self._client.log_batch(id_, metrics=[Metric(*point) for point in chunk])
            self._sent[id_].update(chunk)

    def _send_tags(self, stored: Run, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        id_, known = stored.info.run_id, stored.data.tags
        new = [RunTag(key, value) for key, value in tags.items() if known.get(key) != value]
        if new:
            self._client.log_batch(id_, tags=new)
        for key in _PASSING:
            if key in known and key not in tags:
                self._client.delete_tag(id_, key)

    def _send_files(self, id_: str, folder: RunFolder, status: Status) -> None:
        """Send the spec, the manifest, which grows with each start, and new samples."""
        known = {entry.path for entry in self._client.list_artifacts(id_)}
        for name in ("spec.json", "manifest.json"):
            grows = name == "manifest.json" and status.ended
            if (name not in known or grows) and (folder.path / name).exists():
                self._client.log_artifact(id_, str(folder.path / name))
        samples = folder.samples()
        if samples and "samples" in known:
            known |= {entry.path for entry in self._client.list_artifacts(id_, "samples")}
        for sample in samples:
            if f"samples/{sample.name}" not in known:
                self._client.log_artifact(id_, str(sample), "samples")

    def _send_checkpoint(self, stored: Run, folder: RunFolder) -> None:
        path = folder.path / checkpoints.CURRENT
        if _CHECKPOINT_TAG not in stored.data.tags and path.exists():
            self._client.log_artifact(stored.info.run_id, str(path), "checkpoint")
            self._client.set_tag(stored.info.run_id, _CHECKPOINT_TAG, f"checkpoint/{path.name}")


def _is_old(run: Run) -> bool:
    """Return whether a run was mirrored by an older lipbench, whose metrics had no groups."""
    return run.data.tags.get(_FORM_TAG) != _FORM


def _chunks(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
