"""Show a sweep while it runs: live on a terminal, as plain lines when piped. Part of `cli`."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lipbench.outlook import duration, work
from lipbench.words import counted

if TYPE_CHECKING:
    from lipbench.executors import Event
    from lipbench.run import Task


class Display:
    """What is running, what has ended, and how long the rest will take."""

    def __init__(self, console: Console, total: int | None, images: float, primary: str) -> None:
        """Begin with how many runs there are, if that is known, and the images that they see."""
        self.console, self.primary = console, primary
        self.stopped = False  # whether somebody asked to
        self._total = total
        self._to_do: int | None = None  # as a study says; a sweep counts for itself
        self._usual = images / total if total else 0.0
        self._ended: Counter[str] = Counter()
        self._running: dict[str, tuple[Task, int, str]] = {}  # task, updates done, newest score
        self._work = images
        self._done = 0.0
        self._resumed: dict[str, int] = {}  # updates that a resumed run had done before
        self._skipped = 0.0
        self._start = time.monotonic()
        self._live = Live(console=console, get_renderable=self._picture, refresh_per_second=4)

    def expect(self, left: int | None) -> None:
        """Take in how many runs are still to do, those under way too, if that is known.

        Where others do some of them, or some end early, what is left is taken for runs of the
        usual length. Called before the end of a run is shown.
        """
        if self._total is not None and left is not None:
            self._total = max(self._total, left)
            self._work = self._done + self._usual * (left + 1)
        self._to_do = left

    def live(self) -> AbstractContextManager[Any]:
        """Return the context in which a terminal shows progress."""
        return self._live if self.console.is_terminal else nullcontext()

    def show(self, event: Event) -> None:
        """Take in an event."""
        if event.kind == "stopping":
            self.stopped = True
            running = event.facts["running"]
            are = "run that trains is" if running == 1 else "runs that train are"
            self._line(f"stopping: {running} {are} saved; the same command resumes")
        if event.task is None:
            return
        id_, run = event.task.run.id, event.task.run
        if event.kind == "started":
            self._running[id_] = (event.task, 0, "")
        elif event.kind in ("progress", "scored"):
            task, _, score = self._running[id_]
            update = event.facts["update"]
            if id_ not in self._resumed:
                self._resumed[id_] = update
                self._skipped += self._share(task, update)
            if event.kind == "scored":
                score = self._score(event.facts)
            self._running[id_] = (task, update, score)
        elif event.kind == "remarked":
            self._line(f"{id_}: {event.facts['remark']}")
        elif event.kind == "finished":
            _, _, score = self._running.pop(id_)
            facts = event.facts
            self._ended[facts["outcome"]] += 1
            self._done += work(run)
            place = f"{run.method}  {run.setting}  seed {run.spec.seed}"
            of = "" if self._total is None else f"/{self._total}"
            words = [f"[{self._number()}{of}]", facts["outcome"], place, score]
            if "cost" in facts and "seconds_training" in facts["cost"]:
                cost = facts["cost"]
                words.append(duration(cost["seconds_training"] + cost["seconds_scoring"]))
            words.append(facts["cause"] or "")
            self._line("  ".join(word for word in words if word))

    def _number(self) -> int:
        """Return how many runs are done; of a study those that others did, too."""
        if self._total is not None and self._to_do is not None:
            return self._total - self._to_do
        return sum(n for outcome, n in self._ended.items() if outcome != "interrupted")

    def _score(self, facts: dict[str, Any]) -> str:
        """Return the newest primary score; one of a selection is of other images."""
        if self.primary not in facts["scores"]:
            return ""
        of = " (selection)" if facts["checkpoint"] == "selection" else ""
        return f"{self.primary} {facts['scores'][self.primary]:.3g}{of}"

    def _share(self, task: Task, update: int) -> float:
        return work(task.run) * update / task.run.spec.budget.generator_updates

    def _line(self, text: str) -> None:
        self.console.print(Text(text), soft_wrap=True)

    def _left(self) -> str:
        """Return how long the rest takes at the pace so far."""
        done = self._done + sum(
            self._share(task, u) for task, u, _ in list(self._running.values())
        )
        fresh = done - self._skipped
        if fresh <= 0 or done > self._work:
            return "?"
        return duration((self._work - done) * (time.monotonic() - self._start) / fresh)

    def _picture(self) -> Group:
        table = Table.grid(padding=(0, 2))
        for task, update, score in list(self._running.values()):  # rich asks from a thread
            run = task.run
            total = run.spec.budget.generator_updates
            table.add_row(
                f"{run.method}  {run.setting}  seed {run.spec.seed}",
                ProgressBar(total=total, completed=update, width=24),
                f"{update}/{total}",
                score,
            )
        ended = ", ".join(f"{count} {outcome}" for outcome, count in self._ended.items())
        summary = f"{counted(self._number(), 'run')} done"
        if self._total is not None:
            left = self._total - self._number()
            summary = f"{left} of {counted(self._total, 'run')} left, about {self._left()}"
        return Group(table, Text(f"{summary}; {ended}" if ended else summary, style="dim"))
