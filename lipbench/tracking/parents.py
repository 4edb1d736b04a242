"""The MLflow runs that others are nested under: one a method and setting, or a study's method.

A parent says what its children have in common and how they stand. Its metrics are of its children
and are called so: `seeds/`, or `study/` in a study.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lipbench.outcome import Outcome
from lipbench.planning.plan import Plan, PlannedRun
from lipbench.planning.spec import digest
from lipbench.planning.tuning import Objective, Tuning
from lipbench.results import frame
from lipbench.runs.run_folder import RunFolder, Status
from lipbench.tracking.contents import Point, flatten, milliseconds
from lipbench.tuning import objectives

_OLD_METHOD = "method: "  # began the key of a study's method in older mirrors
_OF_ONE = ("seed",)  # parameters of a run that its parent has not

Standing = tuple[PlannedRun, Status, dict[str, Any]]  # with the scores of a completed run


@dataclass(frozen=True)
class Parent:
    """A run to nest others under: its identity in the store, its name, and what never changes."""

    key: str
    name: str
    params: dict[str, str]
    tags: dict[str, str] = field(default_factory=dict)
    old_key: str = ""  # in mirrors of an older lipbench


def parent(run: PlannedRun, plan: Plan) -> Parent:
    """Return the parent of a run: of its method and setting, or in a study of its method."""
    if plan.tuning and run.trial:
        params = _searched(plan.tuning, run.method)
        key = f"method {digest({'method': run.method})}"
        return Parent(key, run.method, params, {"method": run.method}, _OLD_METHOD + run.method)
    labels = {"method": run.method, "setting": run.setting}
    params = {name: value for name, value in flatten(run).items() if name not in _OF_ONE}
    return Parent(f"cell {digest(labels)}", f"{run.method}, {run.setting}", params, labels)


def siblings(run: PlannedRun, plan: Plan) -> list[PlannedRun]:
    """Return the runs that have one parent with a run, itself too."""
    if plan.tuning:
        return [other for other in plan.runs if other.trial and other.method == run.method]
    cell = (run.method, run.setting)
    return [other for other in plan.unique if (other.method, other.setting) == cell]


def standing(
    runs: Iterable[PlannedRun], folders: Mapping[str, RunFolder], plan: Plan
) -> list[Standing]:
    """Return how each of some runs stands, with the scores of those that have completed.

    In a study these are its objectives.
    """
    children: list[Standing] = []
    for run in runs:
        folder = folders.get(run.spec.hash)
        status = folder.status() if folder else Status()
        values = {}
        if folder and status.outcome == Outcome.COMPLETED:
            values = _values(run, folder, status, plan)
        children.append((run, status, values))
    return children


def _values(run: PlannedRun, folder: RunFolder, status: Status, plan: Plan) -> dict[str, Any]:
    if plan.tuning:
        updates = run.spec.budget.generator_updates
        return objectives.known(plan.tuning.objectives, folder, status, updates)
    return frame.final_scores(run.spec, folder.readable("scores").rows, plan.protocol.id)


def tags(children: Sequence[Standing], tuning: Tuning | None) -> dict[str, str]:
    """Return what a parent says of its children: how many have which outcome, and their seeds."""
    counts = Counter(status.outcome for _, status, _ in children)
    outcomes = ", ".join(f"{number} {outcome}" for outcome, number in counts.most_common())
    if tuning:  # a tag: parameters are final in MLflow, and a study can get a larger budget
        return {"outcome": outcomes, "budget": tuning.amount_text}
    seeds = sorted(run.spec.seed for run, _, _ in children)
    return {"outcome": outcomes, "seeds": ", ".join(map(str, seeds))}


def state(children: Sequence[Standing]) -> str:
    """Return a parent's state in MLflow: running while any child is, or may come."""
    outcomes = {status.outcome for _, status, _ in children}
    if children and all(status.ended for _, status, _ in children):
        return "FAILED" if all(outcome.is_failure for outcome in outcomes) else "FINISHED"
    stands = Outcome.INTERRUPTED in outcomes and Outcome.RUNNING not in outcomes
    return "KILLED" if stands else "RUNNING"


def points(children: Sequence[Standing], plan: Plan) -> Iterator[Point]:
    """Yield the metrics of a parent."""
    if plan.tuning:
        yield from _progress(children, plan.tuning.objectives)
        return
    last = max(milliseconds(status.heartbeat) for _, status, _ in children)
    for name, value in _over_seeds(children, plan.protocol.scores):
        yield f"seeds/{name}", value, last, 0


def _over_seeds(
    children: Sequence[Standing], scores: Iterable[str]
) -> Iterator[tuple[str, float]]:
    """Yield how many seeds ended how, and the median of each score once all have completed.

    A median without the seeds that diverged or failed would flatter a method, so there is none.
    """
    outcomes = [status.outcome for _, status, _ in children]
    yield "completed", float(outcomes.count(Outcome.COMPLETED))
    yield "diverged", float(outcomes.count(Outcome.DIVERGED))
    yield "collapsed", float(sum(values.get("collapsed") is True for _, _, values in children))
    for name in scores:
        values = [values.get(name, math.nan) for _, _, values in children]
        if all(map(math.isfinite, values)):
            yield f"{name}_median", statistics.median(values)


def _progress(children: Sequence[Standing], wanted: Sequence[Objective]) -> Iterator[Point]:
    """Yield how many trials of a study had ended, and the best values by then.

    Confirmations don't count: they have other seeds, and only the best configurations have any.
    """
    ended = [
        (status, values)
        for run, status, values in children
        if status.ended and run.trial and not run.trial.confirms
    ]
    best: dict[str, float] = {}
    for step, (status, values) in enumerate(sorted(ended, key=lambda e: e[0].heartbeat), start=1):
        time = milliseconds(status.heartbeat)
        yield "study/trials_ended", float(step), time, step
        for objective in wanted:
            name, better = objective.name, max if objective.higher_is_better else min
            if name in values:
                best[name] = better(values[name], best.get(name, values[name]))
            if name in best:
                yield f"study/best_{name}", best[name], time, step


def _searched(tuning: Tuning, method: str) -> dict[str, str]:
    """Return how a study searches for a method."""
    return {
        "objectives": ", ".join(objective.name for objective in tuning.objectives),
        "sampler": tuning.sampler,
        "pruner": tuning.pruner,
        **{parameter.name: str(parameter) for parameter in tuning.search.get(method, ())},
    }
