"""Studies whose runs take no time, and a PostgreSQL server, new for each test process."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lipbench.outcome import Outcome
from lipbench.planning import suite
from lipbench.plugins import Plugins
from lipbench.runs import sweep
from lipbench.runs.run import Task
from lipbench.runs.run_folder import RunFolder, Status
from lipbench.runs.suite_folder import SuiteFolder
from lipbench.tuning.storage import locate
from lipbench.tuning.study import Study, study
from lipbench.tuning.tuner import Tuner

STUDY = """
name: tuned
dataset: digits
architecture: {width: 0.125}
methods: [none, spectral_norm]
settings: C
budget: {generator_updates: 10, batch_size: 8, generator_batch_size: 8}
protocol: digits
intervals: {score: 5}
tune:
  search:
    lr: {low: 1.0e-5, high: 1.0e-2, log: true}
    n_dis: [1, 5]
  sampler: RandomSampler
  budget: {trials: 3}
  confirm: {configurations: 1, seeds: [100, 101]}
"""

SECONDS = 60

# Its input ends with the process that holds the other end, however that ends.
UNTIL_INPUT_ENDS = """
"$0" "$@" &
read -r _
kill -INT $!
wait $!
rm -rf "$FOLDER"
"""
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
SMALL = {"shared_buffers": "16MB", "max_connections": "40"}


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Yield the URL of an empty database on a server that takes connections by a socket alone."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed here (no initdb)")
    pytest.importorskip("psycopg2")
    folder = Path(tempfile.mkdtemp(prefix="lipbench-postgresql-", dir="/tmp"))
    try:
        shared = _account(folder) | {"cwd": "/", "env": {"LC_ALL": "C", "FOLDER": str(folder)}}
        _initdb(binaries, folder, shared)
        with _served(binaries, folder, shared):
            yield f"postgresql+psycopg2://postgres@/postgres?host={folder}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path | None:
    """Return the folder of the server's programs; Debian keeps them off the path."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(installed, key=lambda path: float(path.parts[-3]), default=None)
    return newest.parent if newest else None


def _account(folder: Path) -> dict[str, Any]:
    """Return whom to run as, and give them the folder: the server refuses to be root's."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _initdb(binaries: Path, folder: Path, shared: dict[str, Any]) -> None:
    options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"]
    command = [binaries / "initdb", *options, "-D", folder / "data"]
    done = subprocess.run(command, capture_output=True, text=True, **shared)
    assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def _served(binaries: Path, folder: Path, shared: dict[str, Any]) -> Iterator[None]:
    """Run the server, from when it takes connections until the block ends."""
    settings = {**FAST, **SMALL, "listen_addresses": "", "unix_socket_directories": str(folder)}
    options = [f"--{name}={value}" for name, value in settings.items()]
    command = ["/bin/sh", "-c", UNTIL_INPUT_ENDS, binaries / "postgres", *options]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [*command, "-D", folder / "data"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for pytest, which then comes here
            **shared,
        )
    assert server.stdin is not None
    try:
        _await(folder)
        yield
    finally:
        server.stdin.close()
        try:
            server.wait(SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _await(folder: Path) -> None:
    """Return once the server takes connections; fail with its log if it does not."""
    import psycopg2

    deadline = time.monotonic() + SECONDS
    while True:
        try:
            psycopg2.connect(user="postgres", dbname="postgres", host=str(folder)).close()
            return
        except psycopg2.OperationalError:
            log = (folder / "log").read_text()
            assert "FATAL:  could not" not in log, log
            assert time.monotonic() < deadline, log
            time.sleep(0.05)


@dataclass
class Stage:
    """A study's folder, and what stands in for training: the score is 1000 times the run's lr."""

    folder: SuiteFolder
    made: Study
    location: str
    trained: list[str] = field(default_factory=list)  # the hashes of runs, as they end
    tuners: list[Tuner] = field(default_factory=list)

    def tuner(self, **options: bool) -> Tuner:
        """Return a process's tuner, as far as the study is concerned."""
        self.folder.path.mkdir(parents=True, exist_ok=True)
        plan = self.made.plan
        self.folder.save_plan(plan, "sqlite://")
        with self.folder.deciding():
            tuner = Tuner(
                self.made,
                self.folder,
                self.location,
                lambda run, at: sweep.task(plan, run, at, {}, Path(), None),
                **options,
            )
        self.tuners.append(tuner)
        return tuner

    def train(self, task: Task, outcome: str = "completed", **scores: float) -> None:
        """Write a run's folder as if it had been trained."""
        run = RunFolder(task.folder)
        run.path.mkdir(parents=True, exist_ok=True)
        value = {"fd_digits": 1000 * task.run.spec.setting.lr, **scores}
        if outcome == "completed":
            about = {"protocol": task.protocol.id, "checkpoint": "last", "update": 10}
            about |= {"collapsed": False, "floors": {}, "spreads": {}, "errors": {}}
            run.append("scores", {**about, "scores": value})
        update = 10 if outcome == "completed" else 5
        run.set_status(Status(Outcome(outcome), update=update, cost={"seconds_training": 36.0}))
        self.trained.append(task.run.spec.hash)

    def finish(self, tuner: Tuner, outcome: Callable[[Task], str] = lambda _: "completed") -> None:
        """Do everything that a tuner has to do, one task after the other."""
        while task := tuner.next():
            self.train(task, outcome(task))
            tuner.finished(task)


@pytest.fixture
def stage(tmp_path: Path, cache: Path) -> Iterator[Callable[..., Stage]]:
    """Yield a function that resolves a study's file, changed as `--set` would."""
    stages = []

    def stage(*assignments: str, storage: str = "journal", text: str = STUDY) -> Stage:
        path = tmp_path / "tuned.yaml"
        path.write_text(text)
        read, document = suite.read(path, list(assignments))
        folder = SuiteFolder(tmp_path / "runs" / read.name)
        made = study(read, document, Plugins(), cache)
        stages.append(Stage(folder, made, locate(storage, folder.path)))
        return stages[-1]

    yield stage
    for made in stages:
        for tuner in made.tuners:
            tuner.close()
