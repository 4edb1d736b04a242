"""What trials are judged by, read from their run folders. Knows no Optuna."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lipbench.errors import Mark, UserError, unknown
from lipbench.outcome import Outcome
from lipbench.planning.tune_entries import ObjectiveEntry
from lipbench.planning.tuning import Objective
from lipbench.protocols import SCORES, Protocol
from lipbench.runs.run_folder import RunFolder, Status

if TYPE_CHECKING:
    from lipbench.planning.resolve import Resolved

_WORST_COST = 1e12  # of a diverged trial, in any unit: above every cost; our choice
_WORST_BOUND = 1e9  # of a diverged trial, or one without a bound; our choice


@dataclass(frozen=True)
class _About:
    title: str
    higher_is_better: bool = False
    decimals: int = 2


# Columns of `lipbench.load_runs`, of a run's status.
_COSTS: Mapping[str, _About] = {
    "seconds_training": _About("seconds of training"),
    "seconds_per_update": _About("seconds per update", decimals=4),
    "images_per_second": _About("images per second", higher_is_better=True, decimals=0),
    "extra_parameters": _About("extra parameters", decimals=0),
    "peak_resident_bytes": _About("peak resident bytes", decimals=0),
    "peak_device_bytes": _About("peak device bytes", decimals=0),
    "energy_joules": _About("joules", decimals=0),
}
# Of a run's last audit.
_BOUNDS: Mapping[str, _About] = {
    "lower_bound": _About("Lipschitz lower bound"),
    "upper_bound": _About("Lipschitz upper bound"),
}


def objectives(resolved: Resolved) -> tuple[Objective, ...]:
    """Return a study's objectives; raise UserError for one that its runs would not have."""
    suite = resolved.suite
    assert suite.tune is not None
    mark = resolved.document.mark(("tune", "objective"))
    entries = suite.tune.objective or [ObjectiveEntry.model_validate(resolved.protocol.primary)]
    found = [_objective(entry, resolved.protocol, mark) for entry in entries]
    names = [objective.name for objective in found]
    if len(set(names)) < len(names):
        raise UserError("an objective is there twice", mark)
    if set(names) & set(_BOUNDS) and not suite.intervals.audit:
        raise UserError(
            "a Lipschitz bound is measured by audits; set intervals.audit, "
            f"e.g. to the budget's {suite.budget.generator_updates:,}",
            mark,
        )
    return tuple(found)


def _objective(entry: ObjectiveEntry, protocol: Protocol, mark: Mark) -> Objective:
    name = entry.name
    if name in protocol.scores:
        score = SCORES[name]
        about = _About(score.title, score.higher_is_better, score.decimals)
        worst = score.if_diverged
    elif name in _COSTS:
        about = _COSTS[name]
        worst = 0.0 if about.higher_is_better else _WORST_COST
    elif name in _BOUNDS:
        about, worst = _BOUNDS[name], _WORST_BOUND
    else:
        raise UserError(unknown("objective", name, [*protocol.scores, *_COSTS, *_BOUNDS]), mark)
    worst = worst if entry.if_diverged is None else entry.if_diverged
    if worst is None:
        raise UserError(
            f"nothing bounds {name}, so say what a diverged trial counts as: "
            f"{{{name}: {{if_diverged: NUMBER}}}}",
            mark,
        )
    return Objective(
        name, about.title, about.higher_is_better, float(worst), about.decimals, protocol.id
    )


def values(
    wanted: Sequence[Objective], folder: RunFolder, status: Status, updates: int
) -> list[float]:
    """Return what a trial is told as; its run is completed or has diverged.

    A score or bound that is not a number, or that is not there, counts as a diverged trial's, and
    so does what is worse than that: diverging never pays. Raises UserError for a cost that the
    machine did not measure.
    """
    if status.outcome == Outcome.DIVERGED:
        return [objective.if_diverged for objective in wanted]
    return [_bounded(o, _value(o, folder, status, updates)) for o in wanted]


def known(
    wanted: Sequence[Objective], folder: RunFolder, status: Status, updates: int
) -> dict[str, float]:
    """Return `values` by the objectives' names, without costs that were not measured."""
    found = {}
    for objective in wanted:
        with contextlib.suppress(UserError):
            (found[objective.name],) = values([objective], folder, status, updates)
    return found


def _bounded(objective: Objective, value: float) -> float:
    if not math.isfinite(value):
        return objective.if_diverged
    worst = max if objective.higher_is_better else min
    return worst(value, objective.if_diverged)


def _value(objective: Objective, folder: RunFolder, status: Status, updates: int) -> float:
    name = objective.name
    if name in _COSTS:
        return _cost(name, status)
    rows = folder.rows("audits" if name in _BOUNDS else "scores")
    last = [
        row
        for row in rows
        if row.get("checkpoint", "last") == "last"
        and row["update"] == updates
        and (name in _BOUNDS or _is_of(objective, row))
    ]
    if not last:  # no audit is kept of networks that are not finite
        return math.nan
    found = last[-1].get(name) if name in _BOUNDS else last[-1]["scores"].get(name)
    return math.nan if found is None else float(found)


def _is_of(objective: Objective, row: Mapping[str, Any]) -> bool:
    """Return whether a row of scores is of the objective's protocol."""
    return objective.protocol in ("", row.get("protocol"))


def _cost(name: str, status: Status) -> float:
    cost = status.cost.get(name, math.nan)
    if not math.isfinite(cost):
        raise UserError(f"{name} was not measured, which the study's trials are judged by")
    return float(cost)


def seconds(status: Status) -> float:
    """Return how long a run has had a device: training, scoring and audits."""
    parts = ("seconds_training", "seconds_scoring", "seconds_auditing")
    return sum(float(status.cost.get(part, 0.0)) for part in parts)


def intermediate(objective: Objective, rows: Sequence[Mapping[str, Any]]) -> dict[int, float]:
    """Return the objective's values in score rows, by update: the selection's, of other images.

    They are of other latents and other real images, often fewer, than the protocol reports: good
    to prune by, and never mixed with what a trial is told as.
    """
    found = {}
    for row in rows:
        chosen = row["checkpoint"] == "selection" and _is_of(objective, row)
        if chosen and objective.name in row["scores"]:
            found[int(row["update"])] = proxy(objective, row["scores"])
    return found


def proxy(objective: Objective, scores: Mapping[str, float]) -> float:
    """Return what a pruner is told of scores during training: always a finite number."""
    return _bounded(objective, float(scores[objective.name]))
