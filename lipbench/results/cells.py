"""Summarise the runs of one method at one setting: the cell of a robustness table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from lipbench.outcome import Outcome
from lipbench.protocols import SCORES

if TYPE_CHECKING:
    from lipbench.results.results import Results

__all__ = [
    "Cell",
    "balanced",
    "best",
    "best_settings",
    "cells",
    "floor",
    "leaders",
    "numbers",
    "ordered",
    "summary",
]


@dataclass(frozen=True)
class Cell:
    """The runs of one method at one setting, seen through one score.

    A diverged run is a result, worse than any number, and so is an infinite score. A run that
    failed, or has not ended, is missing: it says nothing about the method, and makes the cell
    incomplete. A score that says of itself that it is no number (an extrapolation along no line)
    is undefined: neither. A collapsed run keeps its score, but is never the best: some scores are
    high for noise, or for one image again and again.
    """

    values: tuple[float, ...] = ()  # of the completed runs, in the order of their seeds
    collapsed: tuple[bool, ...] = ()  # of each value, whether its run collapsed; all of them or ()
    diverged: int = 0
    missing: int = 0
    undefined: int = 0
    seeds: frozenset[int] = frozenset()
    higher_is_better: bool = False
    run_ids: tuple[str, ...] = ()  # of all planned runs, in the order of their seeds

    @property
    def ended(self) -> int:
        """Return how many runs have a result."""
        return len(self.values) + self.diverged

    @property
    def runs(self) -> int:
        """Return how many runs the plan has here."""
        return self.ended + self.missing + self.undefined

    @property
    def complete(self) -> bool:
        """Return whether every planned run has a result."""
        return self.runs > 0 and self.missing == 0

    @property
    def worst_possible(self) -> float:
        """Return what a diverged run counts as in an order."""
        return -math.inf if self.higher_is_better else math.inf

    @property
    def median(self) -> float:
        """Return the median over the runs with a result, infinitely bad ones included, or NaN.

        Where half of the runs or more diverged there is no finite median.
        """
        return self._median(self.values)

    @property
    def standing(self) -> float:
        """Return the median by which cells are ranked: collapsed runs count as diverged ones."""
        collapsed = self.collapsed or (False,) * len(self.values)
        pairs = zip(self.values, collapsed, strict=True)
        return self._median([self.worst_possible if lost else v for v, lost in pairs])

    @property
    def finite(self) -> tuple[float, ...]:
        """Return the values that are finite."""
        return tuple(value for value in self.values if math.isfinite(value))

    def _median(self, values: Sequence[float]) -> float:
        outcomes = [*values, *[self.worst_possible] * self.diverged]
        return statistics.median(outcomes) if outcomes else math.nan


def cells(results: Results, score: str) -> dict[tuple[str, str], Cell]:
    """Return the cell of each method and setting; those that the plan leaves out are empty."""
    higher_is_better = SCORES[score].higher_is_better
    empty = Cell(higher_is_better=higher_is_better)
    found = {(m, s): empty for m in results.methods for s in results.settings}
    for place, runs in _places(results, score).items():
        completed = [run for run in runs if run.outcome == Outcome.COMPLETED]
        known = [run for run in completed if not math.isnan(run.score)]
        diverged = sum(run.outcome == Outcome.DIVERGED for run in runs)
        undefined = sum(run.scored and math.isnan(run.score) for run in completed)
        # Infinity in the good direction is no good score: it is none that can be computed.
        found[place] = Cell(
            values=tuple(
                r.score if math.isfinite(r.score) else empty.worst_possible for r in known
            ),
            collapsed=tuple(run.collapsed for run in known),
            diverged=diverged,
            missing=len(runs) - len(known) - diverged - undefined,
            undefined=undefined,
            seeds=frozenset(run.seed for run in runs),
            higher_is_better=higher_is_better,
            run_ids=tuple(run.run_id for run in runs),
        )
    return found


class _Run(NamedTuple):
    """What a cell asks of a run."""

    run_id: str
    seed: int
    outcome: str
    score: float
    scored: bool  # by the protocol's primary score, whatever is ranked by
    collapsed: bool


def _places(results: Results, score: str) -> dict[tuple[str, str], list[_Run]]:
    """Return the runs of each method and setting that has some, in the order of their seeds."""
    runs = results.runs.sort_values("seed", kind="stable")
    lost = runs["collapsed"] if "collapsed" in runs else pd.Series(False, runs.index)
    columns = (
        runs["run_id"].astype(str),
        runs["seed"].astype(int),
        runs["outcome"],
        numbers(runs, score),
        numbers(runs, results.protocol.primary).notna(),
        lost.fillna(False).astype(bool),
    )
    found: dict[tuple[str, str], list[_Run]] = {}
    for method, setting, *known in zip(runs["method"], runs["setting"], *columns, strict=True):
        found.setdefault((method, setting), []).append(_Run(*known))
    return found


def floor(results: Results, score: str) -> float | None:
    """Return what real images score against other real ones, the median if runs disagree.

    None where no run has a finite one.
    """
    known = numbers(results.runs, f"{score}_floor")
    known = known[known.abs() < math.inf]
    return None if known.empty else float(known.median())


def numbers(runs: pd.DataFrame, column: str) -> pd.Series[float]:
    """Return a column of runs as floats, NaN where it is not known or there is no such column."""
    if column not in runs:
        return pd.Series(math.nan, runs.index, dtype=float)
    return pd.to_numeric(runs[column]).astype(float)


def best(row: Mapping[str, Cell]) -> str | None:
    """Return the setting of the best finite median, the first of equals; None if there is none.

    A setting that collapsed is the best only where no other one has a finite median.
    """
    finite = {setting: cell for setting, cell in row.items() if math.isfinite(cell.median)}
    ranked = _ranked(finite.values())
    return next((s for s, cell in finite.items() if ranked[:1] == [cell]), None)


def _ranked(row: Iterable[Cell]) -> list[Cell]:
    """Return cells with a result from best to worst: by standing, and then by median."""
    known = [cell for cell in row if cell.ended]
    higher = any(cell.higher_is_better for cell in known)
    return sorted(known, key=lambda cell: (cell.standing, cell.median), reverse=higher)


def best_settings(results: Results) -> dict[str, str]:
    """Return each method's best setting by the primary score, of the methods that have one."""
    found = cells(results, results.primary)
    rows = {m: best({s: found[m, s] for s in results.settings}) for m in results.methods}
    return {method: setting for method, setting in rows.items() if setting is not None}


def balanced(column: Iterable[Cell]) -> bool:
    """Return whether the cells can be compared: all complete, over the same seeds."""
    column = list(column)
    return all(cell.complete for cell in column) and len({cell.seeds for cell in column}) == 1


def summary(row: Iterable[Cell], of: Callable[[Cell], float]) -> dict[str, float]:
    """Return the best, median and worst of a method's cells, those without a result left out.

    `of` is a cell's number: its median, or its standing.
    """
    known = [of(cell) for cell in _ranked(row)]
    if not known:
        return dict.fromkeys(("best", "median", "worst"), math.nan)
    middle = known[(len(known) - 1) // 2 : len(known) // 2 + 1]
    return {"best": known[0], "median": statistics.mean(middle), "worst": known[-1]}


def ordered(values: Iterable[float], higher_is_better: bool) -> list[float]:
    """Return the known values from best to worst."""
    return sorted((v for v in values if not math.isnan(v)), reverse=higher_is_better)


def leaders(
    values: Mapping[str, float],
    higher_is_better: bool,
    printed: Callable[[float], str],
    worst: float | None = None,
) -> set[str]:
    """Return the names with the best value as it is printed; none if there is no contest.

    There is none where a value is not known, none is finite, or all are printed as the same; nor
    where the best is `worst`, the end of the score's range.
    """
    known = ordered(values.values(), higher_is_better)
    if len(known) < len(values) or not any(map(math.isfinite, known)):
        return set()
    best = printed(next(value for value in known if math.isfinite(value)))
    found = {name for name, value in values.items() if printed(value) == best}
    says_nothing = len(found) == len(values) or (worst is not None and best == printed(worst))
    return set() if says_nothing else found
