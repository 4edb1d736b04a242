"""What of a plan is done, and how long the rest takes. Imports no torch."""

from __future__ import annotations

import contextlib
import json
import socket
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple, TypeVar

from lipbench.outcome import Outcome
from lipbench.planning.plan import Plan, PlannedRun
from lipbench.planning.spec import RunSpec
from lipbench.records import Damaged
from lipbench.runs.run_folder import RunFolder, Status

Value = TypeVar("Value")

_TIMED_RUNS = 1000  # of which an estimate reads the timings


class Timing(NamedTuple):
    """What one kind of run took."""

    seconds_per_image: float  # of training
    seconds_scoring: float  # of a whole run


def counts(plan: Plan, statuses: Mapping[str, Status]) -> Counter[str]:
    """Return how many of a plan's runs have each outcome, given statuses by hash."""
    return Counter(statuses.get(run.spec.hash, Status()).outcome for run in plan.unique)


def work(run: PlannedRun) -> int:
    """Return the images that a run's networks see in training, a rough measure of its length."""
    return images(run.spec)


def images(spec: RunSpec) -> int:
    """Return the images that networks see in training: real and generated ones of D, G's."""
    budget = spec.budget
    discriminator = 2 * spec.setting.n_dis * budget.batch_size
    return budget.generator_updates * (discriminator + budget.generator_batch_size)


def in_order(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """Return runs in the order in which they are best done.

    The longest come first, since long ones at the end would leave workers idle. Of equally long
    ones, every method comes once before any comes again: so results that are not complete compare
    methods at the same setting and seed, and soon tell what each method takes.
    """
    seeds = _ranks(run.spec.seed for run in runs)
    settings = _ranks(run.setting for run in runs)
    return sorted(runs, key=lambda run: (-work(run), seeds[run.spec.seed], settings[run.setting]))


def _ranks(values: Iterable[Value]) -> dict[Value, int]:
    """Return the place of each value among the different ones."""
    return {value: place for place, value in enumerate(dict.fromkeys(values))}


def estimate(runs: Sequence[PlannedRun], runs_dir: Path) -> tuple[float, int]:
    """Return the seconds that runs take one worker, and of how many runs earlier ones tell.

    Earlier ones are the newest thousand under `runs_dir` that this machine made.
    """
    timed = timings(runs_dir)
    known = [(run, timed[key]) for run in runs if (key := timing_key(run.spec)) in timed]
    seconds = sum(work(run) * each.seconds_per_image + each.seconds_scoring for run, each in known)
    return seconds, len(known)


def timings(runs_dir: Path) -> dict[str, Timing]:
    """Return the median timing of each kind of run, by `timing_key`, of the newest thousand runs.

    Only runs that this machine completed count.
    """
    statuses = runs_dir.glob("*/runs/*/status.json")
    newest = sorted(statuses, key=lambda path: path.stat().st_mtime, reverse=True)
    found: dict[str, list[Timing]] = {}
    for path in newest[:_TIMED_RUNS]:
        with contextlib.suppress(Damaged):  # of any suite: what cannot be read gives no estimate
            for key, timing in _timing(RunFolder(path.parent)):
                found.setdefault(key, []).append(timing)
    return {
        key: Timing(*(median(column) for column in zip(*several, strict=True)))
        for key, several in found.items()
    }


def _timing(folder: RunFolder) -> Iterator[tuple[str, Timing]]:
    """Yield a run's timing with its key, where this machine completed it."""
    status = folder.status()
    costs = [status.cost.get(name) for name in ("seconds_per_update", "seconds_scoring")]
    sessions = folder.sessions()
    here = sessions and sessions[-1].get("host") == socket.gethostname()
    if (
        status.outcome == Outcome.COMPLETED
        and here
        and costs[0] is not None
        and costs[1] is not None
    ):
        spec = folder.spec()
        per_image = costs[0] * spec.budget.generator_updates / images(spec)
        yield timing_key(spec), Timing(per_image, costs[1])


def timing_key(spec: RunSpec) -> str:
    """Return what decides how long an update takes, as text: all but seeds and lengths."""
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
