"""What `lipbench report` does: read, select, compare, render; and again while a sweep runs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lipbench import machine
from lipbench.outcome import Outcome
from lipbench.plugins import Registry
from lipbench.protocols import Protocol
from lipbench.reporting import fresh
from lipbench.reporting.exhibit import Exhibit, exhibits
from lipbench.reporting.page import render
from lipbench.results.compare import joined, names
from lipbench.results.results import Results, read
from lipbench.results.select import selected

_LIVE = (Outcome.RUNNING, Outcome.QUEUED)
_SECONDS = 10.0  # between looks at results that are watched


@dataclass(frozen=True)
class Report:
    """Where a report is, whether it was there already, and how many of its runs may still end.

    A study can draw more trials at any time, so it has no end that its results tell.
    """

    page: Path
    as_it_was: bool
    unfinished: int
    study: bool = False


@dataclass(frozen=True)
class Asked:
    """What a report is wanted of: folders with results, and which of them in what order."""

    folders: tuple[Path, ...]
    protocol: Protocol | None = None
    where: str = ""
    methods: tuple[str, ...] = ()
    metric: str = ""
    out: Path | None = None
    plugins: tuple[Path, ...] = ()  # a user's own exhibits

    @property
    def folder(self) -> Path:
        """Return where the report goes: a folder of its own for each thing that is asked for."""
        if self.out is not None:
            return self.out
        parts = ["report"]
        if self.protocol:
            parts.append(self.protocol.id)
        if self.where or self.methods or self.metric:
            parts.append("selected")
        if len(self.folders) > 1:
            others = names(self.folders)[1:]
            parts += ["vs", *[re.sub("[^A-Za-z0-9._-]+", "-", name) for name in others]]
        return self.folders[0] / "-".join(parts)

    def read(self) -> Results:
        """Return the results, those of several folders as one."""
        every = dict(
            zip(
                names(self.folders),
                (read(each, self.protocol) for each in self.folders),
                strict=True,
            )
        )
        results = joined(every) if len(every) > 1 else next(iter(every.values()))
        return selected(results, self.where, self.methods, self.metric)


def make(asked: Asked, refresh: int = 0) -> Report:
    """Write a report where nothing is current, and return it.

    `refresh` are the seconds after which the page loads itself again; 0 for never. Raises
    UserError where there are no results, a user's exhibit has a mistake, or the report cannot be
    written.
    """
    own = Registry("reports", asked.plugins).own()
    for plugin in own:  # a mistake in one is told of, also where the report is current
        plugin.load(Exhibit)
    code = [f"{plugin.path} {plugin.source_hash}" for plugin in own]
    made_of = fresh.fingerprint(
        asked.folders,
        [repr(asked.protocol), asked.where, *asked.methods, asked.metric, str(refresh), *code],
    )
    if fresh.is_current(asked.folder, made_of):
        return Report(asked.folder / "index.html", True, 0)
    results = asked.read()
    study = results.tuning is not None
    outcomes = [*results.runs["outcome"], *(results.trials["outcome"] if study else ())]
    live = sum(outcome in _LIVE for outcome in outcomes)
    if Outcome.RUNNING in outcomes:  # until its process ends, which no file tells
        made_of = ""
    again = refresh if live or study else 0
    shown = exhibits(asked.plugins) if own else None
    page = render(results, asked.folder, shown, made_of, again, machine.cores())
    return Report(page, False, live, study)


def watch(asked: Asked, told: Callable[[Report], None], seconds: float = _SECONDS) -> None:
    """Make a report again whenever its results change, until no run is left to end."""
    while True:
        report = make(asked, refresh=round(3 * seconds))
        if not report.as_it_was:
            told(report)
            if not report.unfinished and not report.study:
                return
        time.sleep(seconds)


def split(methods: Sequence[str]) -> tuple[str, ...]:
    """Return labels that are given one by one, or with commas between them."""
    return tuple(part.strip() for text in methods for part in text.split(",") if part.strip())
