"""Mean ranks of methods over settings and seeds, and by how much two must differ."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd
import seaborn as sns

from lipbench.protocols import SCORES
from lipbench.reporting import Exhibit, Figure, Omitted, pens, tag
from lipbench.results import Results
from lipbench.stats import FEWEST_SEEDS, Ranking, ranking, tidy
from lipbench.stats.tidy import seeds_of
from lipbench.words import counted

from ._draw import ROWS, height_of_rows, method_rows, paper


class Ranks(Exhibit):
    """Draw each method's mean rank, with half of the critical difference to both sides."""

    title = "Ranks"
    order = 17

    def show(self, results: Results) -> Iterator[Figure | Omitted]:
        if results.tuning:
            return  # its configurations are the best of many, and not the same for all methods
        if len(results.methods) < 3:
            yield Omitted("ranks take three methods or more")
            return
        about = SCORES[results.primary]
        table = tidy(results.runs, about.name, about.higher_is_better)
        found = ranking(table, results.methods)
        if not found.blocks:
            yield Omitted("no setting and seed at which every method has a result: no ranks")
            return
        yield _figure(results, about.title, found, seeds_of(table) >= FEWEST_SEEDS)


def _figure(results: Results, title: str, found: Ranking, sure: bool) -> Figure:
    order = sorted(results.methods, key=lambda method: found.ranks[method])
    shown = order[:ROWS]
    drawing = paper(height_of_rows(shown, 0.22) - 0.2, 5.4)
    (axes,) = method_rows(drawing, shown, 1)
    half = found.critical / 2 if sure else math.nan
    for row, method in enumerate(shown):
        rank, pen = found.ranks[method], pens(results.methods)[method]
        if math.isfinite(half):
            (bar,) = axes.plot(
                [rank - half, rank + half], [row, row], color=pen.colour, linewidth=2.2, alpha=0.6
            )
            tag(bar, method)
        (dot,) = axes.plot(rank, row, pen.marker, color=pen.colour, markersize=5)
        tag(dot, method, f"{method}: mean rank {rank:.2f}")
    axes.set_xlabel("mean rank")
    sns.despine(ax=axes, left=True)
    return Figure(
        "ranks",
        f"Mean ranks by {title}, 1 is the best.",
        drawing,
        tuple(_notes(found, sure, len(order))),
        raw=pd.DataFrame({"method": order, "rank": [found.ranks[method] for method in order]}),
        column=True,
    )


def _notes(found: Ranking, sure: bool, count: int) -> Iterator[str]:
    pairs = counted(found.blocks, "pair")
    yield f"Over {pairs} of a setting and a seed with results of all methods."
    if not sure:
        yield f"Some setting has fewer than {FEWEST_SEEDS} seeds with results: no test of ranks."
    elif math.isfinite(found.critical):
        differ = "differ" if found.p < 0.05 else "are not called different"
        yield (
            f"The methods {differ} as a whole (Friedman's test, p = {found.p:.2g}). Two whose "
            "bars do not overlap are called different at 95%: their ranks are "
            f"{found.critical:.2f} apart or more, Nemenyi's critical difference."
        )
    if count > ROWS:
        yield f"The {ROWS} best of {count} methods; the CSV file has all."
