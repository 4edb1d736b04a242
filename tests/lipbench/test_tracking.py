"""The MLflow mirror, in a store of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import subprocess
import sys

import pytest
from mlflow import MlflowClient

from lipbench.plan import Trial
from lipbench.store import Status, SuiteFolder
from lipbench.tracking import Mirror, flatten
from lipbench.tuning.record import Objective, Parameter, Tuning

TUNING = Tuning(
    search={"it's none": (), 'the "SN"': (Parameter("lr", "float", 1e-5, 1e-2, log=True),)},
    objectives=(
        Objective("fd_digits", "Frechet distance", False, 1e9),
        Objective("seconds_per_update", "seconds", False, 1e9),
        Objective("classifier_score", "classifier score", True, 0.0),
    ),
    sampler="TPESampler",
    pruner="NopPruner",
    budget="trials",
    amount=25.0,
    seeds=(0,),
    configurations=1,
    confirm_seeds=(100,),
)


@pytest.fixture
def mirrored(write, plan_of, tasks_of, tmp_path):
    """Return a plan's folder, a mirror of it, and what there is to do."""
    plan = plan_of(write())
    tasks = tasks_of(plan)
    folder = SuiteFolder(tmp_path / "runs" / "tiny")
    return folder, Mirror(f"sqlite:///{tmp_path / 'mlflow.db'}", folder, plan), tasks


def only_run(mirror: Mirror):
    (run,) = mirror._client.search_runs([mirror._experiment])
    return run


def test_a_run_half_done_is_shown_and_sending_it_again_changes_nothing(mirrored, do):
    folder, mirror, tasks = mirrored
    task = tasks[1]
    do(task, stop_after=4)
    for _ in range(2):
        mirror.send(task.run.spec.hash)
        run = only_run(mirror)
        assert (run.info.status, run.data.tags["outcome"]) == ("KILLED", "interrupted")
        assert len(mirror._client.get_metric_history(run.info.run_id, "loss_g")) == 2
    do(task)
    mirror.send(task.run.spec.hash)
    run = only_run(mirror)
    assert (run.info.status, run.data.tags["outcome"]) == ("FINISHED", "completed")
    assert [p.step for p in mirror._client.get_metric_history(run.info.run_id, "loss_g")] == [
        2,
        4,
        6,
    ]
    assert (
        run.data.metrics["fd_digits"]
        == folder.folders()[task.run.spec.hash].rows("scores")[-1]["scores"]["fd_digits"]
    )
    artifacts = mirror._client.list_artifacts(run.info.run_id, "samples")
    assert [artifact.path for artifact in artifacts] == ["samples/00000006.png"]


def test_a_run_without_a_folder_yet_is_passed_over(mirrored):
    _, mirror, tasks = mirrored
    mirror.send(tasks[0].run.spec.hash)
    assert mirror._client.search_runs([mirror._experiment]) == []


def test_parameters_are_every_resolved_value(mirrored):
    _, _, tasks = mirrored
    params = flatten(tasks[1].run)
    assert params["method_label"] == "SN"
    assert params["spectral_norm.power_iterations"] == "1"
    assert params["budget.generator_updates"] == "6"
    assert params["dataset.fingerprint"]


def test_values_that_are_not_finite_become_a_tag_and_no_metric(mirrored, do):
    folder, mirror, tasks = mirrored
    do(tasks[0])
    run_folder = folder.folders()[tasks[0].run.spec.hash]
    run_folder.append("metrics", {"update": 7, "loss_d": float("nan"), "loss_g": 1.0})
    mirror.send(tasks[0].run.spec.hash)
    run = only_run(mirror)
    assert run.data.tags["not finite"] == "loss_d at update 7"
    assert [p.step for p in mirror._client.get_metric_history(run.info.run_id, "loss_d")] == [
        2,
        4,
        6,
    ]


def test_a_run_that_no_plan_has_is_passed_over(mirrored):
    folder, mirror, _ = mirrored
    stray = folder.path / "runs" / "none-C-s0-0123456789ab"
    stray.mkdir(parents=True)
    (stray / "manifest.json").write_text('{"sessions": [{"started": 1.0, "revision": null}]}')
    mirror.send("0123456789ab")
    assert mirror._client.search_runs([mirror._experiment]) == []


class Study:
    """A study of two methods in one folder, whose trials end when a test says so."""

    def __init__(self, plan, folder):
        self.folder = folder
        self.plan = dataclasses.replace(plan, tuning=TUNING)
        self.folder.save_plan(self.plan, "sqlite://")

    def ask(self, runs):
        """Put trials, and their confirmations, into the ledger."""
        for run in runs:
            if run.trial.confirms:
                self.folder.ledger().set_confirmations(run.method, run.trial.repeat, [run])
            else:
                self.folder.ledger().add_trial(run)

    def mirror(self, uri):
        return Mirror(uri, self.folder, self.folder.plan())

    def hash(self, method, number):
        """Return a trial's hash."""
        found = [run for run in self.plan.runs if method in run.method]
        return found[number].spec.hash

    def run(self, hash_, status, **scores):
        """Write what a run's folder holds when it is as this status says."""
        (run,) = (run for run in self.plan.runs if run.spec.hash == hash_)
        folder = self.folder.new_folder(run)
        folder.open(run.spec, {"started": 1000.0, "revision": None})
        row = {"update": 6, "checkpoint": "last", "scores": scores, "floors": {}}
        folder.append("scores", row)
        folder.set_status(status)
        return hash_


@pytest.fixture
def study(write, plan_of, tmp_path):
    """Return a study of three trials of each method, not asked for yet; the last one confirms."""
    entries = '[{none: {}, label: "it\'s none"}, {spectral_norm: {}, label: \'the "SN"\'}]'
    plan = plan_of(write(("[none, spectral_norm]", entries), ("[C]", "[A, B, C]")))
    runs = tuple(
        dataclasses.replace(run, trial=Trial(0, i % 3, {"lr": run.spec.setting.lr}, i % 3 == 2))
        for i, run in enumerate(plan.runs)
    )
    return Study(dataclasses.replace(plan, runs=runs), SuiteFolder(tmp_path / "runs" / "tiny"))


@pytest.fixture
def uri(tmp_path):
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def by_name(client):
    """Return the one experiment's runs by their names, which differ."""
    (experiment,) = [e for e in client.search_experiments() if e.name == "tiny"]
    runs = client.search_runs([experiment.experiment_id])
    assert len({run.info.run_name for run in runs}) == len(runs)
    return {run.info.run_name: run for run in runs}


def series(client, run, name):
    return [(p.step, p.value) for p in client.get_metric_history(run.info.run_id, name)]


COMPLETED = Status("completed", update=6, cost={"seconds_per_update": 0.5})


def test_a_studys_runs_are_children_of_their_methods_run(study, uri):
    study.ask(study.plan.runs)
    mirror = study.mirror(uri)
    mirror.send(study.run(study.hash("SN", 1), COMPLETED, fd_digits=7.0))
    mirror.send(study.run(study.hash("none", 2), Status("running")))
    runs = by_name(mirror._client)
    assert len(runs) == 4
    parent, other = runs['the "SN"'], runs["it's none"]
    assert parent.data.params == {
        "objectives": "fd_digits, seconds_per_update, classifier_score",
        "sampler": "TPESampler",
        "pruner": "NopPruner",
        "lr": "lr in [1e-05, 0.01], log",
    }
    assert parent.data.tags["budget"] == "25 trials"
    assert parent.info.status == other.info.status == "RUNNING"
    child = runs[study.folder.folders()[study.hash("SN", 1)].path.name]
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    names = ("trial", "repeat", "confirms")
    assert [child.data.tags[name] for name in names] == ["1", "0", "False"]
    child = runs[study.folder.folders()[study.hash("none", 2)].path.name]
    assert child.data.tags["mlflow.parentRunId"] == other.info.run_id
    assert [child.data.tags[name] for name in names] == ["2", "0", "True"]


def test_a_methods_run_tells_how_many_trials_ended_and_the_best_value_so_far(study, uri):
    study.ask(study.plan.runs)
    first, second, confirmation = (study.hash("SN", number) for number in range(3))
    study.run(second, COMPLETED, fd_digits=7.0, classifier_score=2.0)
    study.mirror(uri).send(second)
    study.run(first, COMPLETED, fd_digits="nan", classifier_score=3.0)
    study.run(confirmation, Status("running"))
    for hash_ in (first, second, confirmation):
        study.mirror(uri).send(hash_)
    client = MlflowClient(uri)
    assert by_name(client)['the "SN"'].info.status == "RUNNING"
    study.run(confirmation, COMPLETED, fd_digits=1.0)
    for _ in range(2):
        study.mirror(uri).send(confirmation)
        parent = by_name(client)['the "SN"']
        assert parent.info.status == "FINISHED"
        assert series(client, parent, "trials_ended") == [(1, 1.0), (2, 2.0)]
        assert series(client, parent, "best_fd_digits") == [(1, 7.0), (2, 7.0)]
        assert series(client, parent, "best_classifier_score") == [(1, 2.0), (2, 3.0)]
        assert series(client, parent, "best_seconds_per_update") == [(1, 0.5), (2, 0.5)]


def test_a_trial_that_the_study_has_got_since_is_looked_up(study, uri):
    study.ask(study.plan.runs[:1])
    mirror = study.mirror(uri)
    mirror.send(study.run(study.hash("none", 0), COMPLETED, fd_digits=7.0))
    assert by_name(mirror._client)["it's none"].info.status == "FINISHED"
    hash_ = study.run(study.hash("none", 1), COMPLETED, fd_digits=5.0)
    mirror.send(hash_)
    assert len(by_name(mirror._client)) == 2
    more = dataclasses.replace(TUNING, amount=50.0)
    study.folder.save_plan(dataclasses.replace(study.plan, tuning=more), "sqlite://")
    study.ask(study.plan.runs[1:])
    mirror.send(hash_)
    parent = by_name(mirror._client)["it's none"]
    assert parent.data.metrics["best_fd_digits"] == 5.0
    assert (parent.info.status, parent.data.tags["budget"]) == ("RUNNING", "50 trials")


MIRRORING = """
import sys
from pathlib import Path
from lipbench.store import SuiteFolder
from lipbench.tracking import Mirror
import mlflow.store.tracking.sqlalchemy_store
uri, path, *hashes = sys.argv[1:]
folder = SuiteFolder(Path(path))
plan = folder.plan()

def wait():
    print("ready", flush=True)
    sys.stdin.readline()

wait()
mirror = Mirror(uri, folder, plan)
wait()
for hash_ in hashes:
    mirror.send(hash_)
"""


@pytest.mark.slow
def test_two_processes_that_mirror_one_study_at_once_make_nothing_twice(study, uri):
    study.ask(study.plan.runs)
    shares = [[study.hash(m, number) for m in ("SN", "none")] for number in range(2)]
    for hash_ in itertools.chain(*shares):
        study.run(hash_, COMPLETED, fd_digits=7.0)
    command = [sys.executable, "-c", MIRRORING, uri, str(study.folder.path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(subprocess.Popen([*command, *share], text=True, **pipes))
            for share in shares
        ]
        for _ in range(2):  # once to connect, once to send
            for process in processes:
                process.stdout.readline()
            for process in processes:
                with contextlib.suppress(BrokenPipeError):  # its error is told below
                    process.stdin.write("go\n")
                    process.stdin.flush()
        for process in processes:
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors
    client = MlflowClient(uri)
    runs = by_name(client)
    assert len(runs) == 2 + 4
    assert runs["it's none"].data.metrics["trials_ended"] == 2


def test_a_run_that_ended_before_it_was_mirrored_is_caught_up_with(mirrored, do, monkeypatch):
    _, mirror, tasks = mirrored
    do(tasks[0])
    mirror.send(tasks[0].run.spec.hash)
    run = only_run(mirror)
    mirror._client.update_run(run.info.run_id, "RUNNING")
    mirror._client.set_tag(run.info.run_id, "outcome", "running")
    do(tasks[1])
    mirror.catch_up()
    runs = mirror._client.search_runs([mirror._experiment])
    states = {run.data.tags["lipbench.hash"]: run.info.status for run in runs}
    assert states == {task.run.spec.hash: "FINISHED" for task in tasks}
    assert {run.data.tags["outcome"] for run in runs} == {"completed"}
    sent: list[str] = []
    monkeypatch.setattr(mirror, "send", sent.append)
    mirror.catch_up()
    assert sent == []


def test_a_deleted_experiment_is_restored_and_said(mirrored, tmp_path):
    folder, mirror, _ = mirrored
    mirror._client.delete_experiment(mirror._experiment)
    again = Mirror(f"sqlite:///{tmp_path / 'mlflow.db'}", folder, mirror._plan)
    assert again._experiment == mirror._experiment
    assert again.remarks == ["MLflow: the experiment tiny was deleted; it is restored"]
