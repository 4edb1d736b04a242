"""Runs that are trained: scored again, audited, drawn from; and what is refused of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lipbench.errors import UserError
from lipbench.planning import resolve, suite
from lipbench.plugins import Plugins
from lipbench.protocols import find
from lipbench.results import frame
from lipbench.runs import finished, pictures, restore, sweep
from lipbench.runs.run import Workplace, run
from lipbench.runs.run_folder import RunFolder
from lipbench.runs.suite_folder import SuiteFolder

from ..conftest import TINY


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, cache: Path, workplace: Workplace) -> Path:
    """Return the folder of a suite with two completed runs, scored at updates 4 and 6."""
    folder = tmp_path_factory.mktemp("revisit")
    file = folder / "tiny.yaml"
    file.write_text(TINY)
    read, document = suite.read(file, [])
    plan = resolve.plan(read, document, Plugins(), cache)
    made = SuiteFolder(folder / "runs" / "tiny")
    made.save_plan(plan, "sqlite://")
    choices, registry = sweep.Choices(), Plugins()
    for task in sweep.tasks(plan, plan.runs, made, registry, choices, cache, None):
        run(task, workplace, lambda *_: True, lambda: False)
    return made.path


@pytest.fixture
def first(results: Path) -> restore.Found:
    return restore.find([results])[0]


def test_a_run_is_scored_again_as_it_scored_itself(
    first: restore.Found, workplace: Workplace, cache: Path
) -> None:
    done = finished.evaluate(first, None, ["last", "best"], workplace, cache, None)
    again = {record.checkpoint: record for _, record in done}
    own = {row["checkpoint"]: row for row in first.folder.rows("scores")}
    for checkpoint in ("last", "best"):
        assert again[checkpoint].update == own[checkpoint]["update"]
        scores = {k: v for k, v in again[checkpoint].scores.items() if np.isfinite(v)}
        assert scores == {k: own[checkpoint]["scores"][k] for k in scores}


def test_another_protocols_scores_are_kept_beside_and_not_among_the_runs_own(
    first: restore.Found, workplace: Workplace, cache: Path
) -> None:
    own = first.folder.rows("scores")
    mine = find({"name": "mine", "based_on": "digits", "n_fake": 300, "bootstrap": 0})
    for _ in range(2):  # the second takes the first one's place
        finished.evaluate(first, mine, ["last"], workplace, cache, None)
    rows = first.folder.rows("scores")
    added = [row for row in rows if row["protocol"] == mine.id]
    assert [(row["checkpoint"], row["counts"]["n_fake"]) for row in added] == [("last", 300)]
    assert [row for row in rows if row["protocol"] != mine.id] == own
    assert SuiteFolder(first.folder.path.parent.parent).protocols()[mine.id] == mine


def test_a_protocol_that_cannot_score_the_data_is_refused(
    first: restore.Found, workplace: Workplace, cache: Path
) -> None:
    with pytest.raises(UserError, match=r"'offline' needs 10,000 .* has 599 and 1,198"):
        finished.evaluate(first, find("offline"), ["last"], workplace, cache, None)


def test_a_best_checkpoint_scored_before_the_run_went_on_is_not_its_best(
    first: restore.Found, workplace: Workplace, cache: Path
) -> None:
    mine = find({"name": "stale", "based_on": "digits", "n_fake": 300, "bootstrap": 0})
    finished.evaluate(first, mine, ["last", "best"], workplace, cache, None)
    results = first.folder.path.parent.parent
    assert frame.load_runs(results, mine.id)["best_update"].notna().any()
    (best,) = [
        row
        for row in first.folder.rows("scores")
        if (row["protocol"], row["checkpoint"]) == (mine.id, "best")
    ]
    first.folder.put("scores", best | {"reached": 3}, ("protocol", "checkpoint"))
    runs = frame.load_runs(results, mine.id)
    assert runs["fd_digits"].notna().sum() == 1
    assert runs["best_update"].isna().all()


def test_a_generator_that_is_not_finite_is_told_and_not_scored(
    first: restore.Found, workplace: Workplace, cache: Path, tmp_path: Path
) -> None:
    state = first.folder.load_checkpoint()
    assert state is not None
    state["training"]["generator"]["dense.weight"][0] = float("nan")
    broken = copied(first, tmp_path / "run", training=state["training"])
    with pytest.raises(UserError, match=r"update 6 cannot be scored: .* inf or nan"):
        finished.evaluate(broken, None, ["last"], workplace, cache, None)


def test_an_audit_of_a_finished_run_is_kept_once_for_its_update(
    first: restore.Found, workplace: Workplace, cache: Path
) -> None:
    checkpoint = (first.folder.path / "checkpoint.pt").read_bytes()
    for images in (8, 16):
        finished.audit(first, images, workplace, cache)
    (row,) = first.folder.rows("audits")
    assert (row["update"], row["counts"]["real"]) == (6, 16)
    assert (first.folder.path / "checkpoint.pt").read_bytes() == checkpoint


def test_images_are_those_of_the_runs_own_grid(
    first: restore.Found, workplace: Workplace, cache: Path
) -> None:
    images, update = finished.sample(first, "last", 100, 0, workplace, cache)
    assert (update, images.shape) == (6, (100, 1, 16, 16))
    with Image.open(first.folder.samples()[-1]) as own:
        np.testing.assert_array_equal(np.asarray(pictures.grid(images)), np.asarray(own))


def test_runs_are_found_by_folder_and_by_suite(results: Path) -> None:
    every = restore.find([results])
    assert [(run.method, run.setting) for run in every] == [("none", "C"), ("SN", "C")]
    (one,) = restore.find([every[1].folder.path])
    assert one.folder.path.name == every[1].folder.path.name
    with pytest.raises(UserError, match="neither a run's folder nor a suite's results"):
        restore.find([results.parent])


def test_a_run_without_a_checkpoint_is_told(results: Path, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text((results / "plan.json").read_text())
    with pytest.raises(UserError, match="has no run with a checkpoint yet"):
        restore.find([tmp_path])


def copied(run: restore.Found, folder: Path, **changes: Any) -> restore.Found:
    """Return a run's copy, with other values in its checkpoint."""
    folder.mkdir()
    for name in ("spec.json", "checkpoint.pt", "status.json"):
        (folder / name).write_bytes((run.folder.path / name).read_bytes())
    state = torch.load(folder / "checkpoint.pt", weights_only=True) | changes
    kept = {key: value for key, value in state.items() if key != "spec" or value}  # older: none
    torch.save(kept, folder / "checkpoint.pt")
    return restore.Found(RunFolder(folder), run.plan, run.method, run.setting)


def test_a_run_that_chose_no_best_checkpoint_says_why(
    first: restore.Found, workplace: Workplace, cache: Path, tmp_path: Path
) -> None:
    without = copied(first, tmp_path / "run", best=None)
    with pytest.raises(UserError, match=r"no best checkpoint was chosen: .*score: UPD"):
        finished.sample(without, "best", 4, 0, workplace, cache)


def test_a_checkpoint_of_another_architecture_is_refused_with_both_shapes(
    first: restore.Found, workplace: Workplace, cache: Path, tmp_path: Path
) -> None:
    wider = copied(first, tmp_path / "run", spec=None)
    spec = json.loads((wider.folder.path / "spec.json").read_text())
    spec["architecture"]["params"]["width"] = 0.25
    (wider.folder.path / "spec.json").write_text(json.dumps(spec))
    with pytest.raises(UserError, match=r"width 0.25, .*\): size mismatch .*\[.*\[.*\]") as told:
        finished.sample(wider, "last", 4, 0, workplace, cache)
    assert "\n" not in str(told.value)


class Trap:
    """What a hostile pickle does: it runs a function when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_checkpoint_that_would_run_code_is_not_run(
    first: restore.Found, workplace: Workplace, cache: Path, tmp_path: Path
) -> None:
    hostile = copied(first, tmp_path / "run", training=Trap(tmp_path / "sprung"))
    with pytest.raises(UserError, match="holds something other than tensors"):
        finished.sample(hostile, "last", 4, 0, workplace, cache)
    assert not (tmp_path / "sprung").exists()


def test_a_grid_is_a_square_that_is_filled_row_by_row() -> None:
    images = torch.arange(5, dtype=torch.uint8).view(5, 1, 1, 1).expand(5, 1, 2, 2) + 10
    pixels = np.asarray(pictures.grid(images))
    assert pixels.shape == (4, 6)
    assert pixels[::2, ::2].tolist() == [[10, 11, 12], [13, 14, 0]]


def test_colours_survive_a_file_each(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (2, 3, 4, 5), dtype=torch.uint8)
    pictures.save_each(tmp_path / "out", images)
    files = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in files] == ["00000.png", "00001.png"]
    with Image.open(files[1]) as image:
        np.testing.assert_array_equal(np.asarray(image), images[1].permute(1, 2, 0).numpy())
    with pytest.raises(UserError, match="is not empty"):
        pictures.save_each(tmp_path / "out", images)
