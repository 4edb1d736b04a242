"""`lipbench tune` as a user runs it: real training, several processes, kills, a database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import optuna
import pytest

from lipbench.results.frame import load_runs, load_trials
from lipbench.runs.suite_folder import SuiteFolder

pytestmark = pytest.mark.slow

STUDY = """
# A study in seconds.
dataset: digits
architecture: {width: 0.125}
methods: [none, spectral_norm]
settings: C
budget: {generator_updates: 20, batch_size: 8, generator_batch_size: 8}
protocol:
  name: few
  based_on: digits
  n_real: 200
  n_fake: 200
  n_training: 0
  bootstrap: 0
  scores: {fd_digits: {sets: 1}}
  selection: {n_real: 200, n_fake: 200}
intervals: {metrics: 10, score: 5, checkpoint: 5}
tune:
  search:
    lr: {low: 1.0e-4, high: 1.0e-2, log: true}
    n_dis: [1, 2]
  pruner: {MedianPruner: {n_startup_trials: 2}}
  budget: {trials: 6}
  confirm: {configurations: 1, seeds: [100]}
"""
SECONDS = 240


class Terminal:
    """A folder with a study's file, in which `lipbench` is run."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.folder.mkdir()
        (folder / "few.yaml").write_text(STUDY)
        self.results = folder / "runs" / "few"
        self.environment = {**os.environ, "LIPBENCH_CACHE": str(cache)}

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "lipbench", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def tune(self, *arguments: str) -> str:
        """Run `lipbench tune` to its end; return what it printed."""
        return self.end(self.begin("tune", "few.yaml", *arguments))

    def end(self, process: subprocess.Popen[str], code: int = 0) -> str:
        printed, _ = process.communicate(timeout=SECONDS)
        assert process.returncode == code, printed
        return printed

    def wait_for(self, condition) -> None:
        until = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < until
            time.sleep(0.02)

    def running(self) -> list[str]:
        """Return the runs that processes work on now."""
        suite = SuiteFolder(self.results)
        return [h for h, status in suite.statuses().items() if status.outcome == "running"]

    def trials(self) -> list[dict[str, object]]:
        """Return what every trial drew and came to."""
        frame = load_trials(self.results)
        kept = [c for c in frame if c not in ("seconds", "started", "ended")]
        return json.loads(frame[kept].to_json(orient="records"))


@pytest.fixture
def terminal(tmp_path, cache, store):
    """Return a function that makes a folder to run `lipbench` in."""

    def terminal(name="here"):
        made = Terminal(tmp_path / name, cache)
        store(made.folder / "runs")
        return made

    return terminal


def whole(terminal, storage=None):
    """Check that a study has all of its trials and runs, each once."""
    trials = load_trials(terminal.results)
    assert Counter(trials["method"]) == {"none": 6, "SN": 6}
    assert set(trials["outcome"]) <= {"completed", "pruned"}
    assert trials["run_id"].is_unique
    runs = load_runs(terminal.results)
    assert len(runs) == 14
    assert runs["planned"].all()
    assert runs.loc[runs["confirms"].eq(True), "outcome"].tolist() == ["completed"] * 2
    if storage is None:
        backend = optuna.storages.journal.JournalFileBackend(
            str(terminal.results / "optuna.journal")
        )
        storage = optuna.storages.JournalStorage(backend)
    for method in ("none", "SN"):
        rows = trials[trials["method"].eq(method)].set_index("trial")
        for trial in optuna.load_study(study_name=f"few/{method}/seed 0", storage=storage).trials:
            row = rows.loc[trial.number]
            assert trial.params["lr"] == row["params_lr"]
            if row["outcome"] == "completed":
                assert (trial.state.name, trial.value) == ("COMPLETE", row["fd_digits"])
            else:
                assert trial.state.name == "PRUNED"
                assert trial.last_step == row["generator_updates"] < 20


def test_a_study_run_twice_with_one_worker_has_the_same_trials(terminal):
    first, second = terminal("first"), terminal("second")
    printed = first.tune("--workers", "1")
    assert "14 runs to do" in printed
    assert "[14/14]" in printed
    whole(first)
    second.tune("--workers", "1")
    assert first.trials() == second.trials()
    assert {trial["outcome"] for trial in first.trials()} == {"completed", "pruned"}


def test_two_processes_cooperate_and_survive_a_kill(terminal):
    here = terminal()
    arguments = ("tune", "few.yaml", "--workers", "1")
    one, other = here.begin(*arguments), here.begin(*arguments)
    here.wait_for(lambda: (here.results / "plan.json").exists() and len(here.running()) == 2)
    one.send_signal(signal.SIGKILL)
    one.communicate()
    here.end(other)
    whole(here)
    sessions = [len(folder.sessions()) for folder in SuiteFolder(here.results).folders().values()]
    assert max(sessions) == 2  # the killed one's trial went on
    assert "; 0 runs to do" in here.tune("--resume")
    whole(here)


def test_the_same_on_postgresql(terminal, postgresql):
    here = terminal()
    arguments = ("tune", "few.yaml", "--workers", "1", "--storage", postgresql)
    one, other = here.begin(*arguments), here.begin(*arguments)
    here.wait_for(lambda: (here.results / "plan.json").exists() and len(here.running()) == 2)
    one.send_signal(signal.SIGKILL)
    one.communicate()
    here.end(other)
    whole(here, postgresql)
    assert not (here.results / "optuna.journal").exists()


def test_a_study_that_is_interrupted_says_so_and_goes_on(terminal):
    here = terminal()
    process = here.begin("tune", "few.yaml", "--workers", "1")
    here.wait_for(lambda: (here.results / "plan.json").exists() and here.running())
    process.send_signal(signal.SIGINT)
    printed = here.end(process, code=130)
    assert "stopping: 1 run that trains is saved" in printed
    assert not here.running()
    here.tune("--workers", "2")
    whole(here)


def test_a_studys_status_report_and_best_suite(terminal):
    here = terminal()
    diverging = "tune.search.lr=[1.0e-3, 1.0e+30]"
    here.tune("--set", diverging, "--set", "tune.budget.trials=4", "--set", "methods=none")
    status = here.end(here.begin("status", "runs/few"))
    assert "MedianPruner" in status
    assert "1 of 1 run done" in status
    assert "the best configurations again, FD (digits) (lower is better):" in status
    trials = load_trials(here.results)
    assert {"completed", "diverged"} <= set(trials["outcome"])
    assert set(trials.loc[trials["outcome"].eq("diverged"), "fd_digits"]) == {1200.0}
    here.end(here.begin("report", "runs/few"))
    page = (here.results / "report" / "index.html").read_text()
    assert "4 trials" in page
    assert "Tuned methods" in page
    given = ("--set", diverging, "--set", "tune.budget.trials=4", "--set", "methods=none")
    here.tune(*given, "--export-best", "best.yaml")
    plan = here.end(here.begin("plan", "best.yaml"))
    assert "lr 0.001" in plan


def test_a_study_that_is_not_there_can_be_neither_resumed_nor_exported(terminal):
    here = terminal()
    for option in (("--resume",), ("--export-best", "best.yaml")):
        printed = here.end(here.begin("tune", "few.yaml", *option), code=2)
        assert "no study is in runs/few" in printed
    printed = here.end(here.begin("run", "few.yaml"), code=2)
    assert "`lipbench tune` searches" in printed
    printed = here.end(
        here.begin("tune", "few.yaml", "--storage", "postgresql://me:secret@127.0.0.1:1/x"), code=2
    )
    assert "cannot be used" in printed
    assert "secret" not in printed
    assert len(printed.splitlines()) == 1
