"""How long the rest of a sweep takes: held against simulated sweeps whose end is known."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from lipbench.planning.plan import PlannedRun
from lipbench.runs import estimates
from lipbench.runs.estimates import Timing
from lipbench.runs.eta import Forecast

COSTS = {"none": 1.0, "WC": 1.2, "SN": 1.6, "AOL": 3.0, "WGAN-GP": 5.0}
COSTS_IN_PLAN = ["none", "WC", "SN", "AOL", "WGAN-GP"]
PROGRESS = 0.5  # seconds between a worker's messages


@dataclass
class Sweep:
    """A sweep of workers that train, score and end as real ones do, in seconds of its own clock.

    An image takes `pace` seconds times the method's factor, each up to a tenth more or less.
    """

    runs: list[PlannedRun]
    workers: int = 2
    pace: float = 2e-4
    selections: int = 5
    selection: float = 1.5  # seconds of each
    scoring: float = 8.0  # seconds, at the end
    loading: float = 2.0
    start: float = 30.0  # seconds of a worker, before its first run
    now: float = 0.0
    noise: random.Random = field(default_factory=lambda: random.Random(0))

    def images(self, run: PlannedRun) -> float:
        return self.pace * COSTS[run.method] * self.noise.uniform(0.9, 1.1)

    def life(self, run: PlannedRun, start: float) -> Iterator[tuple[float, str, dict]]:
        """Yield (when, what, facts) of one run."""
        total, at = run.spec.budget.generator_updates, start
        yield at, "started", {}
        at += self.loading + (self.start if start == 0 else 0)
        yield at, "began", {"update": 0}
        pace = self.images(run) * estimates.work(run) / total  # seconds per update
        part, training = total // self.selections, 0.0
        for number in range(self.selections):
            done = 0.0
            while done < part:
                step = min(PROGRESS / pace, part - done)
                at, training, done = at + step * pace, training + step * pace, done + step
                yield at, "progress", {"update": int(number * part + done)}
            at += self.selection
            yield at, "scored", {"update": (number + 1) * part}
        at += self.scoring
        yield at, "scored", {"update": total}
        yield at, "ended", {"outcome": "completed", "cost": {"seconds_training": training}}

    def events(self) -> Iterator[tuple[str, PlannedRun, dict]]:
        """Yield what happens, in its order, setting the clock to when it does."""
        waiting = list(self.runs)
        queue: list[tuple[float, int, str, PlannedRun, dict, Iterator]] = []

        def follow(run: PlannedRun, life: Iterator, worker: int) -> None:
            for when, what, facts in life:
                heapq.heappush(queue, (when, worker, what, run, facts, life))
                return
            if waiting:
                follow_next(worker)

        def follow_next(worker: int) -> None:
            run = waiting.pop(0)
            follow(run, self.life(run, self.now), worker)

        for worker in range(min(self.workers, len(waiting))):
            follow_next(worker)
        while queue:
            self.now, worker, what, run, facts, life = heapq.heappop(queue)
            yield what, run, facts
            follow(run, life, worker)


def tell(forecast: Forecast, what: str, run: PlannedRun, facts: dict) -> None:
    getattr(forecast, what)(run, *facts.values())


def forecasts(sweep: Sweep, forecast: Forecast) -> list[tuple[float, float | None]]:
    """Return (seconds that are left, what was forecast), every few seconds of the sweep."""
    told, last = [], -1.0
    for event in sweep.events():
        tell(forecast, *event)
        if sweep.now - last >= 3:
            last = sweep.now
            told.append((sweep.now, forecast.seconds_left()))
    return [(sweep.now - when, left) for when, left in told]


def worst(told: list[tuple[float, float | None]], after: float, before: float) -> float:
    """Return the largest factor between forecast and truth in a part of the sweep, in [0, 1]."""
    total = told[0][0]
    part = [(t, f) for t, f in told if before <= t / total <= 1 - after]
    assert len(part) > 10
    return max(max(f / t, t / f) if f else float("inf") for t, f in part)


@pytest.fixture
def runs(write, plan_of):
    """Return 45 runs of methods that differ in cost by a factor of 5, at n_dis of 1 and 5."""
    text = (("[none, spectral_norm]", "[none, weight_clipping, spectral_norm, aol, wgan_gp]"),
            ("[C]", "[A, C, F]\nseeds: [0, 1, 2]"), ("updates: 6", "updates: 400"))  # fmt: skip
    return plan_of(write(*text)).runs


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("scoring", [0.0, 8.0, 60.0])
def test_after_a_tenth_of_a_sweep_the_forecast_is_within_a_fifth_of_the_truth(
    runs, workers, scoring
):
    sweep = Sweep(estimates.in_order(runs), workers, scoring=scoring, selection=scoring / 5)
    told = forecasts(sweep, Forecast(sweep.runs, workers, clock=lambda: sweep.now))
    assert worst(told, after=0.1, before=0.05) < 1.2
    last = [(truth, left) for truth, left in told if truth < 0.05 * told[0][0]]
    assert all(abs(left - truth) < 0.03 * told[0][0] for truth, left in last)


def test_methods_that_have_not_run_yet_take_what_they_took_in_earlier_sweeps(runs):
    """In the plan's order, where cheap methods come first, and on a machine half as fast now."""
    sweep = Sweep(list(runs))
    known = {estimates.timing_key(run.spec): Timing(sweep.pace * COSTS[run.method] / 2, 7.0)
             for run in runs}  # fmt: skip
    told = forecasts(sweep, Forecast(runs, 2, known, clock=lambda: sweep.now))
    assert worst(told, after=0.02, before=0.05) < 1.3
    sweep = Sweep(list(runs))
    without = forecasts(sweep, Forecast(runs, 2, clock=lambda: sweep.now))
    assert worst(without, after=0.02, before=0.05) > 2


def test_a_resumed_run_is_not_taken_for_a_fast_one(write, plan_of):
    (run, other) = plan_of(write(("updates: 6", "updates: 100"))).runs
    sweep = Sweep([run])
    forecast = Forecast([run, other], 1, clock=lambda: sweep.now)
    forecast.started(run)
    assert forecast.seconds_left() is None
    forecast.began(run, 60)
    sweep.now = 20.0  # a second for each update
    forecast.progress(run, 80)
    assert forecast.seconds_left() == pytest.approx(20 + 100)
    sweep.now = 25.0  # nothing is heard, and time goes on
    assert forecast.seconds_left() == pytest.approx(15 + 100)


def test_a_study_expects_as_many_runs_as_it_says_each_as_long_as_those_before(write, plan_of):
    (run, other) = plan_of(write(("updates: 6", "updates: 100"))).runs
    sweep = Sweep([])
    forecast = Forecast([], 2, clock=lambda: sweep.now)
    forecast.expect(5)
    forecast.started(run)
    forecast.began(run, 0)
    sweep.now = 50.0
    forecast.progress(run, 100)
    forecast.expect(4 + 1)  # as the display does, before it tells of the end
    forecast.ended(run, "pruned", {})
    assert forecast.seconds_left() == pytest.approx(2 * 50)  # four runs, two at a time
    forecast.started(other)
    forecast.began(other, 0)
    assert forecast.seconds_left() == pytest.approx(2 * 50)


def test_equally_long_runs_take_turns_by_method(runs):
    order = estimates.in_order(runs)
    assert [run.method for run in order[:6]] == [*COSTS_IN_PLAN, "none"]
    assert [(run.spec.seed, run.setting) for run in order[:30:5]] == [
        (0, "A"), (0, "F"), (1, "A"), (1, "F"), (2, "A"), (2, "F"),
    ]  # fmt: skip
    assert {run.setting for run in order[30:]} == {"C"}


def test_what_a_worker_takes_to_start_is_not_expected_of_later_runs(write, plan_of):
    (run, other) = plan_of(write(("updates: 6", "updates: 100"))).runs
    sweep = Sweep([])
    forecast = Forecast([run, other], 1, clock=lambda: sweep.now)
    forecast.started(run)
    sweep.now = 40.0
    forecast.began(run, 0)
    sweep.now = 60.0
    forecast.progress(run, 100)
    sweep.now = 65.0
    forecast.scored(run, 100)
    forecast.ended(run, "completed", {"seconds_training": 20.0})
    assert forecast.seconds_left() == pytest.approx(20 + 5)
