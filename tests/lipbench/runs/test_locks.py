"""File systems without locks, and what may stand in a lock's place."""

from __future__ import annotations

import errno
import fcntl
import os
import sys

import pytest

from lipbench.cli import main
from lipbench.errors import UserError
from lipbench.outcome import Outcome
from lipbench.runs import holds, locks
from lipbench.runs.run_folder import RunFolder, Status
from lipbench.runs.suite_folder import SuiteFolder

ERRORS = ("ENOSYS", "ENOLCK", "EOPNOTSUPP", "ENOTSUP", "EINVAL", "EBADF")


@pytest.fixture(params=ERRORS)
def without_locks(request, monkeypatch):
    """Make every attempt to lock fail as on a file system without locks."""
    number = getattr(errno, request.param)

    def flock(file, kind):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.fixture
def suite(write, plan_of, tmp_path):
    """Return results with a run that says that it is running, and another one completed."""
    plan = plan_of(write())
    suite = SuiteFolder(tmp_path / "runs" / "tiny")
    suite.save_plan(plan, "sqlite://")
    for run, outcome in zip(plan.runs, ("running", "completed"), strict=True):
        suite.new_folder(run).set_status(Status(Outcome(outcome), None, 6))
    (suite.path / ".lock").touch()
    return suite


def status(suite, monkeypatch, capsys):
    """Return what `lipbench status` prints, and its errors."""
    monkeypatch.setattr(sys, "argv", ["lipbench", "status", str(suite.path)])
    with pytest.raises(SystemExit) as exit_:
        main.main()
    assert not exit_.value.code
    return capsys.readouterr()


def test_a_reader_needs_no_lock(suite, without_locks, monkeypatch, capsys):
    out, err = status(suite, monkeypatch, capsys)
    assert "1 running, 1 completed" in out
    assert err.splitlines() == [
        f"{suite.path}: this file system has no locks, so a run that is shown as running may have "
        "been interrupted"
    ]


def test_a_sweep_goes_on_without_locks_and_says_so(suite, without_locks):
    with suite.locked() as remark:
        assert "this file system has no locks: never start a second command" in remark
        assert suite.is_locked() is None
        outcomes = [status.outcome for status in suite.statuses().values()]
        assert sorted(outcomes) == ["completed", "interrupted"]


def test_a_study_is_refused_without_locks(suite, without_locks):
    message = r"\.lock: this file system has no locks, and a study needs them; .* --runs-dir"
    with pytest.raises(UserError, match=message), suite.shared():
        pass


def test_a_hold_and_a_decision_are_refused_without_locks(suite, without_locks):
    with pytest.raises(locks.NoLocks):
        holds.hold(suite.path / "claims" / "run")
    with pytest.raises(locks.NoLocks), suite.deciding():
        pass
    assert not holds.is_held(suite.path / "claims" / "run")


def test_what_can_do_without_a_lock_goes_on(suite, without_locks):
    done = []
    with locks.held_where_possible(suite.path / ".mlflow.lock"):
        done.append(1)
    with locks.held_where_possible(suite.path / "nowhere" / ".mlflow.lock"):
        done.append(2)
    assert done == [1, 2]


def test_another_error_of_the_system_is_none_of_locks(suite, monkeypatch):
    def flock(file, kind):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match="error"), suite.locked():
        pass


def test_a_lock_that_is_a_folder_is_named_by_who_takes_it(suite, monkeypatch, capsys):
    (suite.path / ".lock").unlink()
    (suite.path / ".lock").mkdir()
    assert "1 interrupted, 1 completed" in status(suite, monkeypatch, capsys).out
    with pytest.raises(UserError, match=r"\.lock is a folder; .*: remove it"), suite.locked():
        pass


def test_a_file_is_held_for_one_and_shared_by_several(tmp_path):
    path = tmp_path / "lock"
    with locks.held(path):
        assert locks.is_held(path)
        assert locks.acquire(path) is None
        assert locks.acquire(path, shared=True) is None
    assert locks.is_held(path) is False
    first = locks.acquire(path)
    locks.share(first)
    with first, locks.acquire(path, shared=True):
        assert locks.acquire(path) is None
        assert not locks.is_held(path)  # for those who only read
    assert RunFolder(tmp_path / "none").status() == Status()
