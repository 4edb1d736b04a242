"""The table of methods by settings, which two exhibits show for one score each."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

import pandas as pd

from lipbench.protocols import SCORES, Score
from lipbench.reporting import Shown, Table
from lipbench.results import Results
from lipbench.results.cells import Cell, cells, floor, summary
from lipbench.stats import Verdict, overall, tidy, winners

from ._audits import LONG, text
from ._draw import LARGEST, is_log

INCOMPLETE = "†"
UNDEFINED = "‡"
COLLAPSED = "§"
UNPLANNED = Shown("—", muted=True)


@dataclass(frozen=True)
class _Column:
    title: str
    values: dict[str, float]  # of each method
    shown: dict[str, Shown]


def grid(results: Results, score: str, name: str, summaries: Sequence[str] = ()) -> Table:
    """Return the table of one score: a row for each method, a column for each setting.

    `summaries`, of "best", "median" and "worst", are columns over all settings.
    """
    about = precise(results, score)
    found = cells(results, score)
    by_setting = {s: {m: found[m, s] for m in results.methods} for s in results.settings}
    tables = {
        each.name: tidy(results.runs, each.name, each.higher_is_better)
        for each in (about, SCORES[results.primary])
    }
    verdicts = {s: _verdict(results, about, tables, s) for s in results.settings}
    columns = [_setting(s, column, about, verdicts[s]) for s, column in by_setting.items()]
    rows = {m: [found[m, s] for s in results.settings] for m in results.methods}
    if "median" in summaries:
        verdicts["median"] = _verdict(results, about, tables)
    columns += [_summary(t, rows, about, verdicts.get(t, _NO_VERDICT)) for t in summaries]
    shown = [(Shown(m), *[column.shown[m] for column in columns]) for m in results.methods]
    raw = [{"method": m} | {c.title: c.values[m] for c in columns} for m in results.methods]
    bold = any(entry.best for column in columns for entry in column.shown.values())
    real = floor(results, score)
    if real is not None:
        of_real = Shown(number(real, about), muted=True)
        blank = [Shown("")] * len(summaries)
        shown.append((Shown("Real data", muted=True), *[of_real] * len(results.settings), *blank))
        raw.append({"method": "real data"} | dict.fromkeys(results.settings, real))
    return Table(
        name=name,
        caption=f"Each method at each setting: {about.title}, "
        f"{'higher' if about.higher_is_better else 'lower'} is better.",
        columns=("Method", *[column.title for column in columns]),
        rows=tuple(shown),
        raw=pd.DataFrame(raw),
        notes=(
            f"{about.title}: {about.description}.",
            *([f"Mind that it rewards {about.rewards}."] if about.rewards else []),
            *_notes(results, found, real, bold, verdicts),
        ),
    )


_NO_VERDICT = Verdict(())


def _verdict(
    results: Results, about: Score, tables: Mapping[str, pd.DataFrame], setting: str | None = None
) -> Verdict:
    """Return who may be called the best at a setting, or over all of them.

    By a score that rewards what it should not, only methods that nothing is better than by the
    primary score. `tables` are the runs as `tidy` returns them, by both.
    """

    def by(score: Score) -> Verdict:
        table, worst = tables[score.name], worst_possible(score)
        if setting is None:
            return overall(table, results.methods, worst)
        at = table[table["setting"].eq(setting)]
        return winners(at, results.methods, is_log(score), worst)

    verdict = by(about)
    primary = SCORES[results.primary]
    if not about.rewards or about == primary or not verdict.best:
        return verdict
    sound = by(primary).best
    both = tuple(method for method in verdict.best if method in sound)
    return Verdict(both, "" if both else f"nobody who is the best is so by {primary.title} too")


def worst_possible(about: Score) -> float:
    """Return the loss at the end of a score's range, infinite where it has none."""
    if about.higher_is_better and about.if_diverged is not None:
        return -about.if_diverged
    return math.inf


def precise(results: Results, score: str) -> Score:
    """Return a score that is printed with as many decimals as the spread over seeds bears.

    That is two digits of its standard deviation, pooled over methods and settings, and at most
    the score's own decimals, which it keeps where nothing is repeated. Counts keep theirs too.
    """
    about = SCORES[score]
    table = tidy(results.runs, score, about.higher_is_better)
    groups = table[table["loss"].abs() < LARGEST].groupby(["method", "setting"])["loss"]
    freedom = groups.size() - 1
    squares = groups.var().mul(freedom).sum()
    if not about.decimals or not freedom.sum() or not squares > 0:
        return about
    spread = math.sqrt(squares / freedom.sum())
    decimals = min(about.decimals, max(0, 1 - math.floor(math.log10(spread))))
    return replace(about, decimals=decimals)


def number(value: float, about: Score) -> str:
    """Return a score as it is printed; half a count, which a median can be, is not rounded."""
    counts = SCORES[about.name].decimals == 0
    decimals = 1 if counts and not value.is_integer() else about.decimals
    return text(value) if not abs(value) < LONG else f"{value:z.{decimals}f}"


def entry(cell: Cell, about: Score, best: bool = False) -> Shown:
    """Return a cell as it is printed: its median, and what that hides in small print."""
    if not cell.runs:
        return UNPLANNED
    mark = ("" if cell.complete else INCOMPLETE) + (COLLAPSED if any(cell.collapsed) else "")
    if not cell.ended and not cell.missing:
        return Shown("—", UNDEFINED, muted=True, runs=cell.run_ids)
    if not cell.ended:
        return Shown("incomplete", mark, muted=True, runs=cell.run_ids)
    detail = []
    if math.isfinite(cell.median) and len(cell.values) > 1:
        ends = [number(min(cell.values), about), number(max(cell.values), about)]
        detail += ["–".join(ends)] if ends[0] != ends[1] else []
    if cell.diverged and cell.values:
        share = f"{cell.diverged}/{cell.ended}"
        others = number(statistics.median(cell.values), about)
        finite = math.isfinite(cell.median)
        detail.append(f"{share} diverged" if finite else f"{share}, else {others}")
    if any(cell.collapsed) and cell.ended > 1:
        detail.append(f"{sum(cell.collapsed)}/{cell.ended} collapsed")
    shown = _median(cell.median, cell.diverged, about)
    return Shown(shown, mark, ", ".join(detail), best, runs=cell.run_ids)


def _median(median: float, diverged: int, about: Score) -> str:
    """Return a median as it is printed; an infinite one is that of runs that diverged."""
    return "diverged" if math.isinf(median) and diverged else number(median, about)


def _setting(title: str, column: dict[str, Cell], about: Score, verdict: Verdict) -> _Column:
    values = {method: cell.median for method, cell in column.items()}
    shown = {m: entry(cell, about, m in verdict.best) for m, cell in column.items()}
    return _Column(title, values, shown)


def _summary(title: str, rows: dict[str, list[Cell]], about: Score, verdict: Verdict) -> _Column:
    values, standings = (
        {method: summary(row, attrgetter(median))[title] for method, row in rows.items()}
        for median in ("median", "standing")
    )
    shown = {}
    for method, row in rows.items():
        mark = INCOMPLETE if any(cell.runs and not cell.complete for cell in row) else ""
        collapsed = COLLAPSED if values[method] != standings[method] else ""
        median = _median(values[method], sum(cell.diverged for cell in row), about)
        shown[method] = (
            Shown("incomplete" if mark else "—", mark, muted=True)
            if math.isnan(values[method])
            else Shown(median, mark + collapsed, best=method in verdict.best)
        )
    return _Column(title.capitalize(), values, shown)


def marks(planned: Sequence[Cell]) -> list[str]:
    """Return what the marks of entries mean, of those that some cells have."""
    notes = []
    if any(not cell.complete for cell in planned):
        notes.append(
            f"{INCOMPLETE} Incomplete: some runs failed, have not ended or were not scored. They "
            "are missing, not bad, and the entry is over the others."
        )
    if any(cell.undefined and not (cell.ended or cell.missing) for cell in planned):
        notes.append(f"{UNDEFINED} The score is no number there, by its own rule.")
    if any(any(cell.collapsed) for cell in planned):
        notes.append(
            f"{COLLAPSED} Some of the runs collapsed. The entry has their scores; in the order of "
            "methods and settings they count as diverged, so no collapsed run is the best."
        )
    if any(math.isinf(value) for cell in planned for value in cell.values):
        notes.append("∞: the score of a run is not finite, which counts as worse than any number.")
    return notes


def _about_bold(bold: bool, verdicts: Mapping[str, Verdict]) -> str:
    """Return what bold stands for, or why nothing is bold."""
    if bold:
        return (
            "Bold is the best of its column, and what it is not called better than at 95%: over "
            "seeds by the paired t-test, over settings and seeds by Wilcoxon's test, both with "
            "Holm's correction."
        )
    reasons: dict[str, list[str]] = {}
    for column, verdict in verdicts.items():
        reasons.setdefault(verdict.reason, []).append(column)
    parts = [
        reason if len(reasons) == 1 else f"{', '.join(columns)}: {reason}"
        for reason, columns in reasons.items()
    ]
    return f"Nothing is bold: {'; '.join(parts)}."


def _notes(
    results: Results,
    found: dict[tuple[str, str], Cell],
    real: float | None,
    bold: bool,
    verdicts: Mapping[str, Verdict],
) -> list[str]:
    """Return what a reader needs to know of the marks that the table has, and of no others."""
    planned = [cell for cell in found.values() if cell.runs]
    notes = []
    if any(cell.runs > 1 for cell in planned):
        notes.append("An entry is the median over seeds, with the lowest and highest below it.")
    if any(cell.diverged for cell in planned):
        notes.append(
            "A diverged run is a result, worse than any number: where half of the runs or more "
            "diverged, so did the median (below it, how many of how many, and the others)."
        )
    notes += marks(planned)
    if len(planned) < len(found):
        notes.append("— is not in the plan.")
    if len(results.methods) > 1:
        notes.append(_about_bold(bold, verdicts))
    if real is not None:
        notes.append("Real data is the score of as many real samples instead of generated ones.")
    return notes
