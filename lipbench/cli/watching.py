"""What runs print while they are done."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lipbench.cli import printing
from lipbench.cli.printing import say

if TYPE_CHECKING:
    from rich.console import Console

    from lipbench.engines.local import Event
    from lipbench.outcome import Outcome
    from lipbench.planning.plan import Plan
    from lipbench.runs.eta import Forecast
    from lipbench.runs.suite_folder import SuiteFolder
    from lipbench.tuning.tuner import Tuner


_WORTH_MIRRORING = ("started", "scored", "finished")


def prepare(plan: Plan, cache: Path, weights: Path | None, device: str) -> None:
    """Make what all runs need, showing how far that is, and print notes on the dataset."""
    from lipbench.cli.display import preparing
    from lipbench.runs import sweep

    with preparing(_console()) as report:
        notes = sweep.prepare(plan, cache, weights, device, report)
    printing.show_notes(notes)


def _console() -> Console:
    from rich.console import Console

    output = printing.Output(sys.stdout)
    return Console(highlight=False, markup=False, file=output)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Seen:
    """What came of the runs that were watched."""

    outcomes: Counter[Outcome]
    stopped: bool  # by a signal


def watch(
    events: Generator[Event],
    mirror: tuple[str, SuiteFolder, Plan, bool],
    total: int | None,
    forecast: Forecast,
    tuner: Tuner | None = None,
) -> Seen:
    """Show and mirror what happens to runs, of a known total or not, and tell a study's tuner."""
    from lipbench.cli.display import Display
    from lipbench.tracking import Courier

    uri, folder, plan, _ = mirror
    primary = plan.tuning.objectives[0].name if plan.tuning else plan.protocol.primary
    display = Display(_console(), total, forecast, primary)
    courier = Courier(*mirror)
    outcomes: Counter[Outcome] = Counter()
    try:
        with contextlib.closing(events), display.live():  # whatever happens here ends the workers
            for event in events:
                if event.kind == "finished" and event.task:
                    outcomes[event.facts["outcome"]] += 1
                    if tuner:
                        tuner.finished(event.task)
                        display.expect(tuner.remaining())
                display.show(event)
                if event.kind in _WORTH_MIRRORING and event.task:
                    courier.send(event.task.run.spec.hash)
    finally:
        courier.close()
    for remark in courier.remarks:
        say(remark, error=True)
    if courier.problem:
        say(
            f"MLflow at {uri} missed something ({courier.problem}); nothing is lost: "
            f"`lipbench sync {folder.path}` sends it again",
            error=True,
        )
    return Seen(outcomes, display.stopped)


def seen_at(uri: str) -> str:
    return uri if uri.startswith("http") else f"mlflow ui --backend-store-uri {uri}"
