"""A run on points in the plane, from its first update to its report's words."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from lipbench.cost import side_by_side
from lipbench.errors import UserError
from lipbench.plugins import Plugins
from lipbench.reporting.prose import setup
from lipbench.results import results
from lipbench.runs import finished, pictures, restore
from lipbench.runs.run_folder import RunFolder
from lipbench.tracking import contents

from ..planning.test_points_in_suites import POINTS

SCORED = POINTS + "intervals: {score: 4, checkpoint: 3, audit: 6}\n"
REAL = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])


@pytest.fixture
def plan(write, plan_of):
    """Return the plan of a small suite of points, scored and audited."""
    return plan_of(write(("[none, spectral_norm]", "[batch_norm, gan_gp]"), text=SCORED))


@pytest.fixture
def done(plan, tasks_of, do):
    """Return the task of a run that is done, and its folder."""
    task = tasks_of(plan)[0]
    status = do(task)
    assert (status.outcome, status.cause) == ("completed", None)
    return task, RunFolder(task.folder)


@pytest.mark.parametrize(
    "setting",
    [
        "{optimizer: rmsprop, lr: 5e-5, n_dis: 1}",
        "{optimizer: sgd, lr: 1e-3, momentum: 0.9, n_dis: 1}",
    ],
)
def test_whoever_reads_results_reads_those_of_other_optimizers(
    setting, write, tmp_path, command, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    suite = write(("[C]", f"[{setting}]"), text=SCORED)
    name = json.loads(command("plan", suite, "--json")[1])[0]["id"]
    for arguments in (
        ("run", suite, "--workers", 1),
        ("run", suite, "--workers", 1),  # nothing is left to do
        ("status", "runs/ring"),
        ("report", "runs/ring"),
        ("audit", f"runs/ring/runs/{name}"),
        ("sample", f"runs/ring/runs/{name}"),
    ):
        code, printed = command(*arguments)
        assert code == 0, (arguments, printed)
        assert "damaged" not in printed


def blue(picture):
    """Return where a picture shows generated points, as places from the left and the top."""
    pixels = np.asarray(picture)
    return np.argwhere((pixels == (0, 90, 180)).all(axis=2))[:, ::-1] / len(pixels)


def test_a_run_is_scored_audited_and_drawn(done):
    _, folder = done
    last = [row for row in folder.rows("scores") if row["checkpoint"] == "last"][-1]
    assert set(last["scores"]) == {
        "wasserstein_points", "modes_reached_points", "within_3_points", "within_4_points",
        "mode_divergence_points",
    }  # fmt: skip
    assert last["floors"]["modes_reached_points"] == 8
    assert last["floors"]["within_3_points"] == pytest.approx(0.989, abs=0.005)
    assert last["scores"]["wasserstein_points"] > last["floors"]["wasserstein_points"]
    audit = folder.rows("audits")[-1]
    assert audit["update"] == 6
    assert "grid" in audit["lower_bounds"]
    assert audit["lower_bound"] <= audit["upper_bound"]
    with Image.open(folder.samples()[-1]) as picture:
        assert picture.size == (512, 512)


def test_an_interrupted_run_ends_with_the_same_bits(done, plan, tasks_of, do, tmp_path):
    task, folder = done
    whole = folder.load_checkpoint()["training"]["generator"]
    scores = folder.rows("scores")[-1]["scores"]
    folder.path.rename(tmp_path / "whole")
    assert do(task, stop_after=4).outcome == "interrupted"
    assert do(task).outcome == "completed"
    again = RunFolder(task.folder)
    assert again.rows("scores")[-1]["scores"] == scores
    found = again.load_checkpoint()["training"]["generator"]
    assert all(torch.equal(found[name], whole[name]) for name in whole)


def test_a_finished_run_is_audited_and_drawn_from(done, workplace, cache, tmp_path, command):
    _, folder = done
    (run,) = restore.find([folder.path])
    points, update = finished.sample(run, "last", 5, 0, workplace, cache)
    assert (points.dtype, points.shape, update) == (torch.float32, (5, 2), 6)
    assert finished.audit(run, 32, workplace, cache)["counts"]["real"] == 32
    code, told = command("sample", folder.path, "--out", tmp_path / "a.png", "--count", 9)
    assert (code, "9 points of update 6" in told) == (0, True)
    code, told = command("sample", folder.path, "--out", tmp_path / "folder")
    assert code == 2
    assert "points are drawn as one picture, a .png file" in told


def test_a_plot_has_the_real_extent_and_a_margin_and_y_upwards():
    seen = blue(pictures.plot(torch.tensor([[1.0, 1.0]]), REAL))
    assert seen.mean(axis=0) == pytest.approx([5 / 6, 1 / 6], abs=0.01)  # 1 of 1.5


def test_a_point_beyond_the_extent_stands_at_its_edge():
    seen = blue(pictures.plot(torch.tensor([[-50.0, 0.0]]), REAL))
    assert seen.mean(axis=0) == pytest.approx([0.005, 0.5], abs=0.01)


def test_points_of_one_value_lie_on_a_line():
    seen = blue(pictures.plot(torch.tensor([[0.0], [1.0]]), torch.tensor([[-1.0], [1.0]])))
    assert set(np.round(seen[:, 1], 1)) == {0.5}


def test_mlflows_dataset_is_of_float32_points(plan):
    schema = json.loads(contents.dataset(plan.runs[0], plan)["schema"])["mlflow_tensorspec"]
    (column,) = json.loads(schema["features"])
    assert column["name"] == "points"
    assert column["tensor-spec"] == {"dtype": "float32", "shape": [-1, 2]}


def test_costs_of_points_are_taken_at_their_own_shape(plan):
    cases = side_by_side.cases(plan.runs, Plugins(), None, [1], [1])
    assert {case.run.dataset.shape for case in cases} == {(2,)}
    assert {case.group for case in cases} == {(0, 1)}
    samples = list(side_by_side.measure(cases[:1], Plugins(), torch.device("cpu"), 1))
    assert all(sample.seconds > 0 for sample in samples)
    with pytest.raises(UserError, match=r"--image-size: there are no images; these are points"):
        side_by_side.cases(plan.runs, Plugins(), [32], [1], [1])


def test_a_plan_and_a_paper_tell_of_points(done, write, command):
    task, _ = done
    code, told = command("plan", write(text=SCORED))
    assert (code, "points of 2 values, 20,000 train and 10,000 test points" in told) == (0, True)
    found = results.read(task.folder.parent.parent)
    text = " ".join(setup.data(found, lambda *papers: ""))
    assert "20,000 training points and 10,000 test points in 8 classes, of 2 values each" in text
    assert "pixels" not in text
