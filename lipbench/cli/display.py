"""Show a sweep while it runs: live on a terminal, as plain lines when piped. Part of `cli`."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lipbench.outcome import Outcome
from lipbench.runs.estimates import duration
from lipbench.words import are, counted

if TYPE_CHECKING:
    from lipbench.engines.local import Event
    from lipbench.planning.plan import PlannedRun
    from lipbench.runs.eta import Forecast
    from lipbench.runs.run import Task

_FORECAST_SECONDS = 1.0  # between estimates of what is left
_FIRST_STEP = 5.0  # seconds, after which a preparation is worth a line
_NEXT_STEP = 30.0  # seconds between its next lines


class Steps:
    """Tell in plain lines how far a preparation is: seldom, and nothing of a short one."""

    def __init__(
        self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._say, self._clock = say, clock
        self._what, self._due, self._spoken = "", 0.0, False

    def __call__(self, what: str, done: int, total: int) -> None:
        """Take in that so many of a total are done."""
        now = self._clock()
        if what != self._what:
            self._what, self._due, self._spoken = what, now + _FIRST_STEP, False
        if now >= self._due or (self._spoken and done == total):
            self._say(_step(what, done, total))
            self._due, self._spoken = now + _NEXT_STEP, True


def _step(what: str, done: int, total: int) -> str:
    return f"{what}: {done:,}/{total:,}"


@contextlib.contextmanager
def preparing(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """Give what shows how far a preparation is: a bar on a terminal, plain lines when piped."""
    if not console.is_terminal:
        yield Steps(lambda line: console.print(Text(line), soft_wrap=True))
        return
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24))
    with Progress(*columns, console=console, transient=True) as bar:
        shown = bar.add_task("", total=None, visible=False)

        def report(what: str, done: int, total: int) -> None:
            text = _step(what, done, total)
            bar.update(shown, description=text, completed=done, total=total, visible=True)

        yield report


@dataclass
class _Running:
    """A run under way, as it is shown."""

    task: Task
    steps: Steps
    update: int = 0
    score: str = ""  # the newest
    step: str = ""  # what is being prepared, if anything is
    trained: bool = False  # before, so that it is scored alone
    started: float = field(default_factory=time.monotonic)


class Display:
    """What is running, what has ended, and how long the rest will take."""

    def __init__(
        self, console: Console, total: int | None, forecast: Forecast, primary: str
    ) -> None:
        """Begin with how many runs there are, if that is known, and a forecast of their time."""
        self.console, self.primary = console, primary
        self.stopped = False  # whether somebody asked to
        self._total = total
        self._to_do: int | None = None  # as a study says; a sweep counts for itself
        self._ended: Counter[str] = Counter()
        self._running: dict[str, _Running] = {}
        self._forecast = forecast
        self._left: float | None = None  # seconds, as forecast last
        self._forecast_at = 0.0
        self._live = Live(console=console, get_renderable=self._picture, refresh_per_second=4)

    def expect(self, left: int | None) -> None:
        """Take in how many runs are still to do, those under way too, if that is known.

        Called before the end of a run is shown.
        """
        if self._total is not None and left is not None:
            self._total = max(self._total, left)
            self._forecast.expect(left + 1)  # with the run that has ended
        self._to_do = left

    def live(self) -> AbstractContextManager[Any]:
        """Return the context in which a terminal shows progress."""
        return self._live if self.console.is_terminal else nullcontext()

    def show(self, event: Event) -> None:
        """Take in an event."""
        if event.kind == "stopping":
            self.stopped = True
            running = event.facts["running"]
            of = f"{counted(running, 'run that trains', 'runs that train')} {are(running)}"
            self._line(f"stopping: {of} saved; the same command resumes")
        if event.task is not None:
            self._hear(event.kind, event.task, event.facts)
        if time.monotonic() > self._forecast_at + _FORECAST_SECONDS:
            self._look_ahead()

    def _look_ahead(self) -> None:
        self._forecast_at = time.monotonic()
        self._left = self._forecast.seconds_left()

    def _hear(self, kind: str, task: Task, facts: Mapping[str, Any]) -> None:
        """Take in what happens to one run."""
        id_, run = task.run.id, task.run
        if kind == "started":
            steps = Steps(lambda line: self._line(f"{id_}: {line}"))
            self._running[id_] = _Running(task, steps)
            self._forecast.started(run)
        elif kind == "remarked":
            self._line(f"{id_}: {facts['remark']}")
        elif kind == "finished":
            self._finish(self._running.pop(id_), facts)
        elif kind == "preparing":
            self._running[id_].step = _step(**facts)
            if not self.console.is_terminal:
                self._running[id_].steps(**facts)
        else:
            self._advance(self._running[id_], kind, facts)

    def _advance(self, one: _Running, kind: str, facts: Mapping[str, Any]) -> None:
        """Take in that training began, or reached an update, or that its generator was scored."""
        one.update, one.step = facts["update"], ""
        if kind == "scored":
            one.score = self._score(facts)
            self._forecast.scored(one.task.run, one.update)
        elif kind == "began":
            one.trained = one.update == one.task.run.spec.budget.generator_updates
            self._forecast.began(one.task.run, one.update)
        else:
            self._forecast.progress(one.task.run, one.update)

    def _finish(self, one: _Running, facts: Mapping[str, Any]) -> None:
        """Take in that a run has ended, and print a line on it."""
        cost = facts.get("cost", {})
        self._ended[facts["outcome"]] += 1
        self._forecast.ended(one.task.run, facts["outcome"], cost)
        self._look_ahead()
        of = "" if self._total is None else f"/{self._total}"
        again = one.trained and facts["outcome"] == Outcome.COMPLETED
        outcome = "scored" if again else facts["outcome"]
        words = [f"[{self._number()}{of}]", outcome, _place(one.task.run), one.score]
        if again:
            words.append(duration(time.monotonic() - one.started))
        elif "seconds_training" in cost:
            words.append(duration(cost["seconds_training"] + cost["seconds_scoring"]))
        words.append(facts["cause"] or "")
        if not self.console.is_terminal and self._total and self._left:
            words.append(f"(about {self._time_left()} left)")
        self._line("  ".join(word for word in words if word))

    def _number(self) -> int:
        """Return how many runs are done; of a study those that others did, too."""
        if self._total is not None and self._to_do is not None:
            return self._total - self._to_do
        return sum(n for outcome, n in self._ended.items() if outcome != Outcome.INTERRUPTED)

    def _score(self, facts: Mapping[str, Any]) -> str:
        """Return the newest primary score; one of a selection is of other images."""
        if self.primary not in facts["scores"]:
            return ""
        of = " (selection)" if facts["checkpoint"] == "selection" else ""
        return f"{self.primary} {facts['scores'][self.primary]:.3g}{of}"

    def _line(self, text: str) -> None:
        self.console.print(Text(text), soft_wrap=True)

    def _time_left(self) -> str:
        return "?" if self._left is None else duration(self._left)

    def _picture(self) -> Group:
        table = Table.grid(padding=(0, 2))
        for one in list(self._running.values()):  # rich asks from a thread
            total = one.task.run.spec.budget.generator_updates
            table.add_row(
                _place(one.task.run),
                ProgressBar(total=total, completed=one.update, width=24),
                f"{one.update}/{total}",
                one.step or one.score,
            )
        ended = ", ".join(f"{count} {outcome}" for outcome, count in self._ended.items())
        summary = f"{counted(self._number(), 'run')} done"
        left = 0 if self._total is None else self._total - self._number()
        if left:
            of = counted(self._total or 0, "run")
            summary = f"{left:,} of {of} left, about {self._time_left()}"
        return Group(table, Text(f"{summary}; {ended}" if ended else summary, style="dim"))


def _place(run: PlannedRun) -> str:
    return f"{run.method}  {run.setting}  seed {run.spec.seed}"
