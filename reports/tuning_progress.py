"""The best value so far, against the trials of a search and against what they took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from lipbench.reporting import Figure, Omitted, Table, pens
from lipbench.results import Results
from lipbench.tuning.analysis import best_so_far, best_trials, over_repeats
from lipbench.tuning.record import Tuning

from ._draw import groups, legend, paper, plain
from ._tuning import (
    BANDS,
    COUNTING,
    NONE_COMPLETED,
    OfTrials,
    better,
    ceiling,
    drawn_methods,
    on_log_axis,
    searches,
    value_axis,
)

_TITLES = {
    "trials": "trials",
    "generator_updates": "thousand generator updates",
    "hours": "device hours",
}


class Progress(OfTrials):
    """Draw how the best value fell, or rose, over each search."""

    title = "Progress of the search"
    order = 2

    def of(self, results: Results, tuning: Tuning) -> Iterator[Table | Figure | Omitted]:
        if len(tuning.objectives) > 1:
            yield Omitted("of several objectives no trial is the best so far")
            return
        if best_trials(results.trials, tuning.objectives[0]).empty:
            yield NONE_COMPLETED
            return
        lines = best_so_far(results.trials, tuning.objectives[0])
        methods = drawn_methods(results, lines["method"][lines["best"].notna()])
        for number, some in groups(methods):
            yield _figure(results, tuning, number, some, lines)


def _figure(
    results: Results, tuning: Tuning, number: str, methods: Sequence[str], lines: pd.DataFrame
) -> Figure:
    objective = tuning.objectives[0]
    cost = "hours" if lines["hours"].max() > 0 else "generator_updates"
    drawing = paper(3.3)
    row = drawing.subplots(1, 2, sharey=True)
    value_axis(row[0], objective, [lines["best"]], on_log_axis(objective, lines["best"].dropna()))
    for axes, along in zip(row, ("trials", cost), strict=True):
        axes.grid()
        axes.set_xlabel(_TITLES[along])
        for method in methods:
            _line(axes, results, method, lines[lines["method"] == method], along, len(methods))
    row[0].xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    row[0].set_xlim(0.5, lines["trials"].max() + 0.5)
    row[1].set_xlim(left=0)
    row[0].set_ylabel(plain(f"best {objective.title} so far"))
    legend(drawing, results, methods)
    return Figure(
        f"tuning_progress{number}",
        f"The best {objective.title} so far against the trials of a search, and against what "
        f"they took: {better(objective)}.",
        drawing,
        tuple(_notes(results, tuning, methods, lines, cost)),
        lines[lines["method"].isin(methods)],
    )


def _line(
    axes: Axes, results: Results, method: str, lines: pd.DataFrame, along: str, drawn: int
) -> None:
    pen = pens(results.methods)[method]
    line = over_repeats(lines, along)
    x = line[along] / (1000 if along == "generator_updates" else 1)
    axes.step(x, line["median"], where="post", color=pen.colour, linestyle=pen.dash)
    if drawn <= BANDS and (line["searches"] > 1).any():
        ends = line["low"], line["high"]
        axes.fill_between(x, *ends, step="post", color=pen.colour, alpha=0.15, linewidth=0)
    if len(line) == 1:  # a line of one point is not seen
        axes.plot(x, line["median"], pen.marker, color=pen.colour, markersize=4)


def _banded(methods: Sequence[str], lines: pd.DataFrame) -> bool:
    """Return whether a figure has bands: few methods, and one with several searches."""
    return len(methods) <= BANDS and any(
        (over_repeats(lines[lines["method"] == method], "trials")["searches"] > 1).any()
        for method in methods
    )


def _notes(
    results: Results, tuning: Tuning, methods: Sequence[str], lines: pd.DataFrame, cost: str
) -> Iterator[str]:
    if len(tuning.seeds) > 1:
        bands = "bands the range" if _banded(methods, lines) else "the range is in the CSV file"
        yield (
            f"Lines are medians over a method's {searches(tuning)}, {bands}; they end with the "
            "shortest search."
        )
    else:
        yield "One search a method: how much luck there is in it can't be seen."
    yield "Trials in the order in which they were asked for."
    yield COUNTING
    if (lines["outcome"] == "diverged").any():
        yield ceiling(tuning.objectives[0])
    if cost == "hours":
        made = f" ({'; '.join(results.machines)})" if results.machines else ""
        yield (
            "Device hours: training, scoring and auditing of these trials, one after the other, "
            f"on whatever machine each had{made}."
        )
    missing = [m for m in results.methods if m not in set(lines["method"][lines["best"].notna()])]
    if missing:
        yield f"No trial has a value: {', '.join(missing)}."
