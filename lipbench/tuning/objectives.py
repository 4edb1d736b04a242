"""What trials are judged by, read from their run folders. Knows no Optuna."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lipbench.errors import Mark, UserError, unknown
from lipbench.protocols import SCORES, Protocol
from lipbench.store import RunFolder, Status
from lipbench.tuning.entries import ObjectiveEntry
from lipbench.tuning.record import Objective

if TYPE_CHECKING:
    from lipbench.resolve import Resolved

_WORST_COST = 1e12  # of a diverged trial, in any unit: above every cost; our choice
_WORST_BOUND = 1e6  # of a diverged trial, or one without a bound; our choice


@dataclass(frozen=True)
class _About:
    title: str
    higher_is_better: bool = False
    decimals: int = 2


# Columns of `lipbench.load_runs`, of a run's status.
_COSTS: Mapping[str, _About] = {
    "seconds": _About("seconds"),
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
    return Objective(name, about.title, about.higher_is_better, float(worst), about.decimals)


def values(
    wanted: Sequence[Objective], folder: RunFolder, status: Status, updates: int
) -> list[float]:
    """Return what a trial is told as; its run is completed or has diverged.

    A score or bound that is not a number, or not finite, counts as a diverged trial's. Raises
    UserError for a cost that the machine did not measure.
    """
    if status.outcome == "diverged":
        return [objective.if_diverged for objective in wanted]
    return [_value(objective, folder, status, updates) for objective in wanted]


def _value(objective: Objective, folder: RunFolder, status: Status, updates: int) -> float:
    name = objective.name
    if name in _COSTS:
        return _cost(name, status)
    rows = folder.rows("audits" if name in _BOUNDS else "scores")
    last = [
        row for row in rows if row.get("checkpoint", "last") == "last" and row["update"] == updates
    ]
    if not last:
        raise UserError(f"{folder.path} has no {name} of update {updates:,}")
    found = last[-1][name] if name in _BOUNDS else last[-1]["scores"].get(name)
    value = math.nan if found is None else float(found)
    return value if math.isfinite(value) else objective.if_diverged


def _cost(name: str, status: Status) -> float:
    parts = {k: v for k, v in status.cost.items() if k.startswith("seconds_") and "per" not in k}
    cost = sum(parts.values()) if name == "seconds" else status.cost.get(name, math.nan)
    if not math.isfinite(cost):
        raise UserError(f"this machine does not measure {name}, which the study's trials need")
    return float(cost)


def seconds(status: Status) -> float:
    """Return how long a run has had a device: training, scoring and audits."""
    return _cost("seconds", status) if status.cost else 0.0


def intermediate(objective: Objective, folder: RunFolder) -> dict[int, float]:
    """Return the objective's values during training, by update: the selection's, of other images.

    They are of other latents and other real images, often fewer, than the protocol reports: good
    to prune by, and never mixed with what a trial is told as.
    """
    found = {}
    for row in folder.rows("scores"):
        if row.get("checkpoint") == "selection" and objective.name in row["scores"]:
            found[int(row["update"])] = proxy(objective, row["scores"])
    return found


def proxy(objective: Objective, scores: Mapping[str, float]) -> float:
    """Return what a pruner is told of scores during training: always a finite number."""
    value = float(scores[objective.name])
    return value if math.isfinite(value) else objective.if_diverged
