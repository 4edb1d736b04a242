"""The small table of scores that `status` and the end of `run` print. Part of `cli`."""

from __future__ import annotations

import math
import shutil
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from lipbench.cli.printing import say, show, table_of
from lipbench.planning.plan import Plan
from lipbench.protocols import SCORES, Score
from lipbench.results import Results
from lipbench.results.cells import Cell, balanced, cells, leaders, summary
from lipbench.results.frame import load_runs
from lipbench.tuning.analysis import confirmations
from lipbench.words import are, counted

MOST_METHODS = 20  # rows
_PIPED_WIDTH = 200  # characters, where no terminal says how many
_GAP = 2  # characters between columns
_BEST = "*"


def show_scores(folder: Path, plan: Plan) -> None:
    """Print the primary score of each method at each setting; nothing before the first score.

    An entry is the median over seeds, where a diverged run counts as worse than any number.
    """
    runs = load_runs(folder)
    runs = runs[runs["planned"]]
    about = SCORES[plan.protocol.primary]
    methods = tuple(dict.fromkeys(run.method for run in plan.runs))
    settings = tuple(dict.fromkeys(run.setting for run in plan.runs))
    grid = cells(_results(plan, runs, methods, settings), about.name)
    if any(cell.ended for cell in grid.values()):
        show_grid(grid, methods, settings, about)


def show_grid(
    grid: Mapping[tuple[str, str], Cell],
    methods: Sequence[str],
    settings: Sequence[str],
    about: Score,
) -> None:
    """Print the cell of each method and setting, as far as there is room for them."""
    usual = statistics.mode(cell.runs for cell in grid.values() if cell.runs)
    columns = {s: _column({m: grid[m, s] for m in methods}, about, usual) for s in settings}
    rows = _first({m: [grid[m, s] for s in settings] for m in methods})
    shown = _fitting(rows, columns)
    better = "higher" if about.higher_is_better else "lower"
    over = f"median over {counted(usual, 'seed')}" if usual > 1 else "1 seed"
    say(f"{about.title}, {better} is better, {over}:")
    table = table_of("method", *shown)
    for method in rows:
        table.add_row(method, *(columns[setting][method] for setting in shown))
    show(table)
    if any(_BEST in columns[setting][method] for setting in shown for method in rows):
        say(f"{_BEST} the best median at its setting; `lipbench report` says if it is by chance")
    if left := len(methods) - len(rows):
        say(f"{counted(left, 'more method')} {are(left)} not shown: these "
            "have the best medians over settings")  # fmt: skip
    if left := len(settings) - len(shown):
        say(f"{counted(left, 'more setting')} {are(left)} not shown, for want of width")


def show_confirmed(folder: Path, plan: Plan) -> None:
    """Print what a study's best configurations reached with fresh seeds; nothing before that."""
    assert plan.tuning is not None, "only a study confirms"
    runs = load_runs(folder)
    objective = plan.tuning.objectives[0]
    found = confirmations(runs[runs["planned"] & runs["confirms"].eq(True)], objective)
    found = found[found["completed"] + found["diverged"] > 0]
    if found.empty:
        return
    better = "higher" if objective.higher_is_better else "lower"
    say(f"the best configurations again, {objective.title} ({better} is better):")
    table = table_of("method", "seed", "trial", "mean", "± std", "runs", "diverged", "collapsed")
    for row in found.to_dict("records"):
        values = [f"{row[name]:,.{objective.decimals}f}" for name in ("mean", "std")]
        ended = row["completed"] + row["diverged"]
        runs_ = f"{ended}" if ended == row["runs"] else f"{ended} of {row['runs']}"
        marks = [str(row[name] or "") for name in ("diverged", "collapsed")]
        values[1] = "" if math.isnan(row["std"]) else values[1]
        table.add_row(row["method"], str(row["repeat"]), str(row["trial"]), *values, runs_, *marks)
    show(table)


def best_medians(column: Mapping[str, Cell], about: Score) -> set[str]:
    """Return the methods with the best median at one setting; often there is none.

    Cells that are incomplete or of other seeds cannot be compared, nor can medians that are
    printed as the same. Whether a difference is called at 95%, `stats.winners` says.
    """
    planned = {method: cell for method, cell in column.items() if cell.runs}
    if len(planned) < 2 or not balanced(planned.values()):
        return set()
    standings = {method: cell.standing for method, cell in planned.items()}
    worst = about.if_diverged if about.higher_is_better else None
    return leaders(standings, about.higher_is_better, lambda value: _number(value, about), worst)


def _results(
    plan: Plan, runs: pd.DataFrame, methods: tuple[str, ...], settings: tuple[str, ...]
) -> Results:
    """Return the part of a suite's results that cells are made from."""
    nothing = pd.DataFrame()
    return Results(
        suite=plan.name,
        description=plan.description,
        runs=runs,
        left_out=0,
        curves=nothing,
        samples={},
        methods=methods,
        settings=settings,
        protocol=plan.protocol,
        published=nothing,
    )


def _column(column: Mapping[str, Cell], about: Score, usual: int) -> dict[str, str]:
    best = best_medians(column, about)
    return {
        method: _entry(cell, about, usual) + (_BEST if method in best else "")
        for method, cell in column.items()
    }


def _entry(cell: Cell, about: Score, usual: int) -> str:
    """Return a cell as text: its median, and how many of its runs that hides."""
    if not cell.runs:
        return ""
    if not cell.ended:
        return "-"
    asides = []
    if cell.diverged and math.isfinite(cell.median):
        asides.append(f"{cell.diverged} diverged")
    if any(cell.collapsed):
        asides.append(f"{sum(cell.collapsed)} collapsed")
    if not cell.complete or cell.runs != usual:
        asides.append(f"{cell.ended} of {counted(cell.runs, 'seed')}")
    diverged = math.isinf(cell.median) and cell.diverged
    median = "diverged" if diverged else _number(cell.median, about)
    return f"{median} ({', '.join(asides)})" if asides else median


def _number(value: float, about: Score) -> str:
    return f"{value:z,.{about.decimals}f}"


def _first(rows: Mapping[str, Sequence[Cell]]) -> list[str]:
    """Return the methods to show: all in the plan's order or, of many, the best ones first."""
    if len(rows) <= MOST_METHODS:
        return list(rows)
    higher = any(cell.higher_is_better for row in rows.values() for cell in row)

    def rank(method: str) -> tuple[bool, float]:
        median = summary(rows[method], lambda cell: cell.standing)["median"]
        return math.isnan(median), -median if higher else median

    return sorted(rows, key=rank)[:MOST_METHODS]


def _fitting(rows: Iterable[str], columns: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the settings, at least one, whose columns are as wide as a terminal together."""
    rows = list(rows)
    left = _width() - max(len(name) for name in [*rows, "method"])
    shown: list[str] = []
    for setting, column in columns.items():
        left -= _GAP + max(len(text) for text in [setting, *(column[m] for m in rows)])
        if shown and left < 0:
            break
        shown.append(setting)
    return shown


def _width() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _PIPED_WIDTH
