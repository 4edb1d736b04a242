"""The local engine, where a worker process cannot begin."""

from __future__ import annotations

from multiprocessing.context import SpawnProcess

import pytest

from lipbench.engines import local


def test_a_worker_that_dies_as_it_starts_is_no_silent_end(monkeypatch, write, plan_of, tasks_of):
    """A bare broken pipe would be taken for a reader like `| head` that is gone."""

    def start(process):
        raise BrokenPipeError

    monkeypatch.setattr(SpawnProcess, "start", start)
    with pytest.raises(ChildProcessError, match="ended before it had begun"):
        list(local.execute(tasks_of(plan_of(write())), ["cpu"]))
