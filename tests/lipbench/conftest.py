"""A tiny suite, and what it takes to run it in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lipbench.cli.main import main
from lipbench.planning import resolve, suite
from lipbench.planning.plan import Plan
from lipbench.plugins import Plugins
from lipbench.runs import sweep
from lipbench.runs.run import Task, Workplace, run
from lipbench.runs.run_folder import Status
from lipbench.runs.suite_folder import SuiteFolder

TINY = """
name: tiny
dataset: digits
architecture: {width: 0.125}
methods: [none, spectral_norm]
settings: [C]
budget: {generator_updates: 6, batch_size: 8, generator_batch_size: 8}
protocol: digits
intervals: {metrics: 2, score: 4, checkpoint: 3}
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the tiny suite, with parts of its text replaced."""

    def write(*replacements: tuple[str, str], text: str = TINY) -> Path:
        for old, new in replacements:
            assert old in text, old
            text = text.replace(old, new)
        path = tmp_path / "tiny.yaml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def plan_of(cache: Path) -> Callable[..., Plan]:
    """Return a function from a suite file to its plan."""

    def plan_of(path: Path, *assignments: str, plugins: tuple[Path, ...] = ()) -> Plan:
        read, document = suite.read(path, list(assignments))
        return resolve.plan(read, document, Plugins(plugins), cache)

    return plan_of


@pytest.fixture(scope="session")
def workplace() -> Workplace:
    """Return one process's data and scorers, shared by all tests."""
    return Workplace(torch.device("cpu"))


@pytest.fixture
def tasks_of(tmp_path: Path, cache: Path) -> Callable[..., list[Task]]:
    """Return a function from a plan to what is left of it to do under tmp_path/runs."""

    def tasks_of(plan: Plan, **choices: bool) -> list[Task]:
        folder = SuiteFolder(tmp_path / "runs" / plan.name)
        folder.save_plan(plan, "sqlite://")
        registry = Plugins(plan.plugins)
        chosen = sweep.Choices(**choices)
        return sweep.tasks(plan, plan.runs, folder, registry, chosen, cache, None)

    return tasks_of


@pytest.fixture
def do(workplace: Workplace) -> Callable[..., Status]:
    """Return a function that does a task here, asked to stop after so many updates, if any.

    It adds remarks on what was repaired to `heard`.
    """

    def do(task: Task, stop_after: int | None = None, heard: list[str] | None = None) -> Status:
        asked = iter(range(1, 10**9))

        def notify(kind: str, facts: dict[str, Any]) -> bool:
            if kind == "remarked" and heard is not None:
                heard.append(facts["remark"])
            return True

        return run(task, workplace, notify, lambda: next(asked) == stop_after)

    return do


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Return a function that runs lipbench in this process: its exit code, what it printed."""

    def command(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["lipbench", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out + err

    return command
