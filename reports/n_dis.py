"""Scores against the updates of D for each one of G, as in Figure 11 of Miyato et al. (2018)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from lipbench.protocols import SCORES
from lipbench.reporting import Exhibit, Figure, Omitted, pens
from lipbench.results import Results
from lipbench.results.cells import Cell, cells
from lipbench.results.settings import COLUMNS, used
from lipbench.words import counted

from ._draw import WIDTH, groups, legend, paper, plain, score_axis

_OTHERS = [name for name in COLUMNS if name != "n_dis"]  # what a setting has besides
_COLUMNS = 3  # panels in a row


class Ndis(Exhibit):
    """Draw the primary score against n_dis where settings differ in nothing else."""

    title = "Scores against the discriminator's updates"
    order = 55

    def show(self, results: Results) -> Iterator[Figure | Omitted]:
        points = _points(results)
        if points.empty:
            yield Omitted(
                "no two settings with results differ in n_dis, D's updates for each one of G, only"
            )
        elif not (points["low"].notna()).any():
            yield Omitted("no run with such settings has a finite score")
        else:
            drawn = [m for m in results.methods if m in set(points["method"])]
            for number, methods in groups(drawn):
                yield _figure(results, number, methods, points[points["method"].isin(methods)])


def _points(results: Results) -> pd.DataFrame:
    """Return a row for each method, setting but for n_dis, and n_dis, where there are several."""
    found = cells(results, results.primary)
    places = (
        results.runs[["method", "setting", *_OTHERS, "n_dis"]]
        .dropna(subset="lr")
        .drop_duplicates()
    )
    rows = [
        place | _numbers(cell)
        for place in places.to_dict("records")
        if (cell := found[place["method"], place["setting"]]).ended
    ]
    points = pd.DataFrame(rows, columns=[*places.columns, "median", "low", "high", *_COUNTS])
    several = points.groupby(["method", *_OTHERS], dropna=False)["n_dis"].transform("nunique") > 1
    return points[several].sort_values(["method", *_OTHERS, "n_dis"]).reset_index(drop=True)


_COUNTS = ("runs", "diverged", "missing")
_BANDS = "; bands are the range of the runs that completed"


def _title(family: pd.DataFrame) -> str:
    """Return what the settings of one panel share."""
    values = {name: family[name].iloc[0] for name in used(family) if name != "n_dis"}
    if values.keys() == {"lr", "beta1", "beta2"}:
        return f"lr {values['lr']:g}, betas {values['beta1']:g} and {values['beta2']:g}"
    told = {name: v if isinstance(v, str) else f"{v:g}" for name, v in values.items()}
    return ", ".join(f"{name} {value}" for name, value in told.items())


def _numbers(cell: Cell) -> dict[str, object]:
    return {
        "median": cell.median,
        "low": min(cell.finite, default=math.nan),
        "high": max(cell.finite, default=math.nan),
        "runs": cell.runs,
        "diverged": cell.diverged,
        "missing": cell.missing,
    }


def _figure(results: Results, number: str, methods: Sequence[str], points: pd.DataFrame) -> Figure:
    about = SCORES[results.primary]
    families = [family for _, family in points.groupby(_OTHERS, dropna=False)]
    columns = min(_COLUMNS, len(families))
    rows = math.ceil(len(families) / columns)
    width = WIDTH if columns > 1 or len(methods) > 6 else 4.2
    drawing = paper(0.9 + 2.0 * rows, width)
    grid = drawing.subplots(rows, columns, sharey=True, squeeze=False)
    score_axis(grid[0, 0], about, [*points["low"], *points["median"]])
    for axes in grid.ravel()[len(families) :]:
        axes.set_visible(False)
    for family, axes in zip(families, grid.ravel(), strict=False):
        axes.set_title(_title(family))
        _lines(axes, results, methods, family)
        axes.set_xlabel("D updates for each one of G")
    for axes in grid[:, 0]:
        axes.set_ylabel(plain(about.title))
    legend(drawing, results, methods)
    return Figure(
        f"n_dis{number}",
        f"{about.title} against the discriminator's updates, all else equal: "
        f"{'higher' if about.higher_is_better else 'lower'} is better.",
        drawing,
        (
            "Medians over seeds, after as many generator updates"
            f"{_BANDS if (points['runs'] > 1).any() else ''}. {_runs(points['runs'])} a point.",
            *_told_of_divergence(points),
        ),
        points,
    )


def _lines(axes: Axes, results: Results, methods: Sequence[str], family: pd.DataFrame) -> None:
    axes.set_xscale("log")
    axes.grid()
    ticks = sorted(set(family["n_dis"]))
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    for method in methods:
        line = family[family["method"] == method]
        pen = pens(results.methods)[method]
        finite = line["median"].where(line["median"].abs() < math.inf)
        axes.plot(
            line["n_dis"], finite, color=pen.colour, linestyle=pen.dash, marker=pen.marker, ms=3.5
        )
        if (line["runs"] > 1).any():
            axes.fill_between(
                line["n_dis"], line["low"], line["high"], color=pen.colour, alpha=0.12, lw=0
            )
        lost = line[line["median"].abs() == math.inf]
        axes.plot(
            lost["n_dis"],
            [0.98] * len(lost),
            "x",
            color=pen.colour,
            markersize=5,
            transform=axes.get_xaxis_transform(),
        )


def _runs(counts: pd.Series[int]) -> str:
    low, high = counts.min(), counts.max()
    return f"{'' if low == high else f'{low} to '}{counted(int(high), 'run')}"


def _told_of_divergence(points: pd.DataFrame) -> Iterator[str]:
    if (points["median"].abs() == math.inf).any():
        yield "× at the top is where half of the runs or more diverged: there is no finite median."
    if points["missing"].any():
        yield "Some runs failed or have not ended; their points are over the others."
