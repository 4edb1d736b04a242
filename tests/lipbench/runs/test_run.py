"""One run, whole: its folder, its outcomes, and that an interruption changes no bit."""

from __future__ import annotations

import dataclasses
import json
import math
import multiprocessing
import os
import resource
import shutil
import signal
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from lipbench import atomic
from lipbench.errors import UserError
from lipbench.outcome import Outcome
from lipbench.planning import spec
from lipbench.plugins import Plugins, Registry
from lipbench.protocols import PROTOCOLS
from lipbench.results import frame
from lipbench.runs import estimates, sweep
from lipbench.runs.checkpoints import CURRENT, PREVIOUS
from lipbench.runs.provenance import provenance
from lipbench.runs.run_folder import SERIES, RunFolder
from lipbench.runs.suite_folder import SuiteFolder
from lipbench.scoring import ScoreRecord

BREAKS = '''
"""A method whose penalty is {value}."""
from __future__ import annotations
import torch
from lipbench.method import Method

class Breaks(Method):
    """Break."""
    label = "breaks"

    def penalty(self, discriminator, batch):
        {statement}
        return batch.real.new_tensor({value})
'''


def lines(folder: RunFolder, name: str) -> str:
    return (folder.path / f"{name}.jsonl").read_text()


def weights(folder: RunFolder) -> dict[str, torch.Tensor]:
    state = folder.load_checkpoint()["training"]
    networks = ("generator", "discriminator")
    return {f"{n}.{k}": v for n in networks for k, v in state[n].items()}


def assert_same_results(a: RunFolder, b: RunFolder) -> None:
    assert lines(a, "metrics") == lines(b, "metrics")
    for name in ("scores", "audits"):
        drop_time = [[{**r, "seconds": 0} for r in folder.rows(name)] for folder in (a, b)]
        assert drop_time[0] == drop_time[1]
    best = [folder.load_checkpoint()["best"] for folder in (a, b)]
    assert best[0]["update"] == best[1]["update"]
    assert all(torch.equal(best[0]["generator"][k], v) for k, v in best[1]["generator"].items())
    first, second = weights(a), weights(b)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert [p.name for p in a.samples()] == [p.name for p in b.samples()]
    assert a.samples()[-1].read_bytes() == b.samples()[-1].read_bytes()


def test_a_completed_run_leaves_the_folder_that_the_docs_describe(write, plan_of, tasks_of, do):
    task = tasks_of(plan_of(write()))[0]
    status = do(task)
    folder = RunFolder(task.folder)
    assert status.outcome == folder.status().outcome == "completed"
    assert status.update == 6
    assert folder.spec() == task.run.spec
    assert [row["update"] for row in folder.rows("metrics")] == [2, 4, 6]
    scored = [(row["update"], row["checkpoint"]) for row in folder.rows("scores")]
    assert sorted(kind for _, kind in scored) == ["best", "last", "selection", "selection"]
    assert {(4, "selection"), (6, "selection"), (6, "last")} < set(scored)
    assert [path.name for path in folder.samples()] == ["00000006.png"]
    (session,) = folder.sessions()
    assert set(session["versions"]) >= {"torch", "lipbench", "python"}
    assert set(session["method_sources"]) == {"none"}
    assert status.cost["seconds_training"] > 0


@pytest.mark.parametrize("stops", [(1,), (3,), (4,), (2, 2, 1)])
def test_a_run_stopped_and_resumed_has_the_same_bits(
    write, plan_of, tasks_of, do, tmp_path, stops
):
    plan = plan_of(write(("checkpoint: 3", "checkpoint: 3, audit: 2")))
    task = tasks_of(plan)[1]
    do(task)
    whole = RunFolder(task.folder.rename(tmp_path / "whole"))
    for stop in stops:
        assert do(task, stop_after=stop).outcome == "interrupted"
    assert do(task).outcome == "completed"
    folder = RunFolder(task.folder)
    assert len(folder.sessions()) == len(stops) + 1
    assert_same_results(whole, folder)


def test_lines_written_after_the_last_checkpoint_are_cut_on_resume(
    write, plan_of, tasks_of, do, tmp_path
):
    """A kill leaves rows, even half a row, beyond the checkpoint."""
    task = tasks_of(plan_of(write()))[0]
    do(task)
    whole = RunFolder(task.folder.rename(tmp_path / "whole"))
    do(task, stop_after=3)
    folder = RunFolder(task.folder)
    folder.append("metrics", {"update": 4, "loss_d": 99.0})
    with (folder.path / "metrics.jsonl").open("a") as file:
        file.write('{"update": 5, "lo')
    do(task)
    assert_same_results(whole, folder)


def test_scoring_audits_and_samples_do_not_disturb_training(
    write, plan_of, tasks_of, do, tmp_path
):
    every = "score: 1, samples: 1, checkpoint: 1, audit: 1"
    often = plan_of(write(("score: 4, checkpoint: 3", every)))
    rarely = plan_of(write(("score: 4, ", "")))
    runs = []
    for plan in (often, rarely):
        task = tasks_of(plan)[1]
        do(task)  # the same run, so out of the way of the other
        runs.append(weights(RunFolder(task.folder.rename(tmp_path / str(len(runs))))))
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])


def test_audits_come_on_schedule_from_before_the_first_update_on(write, plan_of, tasks_of, do):
    task = tasks_of(plan_of(write(("checkpoint: 3", "checkpoint: 3, audit: 4"))))[1]
    status = do(task)
    rows = RunFolder(task.folder).rows("audits")
    assert [row["update"] for row in rows] == [0, 4, 6]
    assert rows[0]["logits"].keys() == {"train", "heldout", "fake"}
    assert rows[0]["loss_train"] > 0
    assert status.cost["seconds_auditing"] > 0


class Improving:
    """A scorer that finds the second of three generators the best, and counts what it scores."""

    protocol = PROTOCOLS["digits"]

    def __init__(self) -> None:
        self.scored = []

    def select(self, generator, *, latents, seed, update):
        value = {2: 5.0, 4: 3.0, 6: 4.0}[update]
        return ScoreRecord(update, "selection", "digits@2", {"fd_digits": value}, 0.0)

    def score(self, generator, *, latents, seed, update, checkpoint="last"):
        weights = torch.cat([w.flatten() for w in generator.state_dict().values()]).double()
        self.scored.append((update, checkpoint))
        scores = {"fd_digits": weights.sum().item()}
        return ScoreRecord(update, checkpoint, "digits@2", scores, 0.0, collapsed=False)


def test_the_best_generator_is_the_one_of_the_update_that_was_chosen(
    write, plan_of, tasks_of, do, tmp_path, monkeypatch
):
    fake = Improving()
    monkeypatch.setattr("lipbench.runs.run.Workplace.scorer", lambda *_: fake)
    task = tasks_of(plan_of(write(("score: 4", "score: 2"))))[0]
    do(task, stop_after=5)  # chosen before, kept in the checkpoint
    assert do(task).outcome == "completed"
    assert fake.scored == [(6, "last"), (4, "best")]
    row = frame.load_runs(tmp_path / "runs" / "tiny").query("outcome == 'completed'").iloc[0]
    assert row["best_update"] == 4
    assert row["fd_digits_gap"] == pytest.approx(row["fd_digits"] - row["fd_digits_best"])

    shorter = plan_of(
        write(("score: 4", "score: 2"), ("generator_updates: 6", "generator_updates: 4"))
    )
    other = tasks_of(shorter)[0]
    do(other)
    at_4 = [r for r in RunFolder(other.folder).rows("scores") if r["checkpoint"] == "last"]
    assert at_4[0]["scores"]["fd_digits"] == row["fd_digits_best"]


def test_a_selection_score_that_is_no_number_chooses_nothing(
    write, plan_of, tasks_of, do, monkeypatch
):
    fake = Improving()
    values = {2: math.nan, 4: 3.0, 6: math.nan}
    monkeypatch.setattr(
        fake,
        "select",
        lambda generator, *, latents, seed, update: ScoreRecord(
            update, "selection", "digits@2", {"fd_digits": values[update]}, 0.0
        ),
    )
    monkeypatch.setattr("lipbench.runs.run.Workplace.scorer", lambda *_: fake)
    do(tasks_of(plan_of(write(("score: 4", "score: 2"))))[0])
    assert fake.scored == [(6, "last"), (4, "best")]


def test_an_audit_does_not_change_how_a_run_ends(write, plan_of, tasks_of, do, tmp_path):
    """Weights that are finite but huge make logits that are not."""
    huge = ("settings: [C]", "settings: [{name: C, lr: 1e4, beta1: 0.5, beta2: 0.9, n_dis: 1}]")
    ends = []
    for number, audit in enumerate(("metrics: 2, audit: 1", "metrics: 2")):
        task = tasks_of(plan_of(write(huge, ("metrics: 2", audit))))[0]
        status = do(task)
        ends.append((status.outcome, status.cause))
        task.folder.rename(tmp_path / str(number))
    assert ends[0] == ends[1]
    assert ends[0][0] == "diverged"


def test_a_run_killed_before_its_first_checkpoint_begins_with_no_rows(
    write, plan_of, tasks_of, do
):
    task = tasks_of(plan_of(write(("checkpoint: 3", "checkpoint: 3, audit: 4"))))[0]
    folder = RunFolder(task.folder)
    folder.path.mkdir(parents=True)
    for update in (0, 2):
        folder.append("audits", {"update": update, "lower_bound": 99.0})
    do(task)
    assert [row["update"] for row in folder.rows("audits")] == [0, 4, 6]
    assert folder.rows("audits")[0]["lower_bound"] != 99.0


def test_a_run_killed_between_its_last_rows_has_each_once(write, plan_of, tasks_of, do):
    task = tasks_of(plan_of(write()))[0]
    done = do(task)
    folder = RunFolder(task.folder)
    whole = folder.rows("scores")
    (folder.path / "scores.jsonl").write_text("")
    for row in whole:
        if row["checkpoint"] != "last":
            folder.append("scores", row)
    folder.set_status(dataclasses.replace(done, outcome=Outcome.RUNNING))
    do(task)
    assert [(r["update"], r["checkpoint"]) for r in folder.rows("scores")] == [
        (r["update"], r["checkpoint"]) for r in whole
    ]


def test_without_scores_during_training_nothing_is_chosen(write, plan_of, tasks_of, do, tmp_path):
    task = tasks_of(plan_of(write(("score: 4, ", ""))))[0]
    do(task)
    assert [row["checkpoint"] for row in RunFolder(task.folder).rows("scores")] == ["last"]
    assert frame.load_runs(tmp_path / "runs" / "tiny")["best_update"].isna().all()


def test_a_run_killed_after_its_last_score_is_not_scored_twice(write, plan_of, tasks_of, do):
    task = tasks_of(plan_of(write()))[0]
    done = do(task)
    folder = RunFolder(task.folder)
    scores = lines(folder, "scores")
    folder.set_status(dataclasses.replace(done, outcome=Outcome.RUNNING))
    assert do(task).outcome == "completed"
    assert lines(folder, "scores") == scores


def test_a_run_that_is_done_is_not_done_again(write, plan_of, tasks_of, do):
    plan = plan_of(write())
    tasks = tasks_of(plan)
    do(tasks[0])
    assert [task.run for task in tasks_of(plan)] == [tasks[1].run]


@pytest.fixture
def broken(write, plan_of, tasks_of, tmp_path):
    """Return a function that makes a task of a method that does something at each penalty."""

    def broken(statement: str = "pass", value: str = "0.0"):
        plugin = tmp_path / "breaks.py"
        plugin.write_text(BREAKS.format(statement=statement, value=value))
        plan = plan_of(write(("[none, spectral_norm]", "[breaks]")), plugins=(plugin,))
        return tasks_of(plan)[0]

    return broken


def test_training_that_is_not_finite_has_diverged_with_step_and_cause(broken, do):
    task = broken(value="float('nan')")
    status = do(task)
    assert (status.outcome, status.update) == ("diverged", 2)
    assert "penalty" in status.cause
    assert status.cause.endswith("not finite at update 1")
    row = RunFolder(task.folder).rows("metrics")[0]
    assert math.isnan(float(row["penalty"]))
    json.loads(
        lines(RunFolder(task.folder), "metrics").splitlines()[0], parse_constant=pytest.fail
    )


def test_a_method_that_raises_is_a_failed_run_with_its_traceback(broken, do):
    task = broken(statement="raise KeyError('mine')")
    status = do(task)
    assert (status.outcome, status.cause) == (
        "failed",
        "KeyError: 'mine' (traceback in error.txt)",
    )
    assert "breaks.py" in (task.folder / "error.txt").read_text()


@pytest.mark.parametrize("kind", ["SystemExit(4)", "KeyboardInterrupt(4)"])
def test_a_hook_that_ends_the_process_politely_is_a_failed_run(broken, do, kind):
    status = do(broken(statement=f"raise {kind}"))
    cause = f"{kind.partition('(')[0]}: 4 (traceback in error.txt)"
    assert (status.outcome, status.cause) == ("failed", cause)


def test_a_run_draws_the_same_numbers_whatever_others_drew(broken, do, tmp_path):
    """From the generators of the process, which a hook may not use, and some do."""
    path = tmp_path / "drawn.txt"
    task = broken(
        "import pathlib, random, numpy; "
        f"pathlib.Path({str(path)!r}).write_text(f'{{random.random()}} {{numpy.random.rand()}}')"
    )
    do(task)
    first = path.read_text()
    task.folder.rename(tmp_path / "first")
    do(task)
    assert path.read_text() == first


def test_a_task_has_paths_that_hold_in_any_folder(write, plan_of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = plan_of(write())
    folder, registry = SuiteFolder(Path("runs", "tiny")), Plugins()
    cache, weights = Path("cache"), Path("weights.pth")
    task, _ = sweep.tasks(plan, plan.runs, folder, registry, sweep.Choices(), cache, weights)
    assert task.folder.parent == tmp_path / "runs" / "tiny" / "runs"
    assert (task.cache, task.weights) == (tmp_path / "cache", tmp_path / "weights.pth")


def test_a_decomposition_that_fails_on_exploding_weights_is_divergence(
    write, plan_of, tasks_of, do
):
    plan = plan_of(
        write(
            ("[none, spectral_norm]", "[singular_value_clipping]"),
            ("[C]", "[{lr: 1e+30, beta1: 0, beta2: 0.9, n_dis: 1}]"),
        )
    )
    status = do(tasks_of(plan)[0])
    assert status.outcome == "diverged"
    assert "at update 1" in status.cause


@pytest.mark.parametrize("kind", ["FileNotFoundError", "PermissionError"])
def test_a_file_error_of_a_method_is_that_runs_failure_and_not_the_disks(broken, do, kind):
    task = broken(statement=f"raise {kind}(13, 'no', '/some/file')")
    status = do(task)
    assert status.outcome == "failed"
    assert kind in status.cause
    assert (task.folder / "error.txt").exists()


@pytest.mark.parametrize(
    "statement",
    ["raise MemoryError('no more')", "raise torch.OutOfMemoryError('no more')"],
)
def test_running_out_of_memory_is_an_outcome_of_its_own(broken, do, statement):
    status = do(broken(statement=statement))
    assert (status.outcome, status.cause) == ("out_of_memory", "no more")


def test_failed_runs_are_tried_again_only_if_asked(broken, do, plan_of, tasks_of, tmp_path):
    task = broken(statement="raise KeyError('mine')")
    do(task)
    plan = plan_of(tmp_path / "tiny.yaml", plugins=(tmp_path / "breaks.py",))
    assert tasks_of(plan) == []
    assert len(tasks_of(plan, retry_failed=True)) == 1


def hurt(path: Path) -> None:
    """Write 64 KiB of zeros into the middle of a file, as a disk can."""
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes(65536) + content[middle + 65536 :])


def remarks(folder: RunFolder) -> list[str]:
    return folder.sessions()[-1].get("remarks", [])


@pytest.fixture
def stopped(write, plan_of, tasks_of, do, tmp_path):
    """Return a task that stopped at update 5 with the checkpoint of 4 kept, and its whole run."""
    plan = plan_of(write(("checkpoint: 3", "checkpoint: 1, audit: 2")))
    task = tasks_of(plan)[1]
    do(task)
    whole = RunFolder(task.folder.rename(tmp_path / "whole"))
    do(task, stop_after=5)
    return task, whole


@pytest.mark.parametrize(("damaged", "goes_on"), [(1, "goes on from update 4"), (2, "anew")])
def test_a_run_with_a_damaged_checkpoint_ends_with_the_same_bits(stopped, do, damaged, goes_on):
    task, whole = stopped
    folder = RunFolder(task.folder)
    for name in (CURRENT, PREVIOUS)[:damaged]:
        hurt(task.folder / name)
    heard = []
    assert do(task, heard=heard).outcome == "completed"
    assert_same_results(whole, folder)
    (remark,) = remarks(folder)
    assert goes_on in remark
    assert heard == [remark]
    assert not (task.folder / PREVIOUS).exists()


def test_another_runs_checkpoint_is_not_gone_on_from(
    write, plan_of, tasks_of, do, stopped, tmp_path
):
    task, whole = stopped
    other = tasks_of(plan_of(write(), "seeds=[7]"))[1]
    do(other, stop_after=4)
    for name in (CURRENT, PREVIOUS):
        shutil.copy(other.folder / CURRENT, task.folder / name)
    assert do(task).outcome == "completed"
    assert_same_results(whole, RunFolder(task.folder))
    assert remarks(RunFolder(task.folder)) == [
        f"{CURRENT} is another run's; {PREVIOUS} is another run's; the run begins anew"
    ]


def test_an_older_checkpoint_is_gone_on_from(stopped, do):
    """It has no seal, no spec and no rows."""
    task, whole = stopped
    state = torch.load(task.folder / CURRENT, weights_only=True)
    torch.save({key: state[key] for key in ("training", "best", "cost")}, task.folder / CURRENT)
    assert do(task).outcome == "completed"
    assert_same_results(whole, RunFolder(task.folder))
    assert remarks(RunFolder(task.folder)) == []


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("")])
def test_rows_that_were_lost_are_there_again_at_the_end(stopped, do, damage):
    task, whole = stopped
    for name in SERIES:
        damage(task.folder / f"{name}.jsonl")
    assert do(task).outcome == "completed"
    folder = RunFolder(task.folder)
    assert_same_results(whole, folder)
    assert remarks(folder) == [
        "2 rows missing from metrics.jsonl: restored from the checkpoint",
        "1 row missing from scores.jsonl: restored from the checkpoint",
        "3 rows missing from audits.jsonl: restored from the checkpoint",
    ]


def test_rows_that_a_completed_run_has_lost_are_said_and_restored(stopped, do):
    task, whole = stopped
    assert do(task).outcome == "completed"
    folder = RunFolder(task.folder)
    for name in ("metrics", "audits"):
        path = task.folder / f"{name}.jsonl"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:1]))
    lines = folder.mend(task.run.spec)
    assert [line.partition(": ")[2] for line in lines] == [
        "2 rows missing, 2 of them restored from the checkpoint",
        "3 rows missing, 3 of them restored from the checkpoint",
    ]
    assert_same_results(whole, folder)
    assert folder.mend(task.run.spec) == []


def test_rows_that_no_checkpoint_has_are_said_once(stopped, do):
    task, _ = stopped
    assert do(task).outcome == "completed"
    folder = RunFolder(task.folder)
    (task.folder / CURRENT).unlink()
    (task.folder / "metrics.jsonl").unlink()
    (line,) = folder.mend(task.run.spec)
    assert line.endswith("metrics.jsonl: 3 rows missing, 0 of them restored from the checkpoint")
    assert folder.mend(task.run.spec) == []
    assert folder.status().outcome == "completed"


def test_an_audit_by_hand_stays_when_the_run_goes_on(stopped, do):
    task, _ = stopped
    folder = RunFolder(task.folder)
    folder.put("audits", {**folder.rows("audits")[-1], "update": 5}, ("update",))
    assert do(task).outcome == "completed"
    assert [row["update"] for row in folder.rows("audits")] == [0, 2, 4, 5, 6]


def test_a_run_whose_checkpoint_is_damaged_does_not_stop_the_sweep(write, plan_of, tasks_of, do):
    plan = plan_of(write())
    task = tasks_of(plan)[0]
    do(task, stop_after=3)
    (task.folder / CURRENT).write_bytes((task.folder / CURRENT).read_bytes()[:1000])
    assert [left.run for left in tasks_of(plan)] == list(plan.runs)
    assert do(task).outcome == "completed"


def test_a_full_disk_stops_the_sweep_and_leaves_what_was_finished(
    write, plan_of, tasks_of, do, monkeypatch
):
    task = tasks_of(plan_of(write()))[0]
    do(task, stop_after=3)
    before = {p.name: p.read_bytes() for p in task.folder.glob("checkpoint.pt")}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(task.folder))

    monkeypatch.setattr("lipbench.atomic.os.fsync", full)
    with pytest.raises(UserError, match=r"cannot write .*: No space left on device"):
        do(task)
    assert {p.name: p.read_bytes() for p in task.folder.glob("checkpoint.pt")} == before
    assert not list(task.folder.glob(".*"))  # no temporary file is left


def test_a_file_that_cannot_grow_stops_the_sweep_as_a_full_disk_does(write, plan_of, tasks_of, do):
    """Through the real write calls: torch.save tells of them as of a bug."""
    task = tasks_of(plan_of(write()))[0]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(UserError, match="File too large"):
            do(task)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (task.folder / "checkpoint.pt").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("status.json", "null"),
        ("scores.jsonl", "{bad\n[]\n"),
        ("audits.jsonl", "{}\n"),
        ("manifest.json", "[]"),
        ("spec.json", ""),
    ],
)
def test_a_run_with_a_damaged_file_is_mended_and_has_the_same_results_again(
    write, plan_of, tasks_of, do, tmp_path, name, text
):
    plan = plan_of(write(("checkpoint: 3", "checkpoint: 3, audit: 6")))
    task = tasks_of(plan)[0]
    do(task)
    shutil.copytree(task.folder, tmp_path / "whole")
    (task.folder / name).write_text(text)
    suite = SuiteFolder(tmp_path / "runs" / "tiny")
    (line,) = sweep.mend([task.run], suite)
    assert f"{name} is damaged" in line or f"{name}:1: damaged" in line
    left = [other for other in tasks_of(plan) if other.folder == task.folder]
    assert len(left) == (name not in ("manifest.json", "spec.json"))
    for again in left:
        assert do(again).outcome == "completed"
    if name != "audits.jsonl":  # an audit is made when a run begins, and in its course
        assert_same_results(RunFolder(tmp_path / "whole"), RunFolder(task.folder))
    (kept,) = task.folder.glob(f"{name}.damaged-*")
    assert kept.read_text() == text
    assert sweep.mend([task.run], suite) == []


def test_a_damaged_plan_is_named(write, plan_of, tasks_of, tmp_path):
    tasks_of(plan_of(write()))
    plan = tmp_path / "runs" / "tiny" / "plan.json"
    for text in ("{", "{}", plan.read_text().replace(f'"schema": {spec.SCHEMA}', '"schema": 99')):
        plan.write_text(text)
        with pytest.raises(UserError, match=r"plan.json is damaged, or of a newer lipbench"):
            frame.load_runs(tmp_path / "runs" / "tiny")


def test_a_folder_that_is_no_run_does_not_spoil_the_table(write, plan_of, tasks_of, tmp_path):
    tasks_of(plan_of(write()))
    (tmp_path / "runs" / "tiny" / "runs" / "notes").mkdir(parents=True)
    assert len(frame.load_runs(tmp_path / "runs" / "tiny")) == 2


def test_a_run_that_stands_in_two_cells_is_run_once_and_has_two_rows(
    write, plan_of, tasks_of, do, tmp_path
):
    plan = plan_of(write(("[none, spectral_norm]", "[spectral_norm]"), ("[C]", "[C, recipe]")))
    (task,) = tasks_of(plan)
    do(task)
    runs = frame.load_runs(tmp_path / "runs" / "tiny")
    assert runs["setting"].tolist() == ["C", "recipe"]
    assert runs["run_id"].nunique() == 1
    assert runs["outcome"].tolist() == ["completed"] * 2


def test_what_says_that_it_runs_is_interrupted_once_the_lock_is_had(
    write, plan_of, tasks_of, do, tmp_path
):
    task = tasks_of(plan_of(write()))[0]
    do(task, stop_after=3)
    folder = RunFolder(task.folder)
    folder.set_status(dataclasses.replace(folder.status(), outcome=Outcome.RUNNING))
    suite = SuiteFolder(tmp_path / "runs" / "tiny")
    assert suite.statuses()[task.run.spec.hash].outcome == "interrupted"
    with suite.locked():
        assert folder.status().outcome == "interrupted"


def test_lipbench_runs_without_git(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert provenance()["revision"] is None


def test_a_method_edited_after_its_runs_is_told_and_the_user_decides(
    broken, do, plan_of, tasks_of, tmp_path
):
    do(broken())
    plugin = tmp_path / "breaks.py"
    plugin.write_text(plugin.read_text().replace("pass", "batch.real.sum()"))
    del sys.modules[Registry("methods", [plugin])["breaks"].module]  # as in a later process
    plan = plan_of(tmp_path / "tiny.yaml", plugins=(plugin,))
    with pytest.raises(UserError, match=r"breaks.py changed since 1 of these.*--rerun-changed"):
        tasks_of(plan)
    assert tasks_of(plan, keep_changed=True) == []
    assert len(tasks_of(plan, rerun_changed=True)) == 1
    assert len(list((tmp_path / "runs" / "tiny" / "replaced").iterdir())) == 1


def test_a_run_of_an_older_spec_is_taken_over_not_orphaned(write, plan_of, tasks_of, do, tmp_path):
    plan = plan_of(write())
    task = tasks_of(plan)[1]
    do(task)
    old = task.folder.rename(task.folder.with_name("spectral_norm-C-s0-000000000000"))
    spec = json.loads((old / "spec.json").read_text())
    del spec["methods"][0]["params"]["power_iterations"]
    (old / "spec.json").write_text(json.dumps(spec))
    suite = SuiteFolder(tmp_path / "runs" / "tiny")
    assert sweep.adopt(plan, suite, Plugins()) == [task.run.id]
    assert [left.run for left in tasks_of(plan)] == [plan.runs[0]]


def test_a_run_folder_under_another_runs_name_is_not_that_run(
    write, plan_of, tasks_of, do, tmp_path
):
    plan = plan_of(write())
    none, sn = tasks_of(plan)
    do(sn)
    suite = SuiteFolder(tmp_path / "runs" / "tiny")
    shutil.copytree(sn.folder, none.folder)
    assert set(suite.folders()) == {sn.run.spec.hash}
    runs = frame.load_runs(suite.path).set_index("method")
    assert runs["outcome"].to_dict() == {"none": "queued", "SN": "completed"}
    assert runs["fd_digits"].notna().to_dict() == {"none": False, "SN": True}
    (line,) = suite.uncounted().values()
    assert line == (
        f"{none.folder}: its spec.json is of the run spectral_norm-s0-{sn.run.spec.hash}; "
        "it does not count"
    )
    assert sweep.adopt(plan, suite, Plugins()) == []
    assert sweep.clear(plan.runs, suite) == [f"{line}, and is moved to {suite.path / 'replaced'}"]
    assert do(tasks_of(plan)[0]).outcome == "completed"
    assert frame.load_runs(suite.path)["fd_digits"].nunique() == 2
    assert suite.uncounted() == {}


def test_a_renamed_run_folder_gets_its_name_back(write, plan_of, tasks_of, do, tmp_path):
    plan = plan_of(write())
    none, sn = tasks_of(plan)
    do(sn)
    suite = SuiteFolder(tmp_path / "runs" / "tiny")
    sn.folder.rename(none.folder)
    assert frame.load_runs(suite.path)["outcome"].tolist() == ["queued", "queued"]
    assert sweep.adopt(plan, suite, Plugins()) == [sn.run.id]
    assert frame.load_runs(suite.path)["outcome"].tolist() == ["queued", "completed"]
    assert suite.uncounted() == {}


def test_of_two_folders_of_one_run_the_one_that_is_no_copy_counts(
    write, plan_of, tasks_of, do, tmp_path
):
    task = tasks_of(plan_of(write()))[1]
    do(task, stop_after=3)
    suite = SuiteFolder(tmp_path / "runs" / "tiny")
    copy = task.folder.with_name(f"copy of {task.folder.name}")
    shutil.copytree(task.folder, copy)
    assert suite.folders()[task.run.spec.hash].path == task.folder
    assert suite.uncounted() == {copy: f"{copy}: the same run as {task.folder.name}, which counts"}


def test_a_folder_that_an_older_version_renamed_is_the_planned_run(
    write, plan_of, tasks_of, do, tmp_path
):
    """It left the spec as it was: of schema 1, or without a field that its method gained."""
    task = tasks_of(plan_of(write()))[1]
    do(task, stop_after=3)
    suite = SuiteFolder(tmp_path / "runs" / "tiny")
    path = task.folder / "spec.json"
    now = json.loads(path.read_text())
    older = {**now, "schema": 1, "loss": now["loss"]["name"]}
    (method,) = now["methods"]
    poorer = {**now, "methods": [{**method, "params": {"power_iterations": 1}}]}
    other = {**now, "methods": [{**method, "params": {"power_iterations": 2}}]}
    for stored, counts in ((older, True), (poorer, True), (other, False), (None, True)):
        path.write_text(json.dumps(stored))
        assert (task.run.spec.hash in suite.folders()) is counts


def test_temporary_files_of_killed_processes_go_when_the_run_goes_on(
    write, plan_of, tasks_of, do, tmp_path
):
    task = tasks_of(plan_of(write()))[0]
    do(task, stop_after=3)
    suite = SuiteFolder(tmp_path / "runs" / "tiny")
    places = {
        "00000003.png": task.folder / "samples",
        "checkpoint.pt": task.folder,
        "plan.json": suite.path,
    }
    for name, folder in places.items():
        leave(folder / name)
    assert RunFolder(task.folder).samples() == []
    with suite.locked():
        do(task)
    assert not [path for folder in places.values() for path in folder.glob(".*.tmp")]


def leave(path: Path) -> None:
    """Leave a temporary file as a process does that is killed while it writes a path."""
    killed = multiprocessing.get_context("fork").Process(target=_write_and_die, args=(path,))
    killed.start()
    killed.join()
    assert len(list(path.parent.glob(f".{path.name}.*.tmp"))) == 1


def _write_and_die(path: Path) -> None:
    atomic.replace(path, lambda file: os.kill(os.getpid(), signal.SIGKILL))


def test_a_frame_has_a_row_for_every_run_whatever_became_of_it(
    write, plan_of, tasks_of, do, tmp_path
):
    plan = plan_of(write(("[none,", "[none, weight_norm,")))
    first, second, _ = tasks_of(plan)
    do(first)
    do(second, stop_after=3)
    runs = frame.load_runs(tmp_path / "runs" / "tiny").set_index("method")
    assert runs["outcome"].to_dict() == {"none": "completed", "WN": "interrupted", "SN": "queued"}
    assert runs["generator_updates"].to_dict() == {"none": 6, "WN": 3, "SN": 0}
    assert runs["fd_digits"].notna().to_dict() == {"none": True, "WN": False, "SN": False}
    assert runs.loc["none", "fd_digits_floor"] < runs.loc["none", "fd_digits"]
    assert runs.loc["SN", "params"] == '{"spectral_norm": {"power_iterations": 1, "gamma": false}}'
    assert runs["planned"].all()


def test_a_score_before_the_end_of_the_budget_is_a_curve_and_no_result(
    write, plan_of, tasks_of, do, tmp_path
):
    task = tasks_of(plan_of(write()))[0]
    do(task, stop_after=5)
    assert [row["update"] for row in RunFolder(task.folder).rows("scores")] == [4]
    runs = frame.load_runs(tmp_path / "runs" / "tiny")
    assert runs["fd_digits"].isna().all()


def test_the_columns_of_a_frame_do_not_depend_on_how_far_the_runs_are(
    write, plan_of, tasks_of, do, tmp_path
):
    path = tmp_path / "runs" / "tiny"
    tasks = tasks_of(plan_of(write()))
    frames = [frame.load_runs(path)]
    for task in tasks:
        do(task)
        frames.append(frame.load_runs(path))
    assert frames[-1]["fd_digits"].notna().all()
    for early in frames[:-1]:
        pd.testing.assert_series_equal(early.dtypes, frames[-1].dtypes)
    parts = ("", "_floor", "_std", "_se", "_best", "_gap")
    assert {f"fd_digits{part}" for part in parts} <= set(frames[0].columns)
    assert frames[0]["collapsed"].dtype == "boolean"
    other = frame.load_runs(path, "kurach2019@1")  # under which no run is scored
    assert other["fid"].isna().all()
    assert other["fid"].dtype == float
    with pytest.raises(UserError, match="no protocol called 'kurach'"):
        frame.load_runs(path, "kurach")


def test_runs_of_an_edited_suite_stay_and_are_not_planned(write, plan_of, tasks_of, do, tmp_path):
    for task in tasks_of(plan_of(write())):
        do(task)
    plan = plan_of(write(("[none, spectral_norm]", "[spectral_norm]")))
    assert tasks_of(plan) == []
    runs = frame.load_runs(tmp_path / "runs" / "tiny")
    assert runs[["methods", "planned"]].values.tolist() == [
        ["spectral_norm", True],
        ["none", False],
    ]


def test_curves_hold_metrics_and_scores_of_every_interval(write, plan_of, tasks_of, do, tmp_path):
    do(tasks_of(plan_of(write()))[0])
    curves = frame.load_curves(tmp_path / "runs" / "tiny")
    assert curves.query("name == 'loss_g'")["update"].tolist() == [2, 4, 6]
    assert curves.query("name == 'fd_digits_selection'")["update"].tolist() == [4, 6]


def test_an_estimate_comes_from_earlier_runs_alike_and_only_from_them(
    write, plan_of, tasks_of, do, tmp_path
):
    long = write(("generator_updates: 6", "generator_updates: 30"))
    plan = plan_of(long)
    assert estimates.estimate(plan.runs, tmp_path / "runs") == (0, 0)
    do(tasks_of(plan)[0])
    seconds, known = estimates.estimate(plan.runs, tmp_path / "runs")
    assert known == 1
    assert 0 < seconds < 60


def test_two_processes_cannot_work_on_one_folder(tmp_path):
    suite = SuiteFolder(tmp_path / "tiny")
    with suite.locked():
        assert suite.is_locked()
        with pytest.raises(UserError, match="another lipbench process works on"), suite.locked():
            pass
    assert not suite.is_locked()
