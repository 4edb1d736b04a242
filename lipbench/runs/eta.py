"""How long the rest of a sweep takes, while it runs. Imports no torch.

A run takes its loading (of data and networks), its training (seconds per image, which differ by
method), and the rest: scoring, audits. All are learnt from the runs of this sweep. For a method
that has not run yet, they come from earlier sweeps on this machine or, without any, from the
other methods.
"""

from __future__ import annotations

import heapq
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from lipbench.outcome import Outcome
from lipbench.planning.plan import PlannedRun
from lipbench.runs.estimates import Timing, timing_key, work

_METHOD = "method "  # begins the keys of methods
_ENOUGH = 10  # updates, from which on a run's pace is believed


@dataclass
class _Sum:
    """Seconds, and for how many images or runs."""

    seconds: float = 0.0
    count: float = 0.0

    def add(self, seconds: float, count: float) -> None:
        self.seconds += seconds
        self.count += count


Sums = defaultdict[str, _Sum]


@dataclass
class _Run:
    """A run under way; times are the clock's, in seconds."""

    run: PlannedRun
    started: float
    heard: float  # when it was last heard of
    began: float | None = None  # to train, after data and networks were loaded
    first: int = 0  # the update at which it began: not 0 where it was resumed
    update: int = 0
    apart: float = 0.0  # seconds of scoring since it began
    is_first: bool = False  # of its worker, which starts a process and imports torch

    def trained(self) -> tuple[float, float]:
        """Return the seconds of training so far and its images; zeros before enough updates."""
        updates = self.update - self.first
        if self.began is None or updates < _ENOUGH:
            return 0.0, 0.0
        return self.heard - self.began - self.apart, updates * _images(self.run)


class Forecast:
    """How long the runs that are left take some workers."""

    def __init__(
        self,
        runs: Iterable[PlannedRun],
        workers: int,
        known: Mapping[str, Timing] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with the runs to do, in their order, and the timings of earlier sweeps.

        Of a study the runs are not known before: see `expect`.
        """
        self._waiting = {run.spec.hash: run for run in runs}
        self._running: dict[str, _Run] = {}
        self._unnamed = 0
        self._workers = max(workers, 1)
        self._known, self._clock = known or {}, clock
        self._training: Sums = defaultdict(_Sum)  # of images, by kind of run and by method
        self._rest: Sums = defaultdict(_Sum)  # of completed runs, by the same
        self._loading = _Sum()  # of runs that were not the first of their worker
        self._whole = _Sum()  # of runs, however they ended
        self._starts = 0
        self._filed: dict[str, tuple[str, str]] = {}

    def expect(self, left: int) -> None:
        """Take in how many runs are to do, those under way included, where none is named."""
        self._unnamed = max(0, left - len(self._running))

    def started(self, run: PlannedRun) -> None:
        """Take in that a worker has got a run."""
        if self._waiting.pop(run.spec.hash, None) is None:
            self._unnamed = max(0, self._unnamed - 1)
        now = self._clock()
        self._starts += 1
        is_first = self._starts <= self._workers
        self._running[run.spec.hash] = _Run(run, now, now, is_first=is_first)

    def began(self, run: PlannedRun, update: int) -> None:
        """Take in that a run begins to train, from the update that it had reached before."""
        one = self._running[run.spec.hash]
        one.began = one.heard = self._clock()
        if not one.is_first:
            self._loading.add(one.began - one.started, 1)
        one.first = one.update = update

    def progress(self, run: PlannedRun, update: int) -> None:
        """Take in that a run has reached an update."""
        one = self._running[run.spec.hash]
        one.update, one.heard = update, self._clock()

    def scored(self, run: PlannedRun, update: int) -> None:
        """Take in that a run's generator was scored since the run was last heard of."""
        one = self._running[run.spec.hash]
        one.apart += self._clock() - one.heard
        self.progress(run, update)

    def ended(self, run: PlannedRun, outcome: Outcome, cost: Mapping[str, float]) -> None:
        """Take in that a run has ended, and what its status says that it took."""
        one, now = self._running.pop(run.spec.hash), self._clock()
        whole = now - (one.started if one.began is None else one.began)
        self._whole.add(whole, 1)
        training, images = one.trained()
        if outcome == Outcome.COMPLETED and "seconds_training" in cost and not one.first:
            training, images = min(cost["seconds_training"], whole), work(run)
            for key in self._keys(run):
                self._rest[key].add(whole - training, 1)
        for key in self._keys(run):
            self._training[key].add(training, images)

    def seconds_left(self) -> float | None:
        """Return the seconds that the rest takes; None where nothing tells yet."""
        training = self._training_so_far()
        expected = {key: self._whole_run(run, training) for key, run in self._kinds().items()}
        waiting = [expected[self._keys(run)[0]] for run in self._waiting.values()]
        if self._unnamed:
            begun = [self._whole_run(one.run, training) for one in self._running.values()]
            known = [seconds for seconds in begun if seconds is not None]
            usual = _rate(self._whole)
            waiting += [usual or (mean(known) if known else None)] * self._unnamed
        under_way = [self._rest_of(one, training) for one in self._running.values()]
        return _makespan(under_way, waiting, self._workers)

    def _kinds(self) -> dict[str, PlannedRun]:
        """Return one of the waiting runs of each kind: those of one suite are equally long."""
        return {self._keys(run)[0]: run for run in self._waiting.values()}

    def _keys(self, run: PlannedRun) -> tuple[str, str]:
        """Return what seconds are filed under: a run's kind, and its method."""
        hash_ = run.spec.hash
        if hash_ not in self._filed:
            self._filed[hash_] = (timing_key(run.spec), f"{_METHOD}{run.spec.methods}")
        return self._filed[hash_]

    def _training_so_far(self) -> Sums:
        """Return seconds and images of training, with those of the runs under way."""
        sums: Sums = defaultdict(_Sum)
        for key, sum_ in self._training.items():
            sums[key].add(sum_.seconds, sum_.count)
        for one in self._running.values():
            for key in self._keys(one.run):
                sums[key].add(*one.trained())
        return sums

    def _whole_run(self, run: PlannedRun, training: Sums) -> float | None:
        """Return the seconds of a run; None where nothing tells."""
        pace = self._pace(run, training)
        if pace is None:
            return None
        loading = _rate(self._loading) or 0.0
        return loading + work(run) * pace + self._usual_rest(run, training)

    def _rest_of(self, one: _Run, training: Sums) -> float | None:
        """Return the seconds that a run under way still takes; None where nothing tells."""
        pace, since = self._pace(one.run, training), self._clock() - one.heard
        if pace is None:
            return None
        rest = self._usual_rest(one.run, training)
        if one.began is None:
            loading = 0.0 if one.is_first else _rate(self._loading) or 0.0
            return max(0.0, loading - since) + work(one.run) * pace + rest
        updates = one.run.spec.budget.generator_updates - one.update
        left = updates * _images(one.run) * pace + max(0.0, rest - one.apart)
        return max(0.0, left - since)

    def _pace(self, run: PlannedRun, training: Sums) -> float | None:
        """Return the seconds per image of a run's training, from the nearest that is known."""
        kind, method = self._keys(run)
        if (pace := _rate(training[kind])) is not None:
            return pace
        if kind in self._known:
            return self._known[kind].seconds_per_image * self._drift(training)
        pace = _rate(training[method])
        return _mean_of_methods(training) if pace is None else pace

    def _drift(self, training: Sums) -> float:
        """Return how much slower this sweep trains than the earlier ones did."""
        shared = [(s, self._known[key]) for key, s in training.items() if key in self._known]
        before = sum(s.count * timing.seconds_per_image for s, timing in shared)
        return sum(s.seconds for s, _ in shared) / before if before else 1.0

    def _usual_rest(self, run: PlannedRun, training: Sums) -> float:
        """Return the seconds that a run takes besides training, from the nearest known."""
        kind, method = self._keys(run)
        for sum_ in (self._rest[kind], self._rest[method]):
            if (rest := _rate(sum_)) is not None:
                return rest
        if (rest := _mean_of_methods(self._rest)) is not None:
            return rest
        if kind in self._known:
            return self._known[kind].seconds_scoring * self._drift(training)
        return max((one.apart for one in self._running.values()), default=0.0)


def _makespan(
    under_way: Sequence[float | None], waiting: Sequence[float | None], workers: int
) -> float | None:
    """Return when the last run ends, where each goes to the worker that is free first."""
    loads = [*under_way, *[0.0] * (workers - len(under_way))]
    known = [seconds for seconds in loads if seconds is not None]
    lengths = [seconds for seconds in waiting if seconds is not None]
    if len(known) < len(loads) or len(lengths) < len(waiting):
        return None
    heapq.heapify(known)
    for seconds in lengths:
        heapq.heapreplace(known, known[0] + seconds)
    return max(known)


def _images(run: PlannedRun) -> float:
    """Return the images that networks see in one update of G."""
    return work(run) / run.spec.budget.generator_updates


def _rate(sum_: _Sum) -> float | None:
    return sum_.seconds / sum_.count if sum_.count else None


def _mean_of_methods(sums: Sums) -> float | None:
    rates = [_rate(sum_) for key, sum_ in sums.items() if key.startswith(_METHOD)]
    known = [rate for rate in rates if rate is not None]
    return mean(known) if known else None
