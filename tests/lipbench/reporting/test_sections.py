"""Exhibits drawn by several processes."""

from __future__ import annotations

import os
import signal

import pytest

from lipbench.errors import UserError
from lipbench.reporting import Exhibit, Figure, Omitted, Sentences
from lipbench.reporting import sections as module
from lipbench.reporting.sections import drawn, section
from lipbench.results import Results

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


class Told(Exhibit):
    """Say which process this is, and draw a line."""

    order = 1

    def __init__(self, title: str) -> None:
        self.title = title

    def show(self, results):
        from matplotlib.figure import Figure as Drawing

        drawing = Drawing(figsize=(2, 1), layout="constrained")
        drawing.add_subplot().plot([1, 2])
        yield Sentences((f"{os.getpid()}",))
        yield Figure(f"line_{self.title}", "A line", drawing, column=True)
        yield Omitted("there is no more")


class Broken(Told):
    """Hold a programming error."""

    def show(self, results):
        raise ZeroDivisionError(self.title)


class Killed(Told):
    """End as the system ends a process where memory runs out."""

    def show(self, results):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def alone(monkeypatch):
    """Let this process pass for one without other threads: a test runner has some."""
    monkeypatch.setattr(module.threading, "active_count", lambda: 1)


def processes(found):
    return {entry["texts"][0] for each in found for entry in each.entries if "texts" in entry}


def drawn_by(number, exhibits):
    with drawn(exhibits, Results, number) as found:  # what they are about is never read
        return list(found)


@pytest.mark.usefixtures("alone")
def test_other_processes_give_the_same_files_in_the_same_order():
    exhibits = [Told(title) for title in "abcde"]

    forked, here = drawn_by(2, exhibits), drawn_by(1, exhibits)

    assert [each.title for each in forked] == list("abcde")
    assert [each.files for each in forked] == [each.files for each in here]
    assert [each.omitted for each in forked] == [["there is no more"]] * 5
    assert processes(here) == {str(os.getpid())}
    assert not processes(forked) & processes(here)


def test_beside_other_threads_nothing_is_forked(monkeypatch):
    monkeypatch.setattr(module.threading, "active_count", lambda: 2)

    assert processes(drawn_by(2, [Told("a"), Told("b")])) == {str(os.getpid())}


@pytest.mark.usefixtures("alone")
def test_an_exhibits_error_is_raised_as_it_is():
    with pytest.raises(ZeroDivisionError, match="b"):
        drawn_by(2, [Told("a"), Broken("b")])


@pytest.mark.usefixtures("alone")
def test_a_process_that_is_killed_is_said_in_a_line():
    with pytest.raises(UserError, match="was killed, as the system does where memory runs out"):
        drawn_by(2, [Told("a"), Killed("b")])


def test_two_results_of_one_exhibit_write_two_files(monkeypatch):
    class Twice(Told):
        def show(self, results):
            yield from super().show(results)
            yield from super().show(results)

    with pytest.raises(ValueError, match="a second result writes"):
        section(Twice("a"), Results)
