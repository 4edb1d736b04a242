"""Who works on which run."""

from __future__ import annotations

import fcntl
import subprocess
import sys

from lipbench.runs import holds


def test_a_hold_keeps_others_out_until_it_is_released(tmp_path):
    path = tmp_path / "claims" / "run"
    first = holds.hold(path)
    assert holds.hold(path) is None
    assert holds.is_held(path)
    first.release()
    assert not holds.is_held(path)
    assert not path.exists()
    again = holds.hold(path)
    assert holds.is_held(path)
    again.release()


def test_a_hold_on_a_file_that_was_deleted_meanwhile_is_no_hold(tmp_path):
    path = tmp_path / "run"
    stale = path.open("a")  # as of a process that opened it before the other's release
    path.unlink()
    assert not holds._is_there(path, stale)
    path.touch()
    assert not holds._is_there(path, stale)
    stale.close()


def test_a_hold_is_on_the_file_that_is_there(tmp_path, monkeypatch):
    path, lock = tmp_path / "run", fcntl.flock
    released = []

    def flock(file, kind):
        lock(file, kind)
        if not released:  # by another one, between our opening of the file and our lock
            released.append(path.unlink())

    monkeypatch.setattr(fcntl, "flock", flock)
    taken = holds.hold(path)
    assert holds.is_held(path)
    taken.release()


HOLD = """
import signal, sys
from pathlib import Path
from lipbench.runs import holds
hold = holds.hold(Path(sys.argv[1]))
print("held", flush=True)
signal.pause()
"""


def test_a_hold_ends_with_its_process_however_that_ends(tmp_path):
    path = tmp_path / "run"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        assert holds.hold(path) is None
        process.kill()
    taken = holds.hold(path)
    assert taken is not None
    taken.release()
