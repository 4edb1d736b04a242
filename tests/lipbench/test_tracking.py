"""The MLflow mirror, in a store of its own."""

from __future__ import annotations

import pytest

from lipbench.store import SuiteFolder
from lipbench.tracking import Mirror, flatten


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
