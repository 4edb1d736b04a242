"""Methods at equal budgets: of generator updates, D updates, images and seconds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from lipbench.protocols import SCORES, Score
from lipbench.reporting import Exhibit, Omitted, Shown, Table
from lipbench.results import Results
from lipbench.stats import BUDGETS, Verdict, at_equal, overall, tidy
from lipbench.stats.budgets import rates
from lipbench.stats.summaries import quantile
from lipbench.words import listed

from ._draw import LARGEST
from ._grid import number, precise, worst_possible

_NONE = Shown("—", muted=True)


@dataclass(frozen=True)
class _View:
    """The runs as they were when each had spent a budget."""

    budget: float
    table: pd.DataFrame  # as `tidy` returns it
    verdict: Verdict


class EqualBudgets(Exhibit):
    """Show each method's median when every run has spent as much."""

    title = "At equal budgets"
    order = 44

    def show(self, results: Results) -> Iterator[Table | Omitted]:
        if results.tuning:
            return  # its configurations are the best of many, and not the same for all methods
        about = SCORES[results.primary]
        points = results.curves[results.curves["name"].eq(f"{about.name}_selection")]
        if points.empty:
            yield Omitted(
                "no run was scored during training, so nothing is known of equal budgets; "
                "`intervals.score` of a suite asks for scores on the way"
            )
            return
        rate = rates(results.runs)
        same = [b for b in list(BUDGETS)[1:3] if rate[b].nunique() <= 1]
        views = {b: _view(results, about, points, b) for b in BUDGETS if b not in same}
        known = {budget: view for budget, view in views.items() if view is not None}
        unknown = [BUDGETS[budget] for budget, view in views.items() if view is None]
        if unknown:
            yield Omitted(
                f"no view at equal {listed(unknown, 'or')}: a completed run has no score, or no "
                "cost, that tells"
            )
        if known:
            yield _table(results, precise(results, about.name), known, same)


def _view(results: Results, about: Score, points: pd.DataFrame, budget: str) -> _View | None:
    limit, values = at_equal(results.runs, points, budget)
    if math.isnan(limit) or values.isna().all():
        return None
    runs = results.runs.assign(**{about.name: results.runs["run_id"].map(values)})
    table = tidy(runs, about.name, about.higher_is_better)
    return _View(limit, table, overall(table, results.methods, worst_possible(about)))


def _table(results: Results, about: Score, views: Mapping[str, _View], same: list[str]) -> Table:
    sign = -1 if about.higher_is_better else 1
    medians = {
        budget: {
            method: sign * quantile(view.table.loc[view.table["method"].eq(method), "loss"], 0.5)
            for method in results.methods
        }
        for budget, view in views.items()
    }
    rows: list[tuple[Shown | str, ...]] = [
        (
            method,
            *[
                _entry(medians[budget][method], about, method in view.verdict.best)
                for budget, view in views.items()
            ],
        )
        for method in results.methods
    ]
    return Table(
        name="equal_budgets",
        caption=f"{about.title} of each method, the median over settings and seeds, when every "
        "run has spent the same.",
        columns=(
            "Method",
            *[f"{_amount(view.budget)} {BUDGETS[budget]}" for budget, view in views.items()],
        ),
        rows=tuple(rows),
        raw=pd.DataFrame(
            {"method": m} | {BUDGETS[b]: medians[b][m] for b in views} for m in results.methods
        ),
        notes=tuple(_notes(results, views, same)),
    )


def _entry(value: float, about: Score, best: bool) -> Shown:
    if math.isnan(value):
        return _NONE
    lost = not abs(value) < LARGEST
    return Shown("lost" if lost else number(float(value), about), best=best)


def _amount(budget: float) -> str:
    return f"{budget:,.0f}" if budget >= 100 else f"{budget:.3g}"


def _notes(results: Results, views: Mapping[str, _View], same: list[str]) -> Iterator[str]:
    yield (
        "A budget is the largest that every completed run has spent. A run counts by the last of "
        "its scores during training within it: those that choose checkpoints, of other samples "
        "than the tables' scores."
    )
    if same:
        names = listed([BUDGETS[budget] for budget in same])
        yield f"Every run takes as many {names} for an update, so those views are the first one."
    if "images" in views:
        yield "Samples: real and generated ones of D's updates, and generated ones of G's."
    if "seconds" in views:
        machines = len(results.machines)
        yield (
            "Seconds are each run's own, beside whatever else ran"
            + (f" on {machines} kinds of machine" if machines > 1 else "")
            + "; side by side they are measured in the section on cost."
        )
    if any(view.table["loss"].eq(math.inf).any() for view in views.values()):
        yield "Runs that diverged or collapsed count as the worst there is."
    if any(view.verdict.best for view in views.values()):
        yield (
            "Bold is the best of its column, and what it is not called better than at 95% "
            "(Wilcoxon's test over settings and seeds, Holm's correction)."
        )
