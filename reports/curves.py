"""Scores and training quantities against the generator's updates."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from lipbench.outcome import Outcome
from lipbench.protocols import SCORES
from lipbench.reporting import Exhibit, Figure, Omitted, pens
from lipbench.results import Results

from ._draw import LARGEST, WIDTH, groups, legend, paper, plain, score_axis

_PLACE = ["setting", "method", "outcome"]
_POINTS = 80  # drawn in a curve; the median of the updates between them
_TRAINING = {
    "loss_d": "D's loss",
    "loss_g": "G's loss",
    "real_logit": "D(real)",
    "fake_logit": "D(fake)",
    "penalty": "penalty",
}


class Curves(Exhibit):
    """Draw how scores, losses and logits move, the methods together at each setting."""

    title = "Learning curves"
    order = 60

    def show(self, results: Results) -> Iterator[Figure | Omitted]:
        curves = results.curves.astype({"update": float, "value": float})
        curves = curves.merge(results.runs[["run_id", *_PLACE]])
        curves = curves.astype(dict.fromkeys(("run_id", *_PLACE), "category"))
        for score in results.protocol.selection.scores:
            of_score = curves[
                (curves["name"] == f"{score}_selection") & (curves["value"].abs() < LARGEST)
            ]
            if of_score.groupby("run_id")["update"].nunique().max() > 1:
                for number, methods in groups(_present(results, of_score)):
                    yield _score(results, score, _of(methods, of_score), number)
            else:
                title = SCORES[score].title
                yield Omitted(f"no learning curve of {title}: it was not scored during training")
        training = {n: curves[curves["name"] == n] for n in _TRAINING}
        training = {n: c[c["value"].abs() < LARGEST] for n, c in training.items()}
        varied = {n: c for n, c in training.items() if c["value"].nunique() > 1}
        if varied:
            drawn = _present(results, pd.concat(varied.values()))
            for number, methods in groups(drawn):
                some = {name: _of(methods, curves) for name, curves in varied.items()}
                yield _training(results, some, number)
        else:
            yield Omitted("no training curves: nothing was recorded yet")


def _of(methods: tuple[str, ...], curves: pd.DataFrame) -> pd.DataFrame:
    return curves[curves["method"].isin(methods)]


def _score(results: Results, score: str, curves: pd.DataFrame, number: str) -> Figure:
    about = SCORES[score]
    thinned = _thinned(curves)
    lines = _lines(thinned)
    columns = min(3, len(results.settings))
    rows = math.ceil(len(results.settings) / columns)
    drawing = paper(0.5 + 1.9 * rows, WIDTH if columns > 1 else 4.6)
    grid = drawing.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    score_axis(grid[0, 0], about, thinned["value"])
    for i, axes in enumerate(grid.flat):
        if i >= len(results.settings):
            axes.set_visible(False)
            continue
        setting = results.settings[i]
        axes.set_title(plain(setting), fontweight="bold")
        axes.grid()
        _draw(axes, results, setting, lines, thinned)
        axes.tick_params(labelbottom=i + columns >= len(results.settings), labelleft=True)
        if i + columns >= len(results.settings):
            axes.set_xlabel("generator updates")
    for axes in grid[:, 0]:
        axes.set_ylabel(plain(about.title))
    legend(drawing, results, _present(results, thinned))
    note = (
        "These scores choose the best checkpoint: other latents and other real samples than those "
        "of the tables."
    )
    caption = f"Learning curves at each setting: {about.title}."
    return Figure(f"learning_{score}{number}", caption, drawing, (_told_of_lines(thinned), note))


def _told_of_lines(curves: pd.DataFrame) -> str:
    """Return how the lines are drawn, of those that there are."""
    several = (curves.groupby(["method", "setting"])["run_id"].nunique() > 1).any()
    bands = "medians over seeds, bands the range" if several else "one run each"
    diverged = (
        "; × is where a run diverged" if (curves["outcome"] == Outcome.DIVERGED).any() else ""
    )
    return f"Lines are {bands}{diverged}."


def _training(results: Results, curves: dict[str, pd.DataFrame], number: str) -> Figure:
    columns = len(results.settings)
    width = max(4.6, 1.0 + 1.45 * columns)
    drawing = paper(0.6 + 1.25 * len(curves), width)
    grid = drawing.subplots(len(curves), columns, sharex=True, sharey="row", squeeze=False)
    for row, (name, of_name) in zip(grid, curves.items(), strict=True):
        thinned = _thinned(of_name)
        lines = _lines(thinned)
        low, high = of_name["value"].quantile([0.005, 0.995]) if len(of_name) else (0.0, 1.0)
        for axes, setting in zip(row, results.settings, strict=True):
            axes.grid()
            _draw(axes, results, setting, lines, thinned)
        if max(-low, high) > 50:
            row[0].set_yscale("symlog", linthresh=1)
        margin = 0.08 * (high - low) or 1.0
        row[0].set_ylim(low - margin, high + margin)
        row[0].set_ylabel(_TRAINING[name])
    for axes, setting in zip(grid[0], results.settings, strict=True):
        axes.set_title(plain(setting), fontweight="bold")
    for axes in grid[-1]:
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.set_xlabel("G updates")
    every = pd.concat(curves.values())
    legend(drawing, results, _present(results, every))
    return Figure(
        f"training{number}",
        "What the networks optimise during training, at each setting.",
        drawing,
        (
            f"{_told_of_lines(every)} Points are medians of the updates between them too. The "
            "highest and lowest 0.5% of values are cut off. Losses of different kinds cannot be "
            "compared.",
        ),
    )


def _present(results: Results, curves: pd.DataFrame) -> list[str]:
    known = set(curves["method"].unique())
    return [method for method in results.methods if method in known]


def _thinned(curves: pd.DataFrame) -> pd.DataFrame:
    """Return each run's curve with at most _POINTS points, numbered by `bin`: medians."""
    updates, place = np.unique(curves["update"], return_inverse=True)
    bins = place * min(_POINTS, len(updates)) // max(1, len(updates))
    runs = curves.assign(bin=bins).groupby([*_PLACE, "run_id", "bin"], observed=True)
    return runs[["update", "value"]].median().reset_index()


def _lines(thinned: pd.DataFrame) -> pd.DataFrame:
    """Return what is drawn of each method at each setting: medians over seeds, and the ranges."""
    points = thinned.groupby(["setting", "method", "bin"], observed=True)
    numbers = points["value"].agg(["median", "min", "max", "size"])
    return numbers.assign(update=points["update"].median()).reset_index()


def _draw(
    axes: Axes, results: Results, setting: str, lines: pd.DataFrame, thinned: pd.DataFrame
) -> None:
    """Draw each method's median over seeds, the range as a band, and where runs diverged."""
    diverged = thinned[thinned["setting"].eq(setting) & thinned["outcome"].eq(Outcome.DIVERGED)]
    ends = diverged.drop_duplicates(["method", "run_id"], keep="last")
    lines = lines[lines["setting"].eq(setting)]
    for method in _present(results, lines):
        pen = pens(results.methods)[method]
        own = lines[lines["method"].eq(method)]
        axes.plot(own["update"], own["median"], color=pen.colour, linestyle=pen.dash)
        if own["size"].max() > 1:
            band = own["update"], own["min"], own["max"]
            axes.fill_between(*band, color=pen.colour, alpha=0.15, linewidth=0)
        lost = ends[ends["method"].eq(method)]
        axes.plot(lost["update"], lost["value"], "x", color=pen.colour, markersize=5)
