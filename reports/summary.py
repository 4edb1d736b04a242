"""Each method over all settings and seeds, in numbers that few bad runs cannot hide in."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from lipbench.protocols import Score
from lipbench.reporting import Exhibit, Omitted, Shown, Table
from lipbench.results import Results
from lipbench.results.robustness import by_robustness, robustness
from lipbench.stats import overall, tidy

from ._grid import number, precise, worst_possible

_NONE = Shown("—", muted=True)


class Summary(Exhibit):
    """Show what the runs of each method come to, with the interval of their middle half."""

    title = "Over settings and seeds"
    order = 14

    def show(self, results: Results) -> Iterator[Table | Omitted]:
        if results.tuning:
            return  # its configurations are the best of many, and not the same for all methods
        about = precise(results, results.primary)
        table = tidy(results.runs, about.name, about.higher_is_better)
        if not table["ended"].any():
            yield Omitted("no run has a result, so nothing is summarised")
            return
        found = robustness(results, [about.name])
        by_method = {str(row["method"]): row for _, row in found.iterrows()}
        best = overall(table, results.methods, worst_possible(about)).best
        order = by_robustness(table, results.methods)
        runs = results.runs.groupby("method")["run_id"].unique()
        rows = [
            _row(method, by_method[method], about, method in best, tuple(runs.get(method, ())))
            for method in order
        ]
        yield Table(
            name="summary",
            caption=f"{about.title} of each method over its settings and seeds, "
            f"{'higher' if about.higher_is_better else 'lower'} is better.",
            columns=(
                "Method",
                "Median",
                "Interquartile mean",
                "Best run",
                "Worst run",
                "Interquartile range",
                "Success",
                "Within 10%",
                "Profile area",
                "Runs",
            ),
            rows=tuple(rows),
            raw=pd.DataFrame([by_method[method] for method in order]),
            notes=tuple(_notes(found, bool(best))),
        )


def _row(
    method: str, row: pd.Series[Any], about: Score, best: bool, runs: tuple[str, ...]
) -> tuple[Shown | str, ...]:
    def shown(value: float, detail: str = "", bold: bool = False) -> Shown:
        if math.isnan(value):
            return _NONE
        lost = math.isinf(value)
        return Shown("lost" if lost else number(value, about), detail=detail, best=bold, runs=runs)

    def share(value: float) -> Shown:
        return _NONE if math.isnan(value) else Shown(f"{value:.0%}")

    ends = (row["iqm_low"], row["iqm_high"])
    within = (
        " to ".join(number(end, about) for end in ends) if all(map(math.isfinite, ends)) else ""
    )
    area = _NONE if math.isnan(row["area"]) else Shown(f"{row['area']:.2f}")
    return (
        method,
        shown(row["median"], bold=best),
        shown(row["iqm"], within),
        shown(row["best"]),
        shown(row["worst"]),
        shown(row["iqr"]),
        share(row["success"]),
        share(row["settings_within"]),
        area,
        Shown(f"{row['ended']}/{row['runs']}", runs=runs),
    )


def _notes(found: pd.DataFrame, bold: bool) -> Iterator[str]:
    made = [text for text in found["interval"].unique() if text]
    if made:
        yield f"In small print the 95% interval of the interquartile mean: {made[0]}."
    else:
        yield "No interval: that takes 3 seeds at each setting."
    yield (
        "The interquartile mean is that of the middle half of the runs. Success is the share of "
        "the runs that neither diverged nor collapsed. Within 10%: the share of settings whose "
        "median is within 10% of the method's best one. Profile area: see the next figure."
    )
    if found[["median", "iqm", "best", "worst", "iqr"]].abs().eq(math.inf).any(axis=None):
        yield "Lost: a run that diverged, collapsed or has no finite score, the worst there is."
    if bold:
        yield (
            "Bold is the best median, and those that it is not called better than at 95% "
            "(Wilcoxon's test over settings and seeds, Holm's correction)."
        )
    if (found["ended"] < found["runs"]).any():
        yield "Runs: with a result, of all planned; those without one are missing, not bad."
