"""The best value so far of each search, and the best that a search of k trials would find.

The second is as in Lucic et al. (2018) and Kurach et al. (2019).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from lipbench.planning.tuning import Tuning
from lipbench.reporting import Figure, Omitted, Table
from lipbench.results import Results
from lipbench.tuning.analysis import best_of_k, best_so_far, best_trials, over_repeats
from lipbench.words import counted

from ._draw import WIDTH, groups, legend, paper, plain
from ._tuning import (
    BANDS,
    COUNTING,
    NONE_COMPLETED,
    OfTrials,
    better,
    ceiling,
    curve,
    drawn_methods,
    on_log_axis,
    resampling,
    searches,
    stated,
    value_axis,
)

_ALONG = {
    "trials": "trials",
    "generator_updates": "thousand generator updates",
    "hours": "device hours",
}


class Progress(OfTrials):
    """Draw how the best value fell, or rose, over each search, and against a budget of trials."""

    title = "Progress of the search, and budgets of trials"
    order = 2

    def of(self, results: Results, tuning: Tuning) -> Iterator[Table | Figure | Omitted]:
        objective = tuning.objectives[0]
        if len(tuning.objectives) > 1:
            yield Omitted("of several objectives no trial is the best")
            return
        if best_trials(results.trials, objective).empty:
            yield NONE_COMPLETED
            return
        lines = best_so_far(results.trials, objective)
        for number, methods in groups(
            drawn_methods(results, lines["method"][lines["best"].notna()])
        ):
            yield _progress(results, tuning, number, methods, lines)
        curves = best_of_k(results.trials, objective)
        if curves["k"].max() == 1:
            yield Omitted("no method has several trials that ended, so no budget is another's")
            return
        for number, methods in groups(drawn_methods(results, curves["method"])):
            yield _budget(results, tuning, number, methods, curves)


def _progress(
    results: Results, tuning: Tuning, number: str, methods: Sequence[str], lines: pd.DataFrame
) -> Figure:
    objective = tuning.objectives[0]
    cost = "hours" if lines["hours"].max() > 0 else "generator_updates"
    drawing = paper(3.3)
    row = drawing.subplots(1, 2, sharey=True)
    known = lines["best"].dropna()
    value_axis(row[0], objective, known, on_log_axis(objective, known))
    banded = False
    for axes, along in zip(row, ("trials", cost), strict=True):
        axes.grid()
        axes.set_xlabel(_ALONG[along])
        for method in methods:
            line = over_repeats(lines[lines["method"] == method], along)
            x = line[along] / (1000 if along == "generator_updates" else 1)
            several = len(methods) <= BANDS and bool((line["searches"] > 1).any())
            banded |= several
            hover = f"{stated(line['median'].iloc[-1], objective)} in the end"
            ends = (line["low"], line["high"]) if several else None
            curve(axes, results, method, x, line["median"], ends, hover, steps=True)
    row[0].xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    row[0].set_xlim(0.5, lines["trials"].max() + 0.5)
    row[1].set_xlim(left=0)
    row[0].set_ylabel(plain(f"best {objective.title} so far"))
    legend(drawing, results, methods)
    return Figure(
        f"tuning_progress{number}",
        f"The best {objective.title} so far against the trials of a search, and against their "
        f"cost: {better(objective)}.",
        drawing,
        (*_about_progress(results, tuning, banded, cost), *_missing(results, known, lines)),
        lines[lines["method"].isin(methods)],
    )


def _about_progress(results: Results, tuning: Tuning, banded: bool, cost: str) -> Iterator[str]:
    if len(tuning.seeds) > 1:
        bands = "bands the range" if banded else "the range is in the CSV file"
        yield (
            f"Lines are medians over a method's {searches(tuning)}, {bands}; they end with the "
            "shortest search."
        )
    else:
        yield "One search a method: its luck is not known."
    yield f"Trials are in the order in which they were asked for. {COUNTING}"
    yield from ceiling(results, tuning.objectives[0])
    if cost == "hours":
        made = f" ({'; '.join(results.machines)})" if results.machines else ""
        yield (
            "Device hours: training, scoring and auditing of these trials, one after the other, "
            f"on whatever machine each had{made}."
        )


def _missing(results: Results, known: pd.Series[float], frame: pd.DataFrame) -> Iterator[str]:
    valued = set(frame["method"][known.index])
    if missing := [method for method in results.methods if method not in valued]:
        yield f"No trial has a value: {', '.join(missing)}."


def _budget(
    results: Results, tuning: Tuning, number: str, methods: Sequence[str], curves: pd.DataFrame
) -> Figure:
    objective = tuning.objectives[0]
    many = len(methods) > BANDS
    drawing = paper(3.6, WIDTH if many else 5.4)
    axes = drawing.add_subplot()
    log = on_log_axis(objective, curves["median"])
    of = "geometric_mean" if log else "mean"
    every = [curves[name].dropna() for name in ((of,) if many else (of, "lucky", "unlucky"))]
    value_axis(axes, objective, pd.concat(every), log)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.set_xlim(1, max(2, curves["k"].max()))
    axes.grid()
    for method in methods:
        own = curves[curves["method"] == method]
        hover = f"{stated(own[of].iloc[-1], objective)} of {counted(len(own), 'trial')}"
        ends = None if many else (own["lucky"], own["unlucky"])
        curve(axes, results, method, own["k"], own[of], ends, hover, steps=False)
    axes.set_xlabel("budget k, trials")
    axes.set_ylabel(plain(f"best {objective.title} of k trials"))
    legend(drawing, results, methods)
    bands = "5 and 95% are in the CSV file" if many else "bands from 5 to 95%"
    mean = "geometric mean, as the axis is logarithmic" if log else "mean"
    return Figure(
        f"tuning_budget{number}",
        f"The best {objective.title} that a search of k trials finds: {better(objective)}.",
        drawing,
        (
            f"Lines are the expected best of k trials ({mean}), {bands}.",
            *resampling(tuning),
            COUNTING,
            *ceiling(results, objective),
            *_missing(results, curves["median"], curves),
        ),
        curves[curves["method"].isin(methods)],
    )
