"""The MLflow mirror, in a store of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run, RunData, RunInfo
from mlflow.store.tracking.rest_store import RestStore

import lipbench
from lipbench.outcome import Outcome
from lipbench.planning.plan import Trial
from lipbench.planning.tuning import Objective, Parameter, Tuning
from lipbench.results.frame import load_runs
from lipbench.runs.run_folder import Status
from lipbench.runs.suite_folder import SuiteFolder
from lipbench.tracking import Mirror, connection, contents
from lipbench.tracking.contents import flatten

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


@pytest.fixture(autouse=True)
def begun(store, tmp_path):
    """Put an empty store where a test would make one."""
    store(tmp_path)


@pytest.fixture
def mirrored(write, plan_of, tasks_of, tmp_path):
    """Return a plan's folder, a mirror of it, and what there is to do."""
    plan = plan_of(write())
    tasks = tasks_of(plan)
    folder = SuiteFolder(tmp_path / "runs" / "tiny")
    return folder, Mirror(f"sqlite:///{tmp_path / 'mlflow.db'}", folder, plan), tasks


def everything(mirror: Mirror):
    """Return the MLflow runs of a mirror by the hashes and keys that lipbench gave them."""
    runs = mirror._client.search_runs([mirror._experiment])
    by_hash = {run.data.tags["lipbench.hash"]: run for run in runs}
    assert len(by_hash) == len(runs)
    return by_hash


def only_run(mirror: Mirror):
    """Return the one run that is nobody's parent."""
    runs = everything(mirror)
    (run,) = (run for hash_, run in runs.items() if not hash_.startswith(("cell", "method")))
    return run


def cell(mirror: Mirror):
    """Return the one parent of a method and setting."""
    (run,) = (run for hash_, run in everything(mirror).items() if hash_.startswith("cell"))
    return run


def test_a_run_half_done_is_shown_and_sending_it_again_changes_nothing(mirrored, do):
    _, mirror, tasks = mirrored
    task = tasks[1]
    do(task, stop_after=4)
    for _ in range(2):
        mirror.send(task.run.spec.hash)
        run = only_run(mirror)
        assert (run.info.status, run.data.tags["outcome"]) == ("KILLED", "interrupted")
        assert len(mirror._client.get_metric_history(run.info.run_id, "train/loss_g")) == 2
    do(task)
    mirror.send(task.run.spec.hash)
    run = only_run(mirror)
    assert (run.info.status, run.data.tags["outcome"]) == ("FINISHED", "completed")
    assert [step for step, _ in series(mirror._client, run, "train/loss_g")] == [2, 4, 6]
    artifacts = mirror._client.list_artifacts(run.info.run_id, "samples")
    assert [artifact.path for artifact in artifacts] == ["samples/00000006.png"]
    artifacts = mirror._client.list_artifacts(run.info.run_id)
    assert {artifact.path for artifact in artifacts} == {"spec.json", "manifest.json", "samples"}


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
    assert run.data.tags["not finite"] == "train/loss_d at update 7"
    assert [step for step, _ in series(mirror._client, run, "train/loss_d")] == [2, 4, 6]


def test_a_run_that_no_plan_has_is_passed_over(mirrored):
    folder, mirror, _ = mirrored
    stray = folder.path / "runs" / "none-C-s0-0123456789ab"
    stray.mkdir(parents=True)
    (stray / "manifest.json").write_text('{"sessions": [{"started": 1.0, "revision": null}]}')
    mirror.send("0123456789ab")
    assert mirror._client.search_runs([mirror._experiment]) == []


class MirroredSuite:
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
        row = {"update": 6, "checkpoint": "last", "protocol": self.plan.protocol.id}
        row |= {"scores": scores, "floors": {}}
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
    return MirroredSuite(
        dataclasses.replace(plan, runs=runs), SuiteFolder(tmp_path / "runs" / "tiny")
    )


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


COMPLETED = Status(Outcome.COMPLETED, update=6, cost={"seconds_per_update": 0.5})


def test_a_studys_runs_are_children_of_their_methods_run(study, uri):
    study.ask(study.plan.runs)
    mirror = study.mirror(uri)
    mirror.send(study.run(study.hash("SN", 1), COMPLETED, fd_digits=7.0))
    mirror.send(study.run(study.hash("none", 2), Status(Outcome.RUNNING)))
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
    child = runs['trial 1: the "SN"']
    folder = study.folder.folders()[study.hash("SN", 1)].path.name
    assert child.data.tags["lipbench.folder"] == folder
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    names = ("trial", "repeat", "confirms")
    assert [child.data.tags[name] for name in names] == ["1", "0", "False"]
    child = runs["seed 0, trial 2: it's none"]
    assert child.data.tags["mlflow.parentRunId"] == other.info.run_id
    assert [child.data.tags[name] for name in names] == ["2", "0", "True"]


def test_a_methods_run_tells_how_many_trials_ended_and_the_best_value_so_far(study, uri):
    study.ask(study.plan.runs)
    first, second, confirmation = (study.hash("SN", number) for number in range(3))
    study.run(second, COMPLETED, fd_digits=7.0, classifier_score=2.0)
    study.mirror(uri).send(second)
    study.run(first, COMPLETED, fd_digits="nan", classifier_score=3.0)
    study.run(confirmation, Status(Outcome.RUNNING))
    for hash_ in (first, second, confirmation):
        study.mirror(uri).send(hash_)
    client = MlflowClient(uri)
    assert by_name(client)['the "SN"'].info.status == "RUNNING"
    study.run(confirmation, COMPLETED, fd_digits=1.0)
    for _ in range(2):
        study.mirror(uri).send(confirmation)
        parent = by_name(client)['the "SN"']
        assert parent.info.status == "FINISHED"
        assert series(client, parent, "study/trials_ended") == [(1, 1.0), (2, 2.0)]
        assert series(client, parent, "study/best_fd_digits") == [(1, 7.0), (2, 7.0)]
        assert series(client, parent, "study/best_classifier_score") == [(1, 2.0), (2, 3.0)]
        assert series(client, parent, "study/best_seconds_per_update") == [(1, 0.5), (2, 0.5)]


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
    assert parent.data.metrics["study/best_fd_digits"] == 5.0
    assert (parent.info.status, parent.data.tags["budget"]) == ("RUNNING", "50 trials")


MIRRORING = """
import sys
from pathlib import Path
from lipbench.runs.suite_folder import SuiteFolder
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
    assert runs["it's none"].data.metrics["study/trials_ended"] == 2


def test_a_run_that_ended_before_it_was_mirrored_is_caught_up_with(mirrored, do, monkeypatch):
    _, mirror, tasks = mirrored
    do(tasks[0])
    mirror.send(tasks[0].run.spec.hash)
    run = only_run(mirror)
    mirror._client.update_run(run.info.run_id, "RUNNING")
    mirror._client.set_tag(run.info.run_id, "outcome", "running")
    do(tasks[1])
    mirror.catch_up()
    runs = everything(mirror)
    for task in tasks:
        run = runs[task.run.spec.hash]
        assert (run.info.status, run.data.tags["outcome"]) == ("FINISHED", "completed")
    sent: list[str] = []
    monkeypatch.setattr(mirror, "send", sent.append)
    mirror.catch_up()
    assert sent == []


def test_metrics_are_in_groups_and_scores_have_the_names_of_the_frame(mirrored, do):
    folder, mirror, tasks = mirrored
    do(tasks[0])
    run_folder = folder.folders()[tasks[0].run.spec.hash]
    audit = {"update": 6, "lower_bound": 2.0, "upper_bound": None, "tightness": 0.5}
    run_folder.append("audits", audit)
    mirror.send(tasks[0].run.spec.hash)
    run = only_run(mirror)
    metrics = run.data.metrics
    assert {name.partition("/")[0] for name in metrics} == {"train", "score", "audit", "cost"}
    row = load_runs(folder.path).set_index("run_id").loc[run_folder.path.name]
    for part in ("", "_std", "_se", "_best", "_gap"):
        assert metrics[f"score/fd_digits{part}"] == row[f"fd_digits{part}"]
    assert metrics["cost/seconds"] == row["seconds"]
    assert metrics["audit/lower_bound"] == 2.0
    assert [name for name in metrics if name.startswith("audit")] == [
        "audit/lower_bound",
        "audit/tightness",
    ]
    # Measured once: step 0, of which MLflow makes a bar. During training: a curve.
    assert [step for step, _ in series(mirror._client, run, "score/fd_digits")] == [0]
    assert [step for step, _ in series(mirror._client, run, "score/fd_digits_selection")] == [4, 6]
    params = run.data.params
    assert float(params["floor.fd_digits"]) == pytest.approx(row["fd_digits_floor"], rel=1e-5)
    assert params["extra_parameters"] == "0"
    assert not [name for name in metrics if "floor" in name or "parameters" in name]
    assert run.data.tags["best_update"] == f"{row['best_update']:.0f}"
    assert run.data.tags["collapsed"] == str(row["collapsed"])


def test_scores_by_another_protocol_are_a_group_of_their_own(mirrored, do):
    folder, mirror, tasks = mirrored
    do(tasks[0])
    run_folder = folder.folders()[tasks[0].run.spec.hash]
    scored = {"update": 6, "checkpoint": "last", "protocol": "other@3"}
    run_folder.append("scores", {**scored, "scores": {"fd_digits": 7.0}, "floors": {}})
    mirror.send(tasks[0].run.spec.hash)
    metrics = only_run(mirror).data.metrics
    assert metrics["score/other_v3/fd_digits"] == 7.0
    assert metrics["score/fd_digits"] != 7.0


def test_the_dataset_and_the_commit_are_in_mlflows_own_fields(mirrored, do):
    folder, mirror, tasks = mirrored
    do(tasks[0])
    hash_ = tasks[0].run.spec.hash
    manifest = folder.folders()[hash_].path / "manifest.json"
    stored = json.loads(manifest.read_text())
    stored["sessions"][0]["revision"] = "0a" * 20 + "-dirty"
    manifest.write_text(json.dumps(stored))
    for _ in range(2):
        mirror.send(hash_)
    run = only_run(mirror)
    (used,) = run.inputs.dataset_inputs
    dataset = tasks[0].run.spec.dataset
    assert (used.dataset.name, used.dataset.digest) == ("digits", dataset.fingerprint[:36])
    assert [(tag.key, tag.value) for tag in used.tags] == [("mlflow.data.context", "training")]
    assert mlflow.data.get_source(used).to_dict()["tags"]["mlflow.source.name"] == "lipbench"
    tags = run.data.tags
    assert tags["mlflow.source.git.commit"] == "0a" * 20
    assert tags["mlflow.source.git.dirty"] == "true"
    assert (tags["mlflow.source.name"], tags["mlflow.source.type"]) == ("lipbench", "LOCAL")
    assert tags["lipbench.version"] == lipbench.__version__


def test_a_dataset_of_the_users_has_its_path_as_source(mirrored):
    folder, _, (task, *_) = mirrored
    plan = dataclasses.replace(folder.plan(), dataset_params={"path": "/data/faces"})
    stored = contents.dataset(task.run, plan)
    assert (stored["source_type"], stored["source"]) == ("local", '{"uri": "/data/faces"}')


def test_the_final_checkpoint_is_sent_only_where_the_user_asks_for_it(mirrored, do, tmp_path):
    folder, mirror, tasks = mirrored
    do(tasks[0])
    mirror.send(tasks[0].run.spec.hash)
    client, id_ = mirror._client, only_run(mirror).info.run_id
    assert client.list_artifacts(id_, "checkpoint") == []
    asked = Mirror(f"sqlite:///{tmp_path / 'mlflow.db'}", folder, mirror._plan, True)
    asked.catch_up()  # also a run that was mirrored without it
    (artifact,) = client.list_artifacts(id_, "checkpoint")
    assert artifact.path == "checkpoint/checkpoint.pt"
    copy = Path(client.download_artifacts(id_, artifact.path))
    copy.write_text("a large file")
    asked.send(tasks[0].run.spec.hash)  # once
    assert copy.read_text() == "a large file"
    sent: list[str] = []
    asked.send = sent.append
    asked.catch_up()
    assert sent == []


def test_a_run_that_is_not_over_has_no_final_checkpoint(mirrored, do, tmp_path):
    folder, mirror, tasks = mirrored
    do(tasks[0], stop_after=4)
    assert (folder.folders()[tasks[0].run.spec.hash].path / "checkpoint.pt").exists()
    asked = Mirror(f"sqlite:///{tmp_path / 'mlflow.db'}", folder, mirror._plan, True)
    asked.send(tasks[0].run.spec.hash)
    assert asked._client.list_artifacts(only_run(asked).info.run_id, "checkpoint") == []


@pytest.fixture
def seeds(write, plan_of, tmp_path):
    """Return two seeds of one method and setting, not run yet, as a study is."""
    plan = plan_of(write(("[none, spectral_norm]", "[none]")), "seeds=[3, 4]")
    seeds = MirroredSuite(plan, SuiteFolder(tmp_path / "runs" / "tiny"))
    seeds.plan = plan
    (tmp_path / "runs" / "tiny" / "plan.json").unlink()
    seeds.folder.save_plan(plan, "sqlite://")
    return seeds


def test_seeds_are_nested_under_their_method_and_setting(seeds, uri):
    first, second = (seeds.hash("none", number) for number in range(2))
    mirror = seeds.mirror(uri)
    mirror.send(seeds.run(first, Status(Outcome.RUNNING)))
    parent = cell(mirror)
    assert (parent.info.run_name, parent.info.status) == ("none, C", "RUNNING")
    assert parent.data.tags["outcome"] == "1 running, 1 queued"
    mirror.send(seeds.run(first, COMPLETED, fd_digits=5.0))
    assert "seeds/fd_digits_median" not in cell(mirror).data.metrics  # of one seed of two
    mirror.send(seeds.run(second, COMPLETED, fd_digits=8.0))
    parent = cell(mirror)
    tags = parent.data.tags
    assert (parent.info.status, tags["outcome"]) == ("FINISHED", "2 completed")
    assert (tags["method"], tags["setting"], tags["seeds"]) == ("none", "C", "3, 4")
    assert parent.data.params["setting.lr"] == "0.0002"
    assert "seed" not in parent.data.params
    counts = {"seeds/completed": 2.0, "seeds/diverged": 0.0, "seeds/collapsed": 0.0}
    assert parent.data.metrics == {**counts, "seeds/fd_digits_median": 6.5}
    for hash_ in (first, second):
        child = everything(mirror)[hash_]
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert everything(mirror)[second].info.run_name == "seed 4: none, C"


def test_a_diverged_seed_leaves_no_median_of_the_others(seeds, uri):
    first, second = (seeds.hash("none", number) for number in range(2))
    mirror = seeds.mirror(uri)
    seeds.run(first, COMPLETED, fd_digits=5.0)
    mirror.send(seeds.run(second, Status(Outcome.DIVERGED, "a loss is nan")))
    parent = cell(mirror)
    counts = {"seeds/completed": 1.0, "seeds/diverged": 1.0, "seeds/collapsed": 0.0}
    assert parent.data.metrics == counts
    assert parent.info.status == "FINISHED"


def test_a_stopped_sweep_leaves_no_parent_running(seeds, uri):
    mirror = seeds.mirror(uri)
    mirror.send(seeds.run(seeds.hash("none", 0), Status(Outcome.INTERRUPTED)))
    assert cell(mirror).info.status == "KILLED"


def test_another_process_finds_the_same_parent_and_a_deleted_one_is_made_anew(seeds, uri):
    first, second = (seeds.hash("none", number) for number in range(2))
    seeds.mirror(uri).send(seeds.run(first, COMPLETED, fd_digits=5.0))
    mirror = seeds.mirror(uri)
    parent = cell(mirror).info.run_id
    mirror.send(seeds.run(second, COMPLETED, fd_digits=8.0))
    assert cell(mirror).info.run_id == parent
    mirror._client.delete_run(parent)
    mirror = seeds.mirror(uri)
    mirror.catch_up()
    new = cell(mirror).info.run_id
    children = [everything(mirror)[hash_] for hash_ in (first, second)]
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {new}


def test_a_run_of_an_older_form_gives_way_to_one_with_grouped_metrics(seeds, uri, tmp_path):
    hash_ = seeds.run(seeds.hash("none", 0), COMPLETED, fd_digits=5.0)
    client = MlflowClient(uri)
    old = client.create_experiment("tiny", tmp_path.as_uri())
    tags = {"lipbench.hash": hash_, "outcome": "completed"}
    run = client.create_run(old, 1_000_000, tags, "old").info.run_id
    client.log_metric(run, "fd_digits", 5.0)
    client.set_terminated(run, "FINISHED")
    mirror = seeds.mirror(uri)
    assert (mirror._experiment, mirror.remarks) == (old, [])  # it is these results' experiment
    mirror.catch_up()
    assert client.get_run(run).info.lifecycle_stage == "deleted"
    assert only_run(mirror).data.metrics["score/fd_digits"] == 5.0
    (remark,) = mirror.remarks
    assert remark.startswith("MLflow: runs that an older lipbench mirrored are replaced")


def test_the_trials_of_an_older_parent_come_under_the_new_one(study, uri, tmp_path):
    study.ask(study.plan.runs)
    client = MlflowClient(uri)
    old = client.create_experiment("tiny", tmp_path.as_uri())
    parent = client.create_run(old, 0, {"lipbench.hash": 'method: the "SN"'}, "old").info.run_id
    trial = study.run(study.hash("SN", 0), COMPLETED, fd_digits=7.0)
    tags = {"lipbench.hash": trial, "mlflow.parentRunId": parent}
    child = client.create_run(old, 1_000_000, tags, "child").info.run_id
    study.mirror(uri).send(study.run(study.hash("SN", 1), COMPLETED, fd_digits=8.0))
    new = by_name(client)['the "SN"'].info.run_id
    assert client.get_run(parent).info.lifecycle_stage == "deleted"
    assert client.get_run(child).data.tags["mlflow.parentRunId"] == new


def test_a_report_is_sent_again_to_the_same_run(mirrored, tmp_path):
    _, mirror, _ = mirrored
    page = tmp_path / "report" / "index.html"
    page.parent.mkdir()
    for time_ in (1_000, 2_000):
        page.write_text(str(time_))
        os.utime(page, (time_, time_))
        mirror.send_report(page.parent)
    run = everything(mirror)["report"]
    assert (run.info.start_time, run.info.end_time) == (1_000_000, 1_000_000)
    path = mirror._client.download_artifacts(run.info.run_id, "report/index.html")
    assert Path(path).read_text() == "2000"


def test_a_deleted_experiment_is_restored_and_said(mirrored, uri):
    folder, mirror, _ = mirrored
    mirror._client.delete_experiment(mirror._experiment)
    again = Mirror(uri, folder, mirror._plan)
    assert again._experiment == mirror._experiment
    assert again.remarks == ["MLflow: the experiment tiny was deleted; it is restored"]


def test_an_experiment_is_found_after_it_was_renamed(mirrored, uri):
    folder, mirror, _ = mirrored
    mirror._client.rename_experiment(mirror._experiment, "mine")
    again = Mirror(uri, folder, mirror._plan)
    assert (again._experiment, again.name, again.remarks) == (mirror._experiment, "mine", [])


@pytest.mark.parametrize("deleted", [False, True])
def test_somebody_elses_experiment_of_that_name_is_left_alone(seeds, uri, deleted, tmp_path):
    client = MlflowClient(uri)
    theirs = client.create_experiment("tiny", tmp_path.as_uri())
    run = client.create_run(theirs, tags={"whose": "theirs"}).info.run_id
    if deleted:
        client.delete_experiment(theirs)
    mirror = seeds.mirror(uri)
    name = f"tiny-{seeds.folder.identity()[:8]}"
    said = f"MLflow: the experiment tiny is not lipbench's{', and deleted' if deleted else ''}"
    assert mirror.remarks == [f"{said}; this one is called {name}"]
    hash_ = seeds.run(seeds.hash("none", 0), COMPLETED, fd_digits=5.0)
    mirror.send(hash_)
    assert mirror.name == client.get_experiment(mirror._experiment).name == name
    assert hash_ in everything(mirror)
    before = client.get_experiment(theirs)
    assert (before.lifecycle_stage == "deleted", "lipbench.results" in before.tags) == (
        deleted,
        False,
    )
    assert client.get_run(run).data.tags["whose"] == "theirs"
    again = seeds.mirror(uri)  # said once
    assert (again._experiment, again.remarks) == (mirror._experiment, [])


def test_two_results_of_one_name_never_share_an_experiment(mirrored, uri):
    folder, mirror, _ = mirrored
    mirror._client.create_run(mirror._experiment, tags={"lipbench.hash": "0123456789ab"})
    shutil.rmtree(folder.path)  # and the same suite is begun again
    folder.save_plan(mirror._plan, "sqlite://")
    other = Mirror(uri, folder, mirror._plan)
    assert other._experiment != mirror._experiment
    name = f"tiny-{folder.identity()[:8]}"
    said = f"MLflow: the experiment tiny is of other results; this one is called {name}"
    assert other.remarks == [said]


def test_the_password_of_a_server_is_not_printed_with_the_address_of_a_run(monkeypatch, capsys):
    info = RunInfo("0", "1", "me", "RUNNING", 0, None, "active")
    monkeypatch.setattr(RestStore, "get_run", lambda self, run_id: Run(info, RunData()))
    monkeypatch.setattr(RestStore, "update_run_info", lambda self, *ids, **facts: info)
    client = connection.connect("http://me:hunter22@localhost:9")
    client.set_terminated("0")
    assert capsys.readouterr().out == ""
