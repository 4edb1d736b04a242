"""Performance profiles: how many of a method's runs are at least as good as each level."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd
import seaborn as sns

from lipbench.protocols import SCORES, Score
from lipbench.reporting import Exhibit, Figure, Omitted, pens, tag
from lipbench.reporting.booktabs import COLUMN
from lipbench.results import Results
from lipbench.results.robustness import profiled
from lipbench.stats import FEWEST_SEEDS, Profile, area, tidy
from lipbench.words import counted

from ._draw import LARGEST, legend, log_x, paper, plain

_LINES = 8


class Profiles(Exhibit):
    """Draw the share of each method's runs with a score at least as good as each level."""

    title = "Performance profiles"
    order = 15

    def show(self, results: Results) -> Iterator[Figure | Omitted]:
        if results.tuning:
            return  # its configurations are the best of many, and not the same for all methods
        about = SCORES[results.primary]
        table = tidy(results.runs, about.name, about.higher_is_better)
        losses = table["loss"][table["loss"].abs() < LARGEST]
        if losses.nunique() < 2:
            yield Omitted("no performance profile: fewer than two finite scores that differ")
            return
        table = table[~(table["loss"].abs().between(LARGEST, float("inf"), inclusive="left"))]
        yield _figure(results, about, profiled(table, results.methods))


def _figure(results: Results, about: Score, found: Mapping[str, Profile]) -> Figure:
    first = next(iter(found.values()))
    log = bool(first.levels[0] > 0)
    areas = {method: area(each, log) for method, each in found.items()}
    order = sorted(found, key=lambda method: -areas[method])
    sign = -1 if about.higher_is_better else 1
    drawing = paper(2.9, 5.4)
    axes = drawing.add_subplot()
    if log:
        log_x(axes, float(first.levels[0]), float(first.levels[-1]))
    banded = False
    for method in order[:_LINES]:
        each, pen = found[method], pens(results.methods)[method]
        x = sign * each.levels
        (line,) = axes.plot(
            x, each.share, color=pen.colour, linestyle=pen.dash, drawstyle="steps-post"
        )
        tag(line, method, f"{method}: area {areas[method]:.2f}")
        if each.low is not None and each.high is not None:
            banded = True
            band = axes.fill_between(
                x, each.low, each.high, step="post", color=pen.colour, alpha=0.13, linewidth=0
            )
            tag(band, method)
    axes.set_ylim(-0.02, 1.02)
    if about.higher_is_better:
        axes.invert_xaxis()
    axes.set_xlabel(plain(about.title))
    axes.set_ylabel("share of runs")
    axes.grid()
    sns.despine(ax=axes)
    legend(drawing, results, order[:_LINES], width=COLUMN)
    return Figure(
        "profiles",
        f"Performance profiles: the share of each method's runs, over settings and seeds, whose "
        f"{about.title} is at least as good as each level.",
        drawing,
        tuple(_notes(found, banded, log, len(order))),
        raw=_numbers(found, sign, about),
        column=True,
    )


def _notes(found: Mapping[str, Profile], banded: bool, log: bool, count: int) -> Iterator[str]:
    yield "Further up is better. A line that ends below 1 has runs that diverged or collapsed."
    if banded:
        yield "Bands: 95%, pointwise, by the bootstrap of seeds within each setting."
    if any(each.low is None for each in found.values()):
        yield f"A method with fewer than {FEWEST_SEEDS} seeds at a setting has no band."
    yield f"The axis is {'logarithmic' if log else 'linear'}, and so is the area's mean."
    if count > _LINES:
        yield (
            f"Drawn are the {_LINES} of {counted(count, 'method')} with the largest area; the CSV "
            "file has all."
        )


def _numbers(found: Mapping[str, Profile], sign: int, about: Score) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                "method": method,
                about.name: sign * each.levels,
                "share": each.share,
                "low": each.low,
                "high": each.high,
            }
        )
        for method, each in found.items()
    ]
    return pd.concat(parts, ignore_index=True)
