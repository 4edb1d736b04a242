"""What is shown of a sweep while it runs."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from lipbench.cli.display import Display, Steps, preparing
from lipbench.engines.local import Event
from lipbench.runs.eta import Forecast


@pytest.fixture
def console():
    """Return a console that is no terminal, 60 characters wide."""
    return Console(file=io.StringIO(), highlight=False, markup=False, width=60)


@pytest.fixture
def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=100)


def printed(console: Console) -> str:
    return console.file.getvalue()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_long_preparation_is_told_of_seldom_and_a_short_one_never():
    told, clock = [], Clock()
    steps = Steps(told.append, clock)
    for image in range(0, 401):  # 2 s
        clock.now = image / 200
        steps("a short one", image, 400)
    assert told == []
    for second in range(0, 101):
        clock.now = 10 + second
        steps("features of real images (test split)", second * 500, 50_000)
    assert told == [
        "features of real images (test split): 2,500/50,000",
        "features of real images (test split): 17,500/50,000",
        "features of real images (test split): 32,500/50,000",
        "features of real images (test split): 47,500/50,000",
        "features of real images (test split): 50,000/50,000",
    ]


def test_a_terminal_shows_at_once_how_far_a_preparation_is(terminal):
    with preparing(terminal) as report:
        report("features of real images (test split)", 12_000, 50_000)
    assert "features of real images (test split): 12,000/50,000" in printed(terminal)


def finished(outcome: str = "completed", cause: str | None = None) -> dict[str, object]:
    cost = {"seconds_training": 20.0, "seconds_scoring": 4.0}
    return {"outcome": outcome, "cause": cause, "update": 6, "cost": cost}


def scored(value: float) -> dict[str, object]:
    return {"update": 6, "checkpoint": "last", "scores": {"fd_digits": value}}


def test_a_pipe_gets_a_line_for_each_run_that_ends_with_the_time_that_is_left(
    console, write, plan_of, tasks_of
):
    tasks = tasks_of(plan_of(write()))
    clock = Clock()
    forecast = Forecast([task.run for task in tasks], 1, clock=clock)
    display = Display(console, 2, forecast, "fd_digits")
    for kind, seconds, facts in (
        ("started", 0, {}),
        ("began", 4, {"update": 0}),
        ("scored", 24, scored(123.4)),
        ("finished", 30, finished()),
    ):
        clock.now = seconds
        display.show(Event(kind, tasks[0], facts))
    assert printed(console) == (
        "[1/2]  completed  none  C  seed 0  fd_digits 123  24 s  (about 26 s left)\n"
    )
    display.show(Event("started", tasks[1]))
    facts = {"what": "features of real images (test split)", "done": 3, "total": 9}
    display.show(Event("preparing", tasks[1], facts))
    display.show(Event("finished", tasks[1], finished("diverged", "loss_d not finite")))
    assert printed(console).splitlines()[1:] == [
        "[2/2]  diverged  SN  C  seed 0  24 s  loss_d not finite"
    ]


def test_a_run_that_was_trained_before_is_scored_and_takes_the_time_of_that(
    console, write, plan_of, tasks_of
):
    (task, _) = tasks_of(plan_of(write()))
    display = Display(console, 1, Forecast([task.run], 1), "fd_digits")
    for kind, facts in (
        ("started", {}),
        ("began", {"update": 6}),
        ("scored", scored(123.4)),
        ("finished", finished()),
    ):
        display.show(Event(kind, task, facts))
    assert printed(console) == "[1/1]  scored  none  C  seed 0  fd_digits 123  0.0 s\n"


def test_a_terminal_shows_what_a_run_prepares_and_then_its_updates(
    terminal, write, plan_of, tasks_of
):
    (task, _) = tasks_of(plan_of(write()))
    display = Display(terminal, 2, Forecast([task.run], 1), "fd_digits")

    def shown() -> str:
        with terminal.capture() as captured:
            terminal.print(display._picture())
        return captured.get()

    display.show(Event("started", task))
    facts = {"what": "features of real images (test split)", "done": 1200, "total": 5000}
    display.show(Event("preparing", task, facts))
    assert "features of real images (test split): 1,200/5,000" in shown()
    display.show(Event("progress", task, {"update": 3, "total": 6}))
    assert "features" not in shown()
    assert "3/6" in shown()
    assert "2 of 2 runs left, about ?" in shown()


def test_one_running_run_is_saved_in_the_singular(console):
    display = Display(console, 2, Forecast([], 1), "fd_digits")
    display.show(Event("stopping", facts={"running": 1}))
    display.show(Event("stopping", facts={"running": 2}))
    assert printed(console).splitlines() == [
        "stopping: 1 run that trains is saved; the same command resumes",
        "stopping: 2 runs that train are saved; the same command resumes",
    ]
