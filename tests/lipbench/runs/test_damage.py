"""Whatever lies in a results folder: each command reads it, or names it in a line or two."""

from __future__ import annotations

import os
import re
import shutil
import sys
import warnings
from pathlib import Path

import pytest
from PIL import Image

from lipbench import results
from lipbench.cli import main
from lipbench.errors import UserError
from lipbench.outcome import Outcome
from lipbench.planning.plan import Plan
from lipbench.records import DamageWarning
from lipbench.results import frame
from lipbench.runs import sweep
from lipbench.runs.run_folder import RunFolder, Status
from lipbench.runs.suite_folder import SuiteFolder

from .damage import damages

OF_RUNS = (
    "spec.json", "manifest.json", "status.json", "metrics.jsonl", "scores.jsonl", "audits.jsonl",
    "evals.jsonl", "error.txt", "samples", "samples/00000006.png",
)  # fmt: skip
OF_SUITES = (
    "plan.json", "tracking.json", "cost.json", ".lock", ".deciding", ".mlflow.lock", "claims",
    "runs", "report",
)  # fmt: skip
LAYER = {"name": "conv0", "sigma_kernel": 1.0, "spectrum_kernel": [1.0, 0.5]}
SPREAD = {"n": 8, "mean": 1.0, "std": 0.5, "quantiles": [0.5, 1.0, 1.5]}
AUDIT = {
    "seconds": 0.1, "layers": [LAYER], "factors": [], "upper_bound": 3.0, "no_upper_bound": [],
    "upper_bound_kernel": "inf", "per_image": True, "lower_bounds": {"attack": 1.0},
    "lower_bound": 1.0, "tightness": 0.5, "gradient_norms": {"real": SPREAD},
    "saturation": [{"name": "act0", "share": 0.5, "dead": 0.0}], "logits": {"train": SPREAD},
    "overfitting_gap": 0.1, "loss_train": 0.6, "loss_heldout": "nan", "counts": {"train": 8},
}  # fmt: skip
SESSION = {
    "started": 1000.0, "revision": None, "host": "here", "device": "cpu", "processor": "EPYC",
    "threads": 1, "method_sources": {}, "versions": {"torch": "2"},
}  # fmt: skip
COST = {
    "device": "cpu", "processor": "EPYC", "threads": 1, "architecture": "standard_cnn",
    "width": 1.0, "batch_size": 8, "generator_batch_size": 8, "precision": "float32", "rounds": 1,
    "torch": "2", "made": "then",
    "rows": [
        {"method": method, "methods": method, "power_iterations": None, "image_size": 32,
         "n_dis": 1, "seconds_per_100_updates": [1.0], "ratio_to_none": [1.0],
         "extra_parameters": 0, "peak_device_bytes": None, "energy_joules_per_100_updates": None}
        for method in ("none", "SN")
    ],
}  # fmt: skip


def fill(folder: RunFolder, plan: Plan, index: int) -> None:
    """Write what a completed run leaves."""
    run, protocol = plan.runs[index], plan.protocol
    folder.open(run.spec, SESSION)
    for update in (2, 4, 6):
        folder.append("metrics", {"update": update, "loss_d": 1.0, "loss_g": float("nan")})
    scores = {name: 2.0 for name in protocol.scores}
    row = {
        "update": 6, "protocol": protocol.id, "scores": scores, "seconds": 0.1,
        "spreads": scores, "errors": scores, "floors": scores, "counts": {}, "collapsed": False,
    }  # fmt: skip
    for update in (4, 6):
        selected = {**row, "update": update, "scores": {protocol.primary: 3.0}}
        folder.append("scores", {**selected, "checkpoint": "selection"})
    for checkpoint in ("best", "last"):
        folder.append("scores", {**row, "checkpoint": checkpoint})
        folder.append("evals", {**row, "checkpoint": checkpoint, "record": {}, "reached": 6})
    for update in (0, 4, 6):
        folder.append("audits", {"update": update, **AUDIT})
    folder.save_sample(6, Image.new("L", (64, 64)))
    folder.write_error("Traceback")
    folder.set_status(Status(Outcome.COMPLETED, None, 6, cost={"seconds_training": 1.0}))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where results of the tiny suite are kept, to be copied."""
    return tmp_path_factory.mktemp("made") / "tiny"


@pytest.fixture
def plan(write, plan_of) -> Plan:
    return plan_of(write())


@pytest.fixture
def fresh(made: Path, plan: Plan, tmp_path: Path):
    """Return a function that gives whole results of two completed runs, the second for damage."""
    if not made.exists():
        suite = SuiteFolder(made)
        suite.save_plan(plan, f"sqlite:///{tmp_path / 'mlflow.db'}")
        suite.save_cost(COST)
        for index, run in enumerate(plan.runs):
            fill(suite.new_folder(run), plan, index)
        for name in (".lock", ".deciding", ".mlflow.lock"):
            (suite.path / name).touch()
        for name in ("claims", "report"):
            (suite.path / name).mkdir()
        (suite.path / "report" / "index.html").touch()

    def fresh() -> SuiteFolder:
        target = tmp_path / "runs" / "tiny"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(made, target, symlinks=True)
        return SuiteFolder(target)

    return fresh


def command(monkeypatch, capsys, *arguments: object) -> tuple[int, list[str], str]:
    """Return the exit code of a command, its lines of errors and its output; it may not crash."""
    monkeypatch.setattr(sys, "argv", ["lipbench", *map(str, arguments)])
    code: object = 0
    try:
        main.main()
    except SystemExit as exit_:
        code = exit_.code
    out, err = capsys.readouterr()
    return int(code or 0), err.splitlines(), out  # type: ignore[call-overload]


def read(suite: SuiteFolder):
    """Return the results as a report reads them, and what was said to be left out."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = results.read(suite.path)
        frame.load_runs(suite.path, "kurach2019@1")
    assert all(issubclass(warning.category, DamageWarning) for warning in caught)
    return found, [str(warning.message) for warning in caught]


@pytest.mark.parametrize("name", OF_RUNS)
def test_one_runs_damage_leaves_the_others_and_is_shown_and_mended(
    fresh, plan, monkeypatch, capsys, name
):
    whole = fresh()
    second = plan.runs[1].spec.hash
    number = len(list(damages(whole.folders()[second].path / name)))
    rows = frame.load_runs(whole.path)
    for index in range(number):
        suite = fresh()
        folder = suite.folders()[second]
        fault, damage = list(damages(folder.path / name))[index]
        damage()

        code, errors, out = command(monkeypatch, capsys, "status", suite.path)
        assert code == 0, fault
        if errors:  # a sound spec of another run: the folder is no longer this one's
            assert folder.spec().hash != second
            assert errors == sweep.clear([], suite)
            assert errors[0].endswith("it does not count")
            continue
        assert "1 completed" in out or "2 completed" in out, fault
        study, said = read(suite)
        assert study.runs.loc[0].equals(rows.drop(columns="planned").loc[0]), fault
        assert len(study.runs) == 2
        for line in said:
            assert name in line, fault
        if study.runs.outcome[1] != "completed":
            assert name in str(study.runs.cause.fillna("status.json")[1]), fault
            assert study.runs.outcome[1] in ("damaged", "queued"), fault

        lines = sweep.mend(plan.runs, suite)
        assert all(name.partition("/")[0] in line for line in lines), fault
        assert all("\n" not in line for line in lines), fault
        assert sweep.mend(plan.runs, suite) == [], fault
        after, said = read(suite)
        assert not said or name == "metrics.jsonl", fault
        assert after.runs.outcome[0] == "completed"
        assert after.runs.outcome[1] in ("completed", "interrupted", "queued"), fault
        if name != "spec.json" or lines:
            assert folder.spec() == plan.runs[1].spec, fault
        for line in lines:  # nothing is deleted
            if kept := re.search(r"kept as (\S+\.damaged-\d+)", line):
                assert os.path.lexists(folder.path / kept[1]), fault
            else:
                assert "missing" in line or "but scores.jsonl has no scores" in line, fault


@pytest.mark.parametrize("name", OF_SUITES)
def test_damage_of_a_suites_own_files_is_named_in_a_line_or_two(
    fresh, plan, monkeypatch, capsys, name
):
    number = len(list(damages(fresh().path / name)))
    for index in range(number):
        suite = fresh()
        fault, damage = list(damages(suite.path / name))[index]
        damage()
        for arguments in (["status", suite.path], ["status", suite.path, "--json"]):
            code, errors, _ = command(monkeypatch, capsys, *arguments)
            assert (code, len(errors)) in ((0, 0), (2, 1), (2, 2)), (fault, errors)
            assert not errors or name in errors[0], fault
        try:
            _, said = read(suite)
        except UserError as error:
            said = [str(error)]
        except OSError as error:  # which the command prints in a line
            said = [str(error)]
        assert all(name in line for line in said), fault
        lines = suite.mend()
        assert all(name in line and "\n" not in line for line in lines), fault
        if name in ("plan.json", "cost.json", "tracking.json"):
            assert suite.mend() == [], fault
            suite.save_plan(plan, "sqlite://")
            assert suite.plan() == plan, fault
            assert read(suite)[1] == [], fault


def test_a_damaged_plan_does_not_make_a_suite_of_a_study(fresh, plan):
    suite = fresh()
    (suite.path / "plan.json").write_text("null")
    suite.check_kind(plan)
    (suite.path / "trials.jsonl").touch()
    with pytest.raises(UserError, match="holds a study's results, not a suite's"):
        suite.check_kind(plan)


def test_a_completed_run_without_its_scores_is_damaged_and_done_again(fresh, plan):
    suite = fresh()
    folder = suite.folders()[plan.runs[1].spec.hash]
    for name in ("scores", "evals"):
        (folder.path / f"{name}.jsonl").unlink()
    (_, row) = frame.load_runs(suite.path).to_dict("records")
    assert (row["outcome"], row["cause"]) == (
        "damaged",
        "scores.jsonl has no scores of update 6",
    )
    (line,) = sweep.mend(plan.runs, suite)
    assert "status.json says completed, but scores.jsonl has no scores of update 6" in line
    assert folder.status().outcome == "interrupted"
