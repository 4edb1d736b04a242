"""What of a plan is done, and how long the rest takes. Imports no torch."""

from __future__ import annotations

import contextlib
import json
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from lipbench.plan import Plan, PlannedRun
from lipbench.records import Damaged
from lipbench.spec import RunSpec
from lipbench.store import RunFolder, Status, SuiteFolder

_TIMED_RUNS = 1000  # of which an estimate reads the timings


def counts(plan: Plan, suite: SuiteFolder) -> Counter[str]:
    """Return how many of a plan's runs have each outcome."""
    statuses = suite.statuses()
    return Counter(statuses.get(run.spec.hash, Status()).outcome for run in plan.unique)


def work(run: PlannedRun) -> int:
    """Return the images that a run's networks see in training, a rough measure of its length."""
    return images(run.spec)


def images(spec: RunSpec) -> int:
    """Return the images that networks see in training: real and generated ones of D, G's."""
    budget = spec.budget
    discriminator = 2 * spec.setting.n_dis * budget.batch_size
    return budget.generator_updates * (discriminator + budget.generator_batch_size)


def estimate(runs: Sequence[PlannedRun], runs_dir: Path) -> tuple[float, int]:
    """Return the seconds that runs take one worker, and of how many runs earlier ones tell.

    Earlier ones are the newest thousand under `runs_dir` that this machine made.
    """
    timed = _timings(runs_dir)
    if not timed:
        return 0.0, 0
    known = [(run, timed[key]) for run in runs if (key := _timing_key(run.spec)) in timed]
    seconds = sum(
        run.spec.budget.generator_updates * median(pace for pace, _ in timings)
        + median(scoring for _, scoring in timings)
        for run, timings in known
    )
    return seconds, len(known)


def _timings(runs_dir: Path) -> dict[str, list[tuple[float, float]]]:
    """Return (seconds per update, seconds of scoring) of completed runs, by what was timed."""
    statuses = runs_dir.glob("*/runs/*/status.json")
    newest = sorted(statuses, key=lambda path: path.stat().st_mtime, reverse=True)
    found: dict[str, list[tuple[float, float]]] = {}
    for path in newest[:_TIMED_RUNS]:
        with contextlib.suppress(Damaged):  # of any suite: what cannot be read gives no estimate
            for key, timing in _timing(RunFolder(path.parent)):
                found.setdefault(key, []).append(timing)
    return found


def _timing(folder: RunFolder) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yield a run's (seconds per update, seconds of scoring), where this machine completed it."""
    status = folder.status()
    costs = [status.cost.get(name) for name in ("seconds_per_update", "seconds_scoring")]
    sessions = folder.sessions()
    here = sessions and sessions[-1].get("host") == socket.gethostname()
    if status.outcome == "completed" and here and costs[0] is not None and costs[1] is not None:
        yield _timing_key(folder.spec()), (costs[0], costs[1])


def _timing_key(spec: RunSpec) -> str:
    """Return what decides how long an update takes, as text."""
    fields = spec.to_json()
    fields["n_dis"] = fields.pop("setting")["n_dis"]
    for irrelevant in ("seed", "loss", "initialisation"):
        del fields[irrelevant]
    for irrelevant in ("generator_updates", "schedule"):
        del fields["budget"][irrelevant]
    return json.dumps(fields, sort_keys=True)


def duration(seconds: float) -> str:
    """Return seconds as people say them: 0.4 s, 34 s, 12 min, 3 h 05 min.

    >>> duration(0.42), duration(34.2), duration(754), duration(11100)
    ('0.4 s', '34 s', '13 min', '3 h 05 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"
