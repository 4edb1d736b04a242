"""What a search of k trials would find, as in Lucic et al. (2018) and Kurach et al. (2019)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from lipbench.reporting import Figure, Omitted, Table, pens
from lipbench.results import Results
from lipbench.tuning.analysis import best_of_k, best_trials
from lipbench.tuning.record import Tuning

from ._draw import WIDTH, groups, legend, paper, plain
from ._tuning import (
    BANDS,
    COUNTING,
    NONE_COMPLETED,
    OfTrials,
    better,
    ceiling,
    drawn_methods,
    on_log_axis,
    resampling,
    value_axis,
)


class Budget(OfTrials):
    """Draw the best of k trials against k."""

    title = "The best of a budget of trials"
    order = 3

    def of(self, results: Results, tuning: Tuning) -> Iterator[Table | Figure | Omitted]:
        if len(tuning.objectives) > 1:
            yield Omitted("of several objectives no trial is the best")
            return
        curves = best_of_k(results.trials, tuning.objectives[0])
        if best_trials(results.trials, tuning.objectives[0]).empty:
            yield NONE_COMPLETED
        elif curves["k"].max() > 1:
            for number, methods in groups(drawn_methods(results, curves["method"])):
                yield _figure(results, tuning, number, methods, curves)
        else:
            yield Omitted("no method has several trials that ended")


def _figure(
    results: Results, tuning: Tuning, number: str, methods: Sequence[str], curves: pd.DataFrame
) -> Figure:
    objective = tuning.objectives[0]
    many = len(methods) > BANDS
    drawing = paper(3.6, WIDTH if many else 5.4)
    axes = drawing.add_subplot()
    log = on_log_axis(objective, curves["median"])
    line = "geometric_mean" if log else "mean"
    ends = [] if many else [curves["lucky"], curves["unlucky"]]
    value_axis(axes, objective, [curves[line], *ends], log)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.set_xlim(1, max(2, curves["k"].max()))
    axes.grid()
    for method in methods:
        curve, pen = curves[curves["method"] == method], pens(results.methods)[method]
        axes.plot(curve["k"], curve[line], color=pen.colour, linestyle=pen.dash)
        if len(curve) == 1:
            axes.plot(curve["k"], curve[line], pen.marker, color=pen.colour, clip_on=False)
        if not many:
            axes.fill_between(
                curve["k"],
                curve["lucky"],
                curve["unlucky"],
                step="mid",
                color=pen.colour,
                alpha=0.12,
                linewidth=0,
            )
    axes.set_xlabel("budget k, trials")
    axes.set_ylabel(plain(f"best {objective.title} of k trials"))
    legend(drawing, results, methods)
    return Figure(
        f"tuning_budget{number}",
        f"The best {objective.title} that a search of k trials finds: {better(objective)}.",
        drawing,
        tuple(_notes(results, tuning, methods, curves, log)),
        curves[curves["method"].isin(methods)],
    )


def _notes(
    results: Results, tuning: Tuning, methods: Sequence[str], curves: pd.DataFrame, log: bool
) -> Iterator[str]:
    bands = "bands from 5 to 95%" if len(methods) <= BANDS else "5 and 95% are in the CSV file"
    mean = "geometric mean, as the axis is logarithmic" if log else "mean"
    yield f"Lines are the expected best of k trials ({mean}), {bands}."
    yield from resampling(tuning)
    yield COUNTING
    if (results.trials["outcome"] == "diverged").any():
        yield ceiling(tuning.objectives[0])
    missing = [m for m in results.methods if m not in set(curves["method"])]
    if missing:
        yield f"No trial has a value: {', '.join(missing)}."
