"""How many runs are drawn: as points in a method's row, as lines with bands, and as a map."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.patches import Rectangle

from lipbench.reporting import tag
from lipbench.words import counted

from ._audits import Audit, median, text
from ._draw import LARGEST, WIDTH, finite, paper, plain, positive
from ._heat import coloured

_POINTS = 3000  # in a figure, at most: a browser draws each as an element of its own


def strip(
    axes: Axes,
    row: float,
    values: Sequence[float],
    audits: Sequence[Audit],
    what: str,
    most: int,
    height: float = 0.5,
    **style: Any,
) -> None:
    """Draw a number of one method's runs as points in a row of its own, the median as a tick.

    Of more than `most` runs the points are evenly spaced order statistics. Hovers tell the run.
    """
    pairs = zip(values, audits, strict=True)
    found = sorted(((v, a) for v, a in pairs if finite([v])), key=lambda pair: pair[0])
    if axes.get_xscale() == "log":
        found = [(v, a) for v, a in found if positive([v])]
    if not found:
        return
    method = audits[0].method
    kept = [found[i] for i in spaced(len(found), most)]
    draws = np.random.default_rng(zlib.crc32(f"{method}{what}".encode("utf-8", "surrogatepass")))
    lane = 0.3 * height if len(kept) > 1 else 0.0
    places = row + draws.uniform(-lane, lane, len(kept))
    style = {"s": 12, "alpha": 0.6, "linewidth": 0} | style
    points = axes.scatter([v for v, _ in kept], places, **style)
    tag(points, method, [f"{run_name(a)}: {what} {text(v)}" for v, a in kept])
    middle = median([v for v, _ in found])
    ends = [row - height / 2, row + height / 2]
    (bar,) = axes.plot([middle, middle], ends, color="#1a1a1a", linewidth=1.1, zorder=4)
    tag(bar, method, f"{method}: median {what} {text(middle)} of {counted(len(found), 'run')}")


def run_name(audit: Audit) -> str:
    """Return which run it is: `SN, A, seed 0`."""
    return f"{audit.method}, {audit.setting}, seed {audit.seed}"


def spaced(count: int, most: int) -> list[int]:
    """Return indices from 0 to count - 1, evenly spaced and with both ends, `most` or fewer."""
    return list(dict.fromkeys(np.linspace(0, count - 1, min(count, most)).round().astype(int)))


def points_a_row(rows: int) -> int:
    """Return how many points each of a figure's rows may have."""
    return max(20, _POINTS // max(1, rows))


def thinned(runs: Iterable[int], most: int) -> Iterator[str]:
    """Yield that not all runs are drawn, where a method has more; `runs` are the counts."""
    if max(runs, default=0) > most:
        yield (
            f"Of more than {most} runs of a method, {most} are drawn: evenly spaced by value, "
            "with the lowest and the highest."
        )


def heat(
    frame: pd.DataFrame, column: str, columns: Sequence[str], value: str, label: str
) -> tuple[Drawing, tuple[str, ...], pd.DataFrame]:
    """Return a map of a value's medians, methods by `column`: drawing, notes and numbers."""
    grouped = frame.groupby(["method", column], sort=False)[value]
    numbers = grouped.agg(["count", "median", "min", "max"])
    table = (
        numbers["median"]
        .unstack()
        .reindex(index=list(dict.fromkeys(frame["method"])), columns=list(columns))
    )
    known = table.where(table.abs().lt(LARGEST))
    low, high = float(known.min().min()), float(known.max().max())
    log = low > 1 / LARGEST and high > 5 * low
    drawing = paper(1.1 + 0.22 * known.shape[0], min(WIDTH, 2.2 + 0.62 * known.shape[1]))
    axes = drawing.add_subplot()
    shown = known.set_axis([plain(str(name)) for name in known.columns], axis=1)
    shown = shown.set_axis([plain(str(method)) for method in known.index], axis=0)
    texts = known.map(lambda v: "" if math.isnan(v) else text(v)) if known.size <= 200 else None
    coloured(axes, shown, texts, label, "viridis", (low, high), log)
    places = {name: i for i, name in enumerate(known.columns)}
    rows = {name: i for i, name in enumerate(known.index)}
    numbers = numbers.reset_index()
    for cell in numbers.to_dict("records"):  # its own mark, to hide and to hover
        method, name = cell["method"], cell[column]
        mark = Rectangle((places[name], rows[method]), 1, 1, fill=False, linewidth=0)
        ends = f"{text(cell['min'])}–{text(cell['max'])}"
        told = f"{method}, {name}: median {text(cell['median'])}, range {ends} of "
        axes.add_patch(tag(mark, method, told + counted(cell["count"], "run")))
    return drawing, ("The colours are logarithmic.",) if log else (), numbers


def panels(
    titles: Sequence[str], columns: int, height: float, **shared: Any
) -> tuple[Drawing, list[Axes]]:
    """Return a drawing with a titled panel for each name, `columns` of them in a row."""
    columns = min(columns, len(titles))
    rows = math.ceil(len(titles) / columns)
    drawing = paper(0.75 + height * rows, max(3.8, WIDTH * columns / max(3, columns)))
    grid = drawing.subplots(rows, columns, squeeze=False, **shared).ravel()
    for axes in grid[len(titles) :]:
        axes.set_visible(False)
    for axes, title in zip(grid, titles, strict=False):
        axes.set_title(plain(title))
    return drawing, list(grid[: len(titles)])


def over_runs(frame: pd.DataFrame, by: Sequence[str], value: str) -> pd.DataFrame:
    """Return a row for each group: `by`, and `runs`, `median`, `low` and `high` of a column.

    Numbers that no axis can show are left out.
    """
    known = frame[frame[value].abs() < LARGEST]
    found = known.groupby(list(by), sort=False)[value].agg(["count", "median", "min", "max"])
    named = {"count": "runs", "min": "low", "max": "high"}
    return found.rename(columns=named).reset_index()


def lines(
    axes: Axes,
    frame: pd.DataFrame,
    x: str,
    by: str,
    styles: Mapping[str, Mapping[str, Any]],
    method: str | None = None,
    of: str = "run",
) -> None:
    """Draw the rows of `over_runs` as lines of medians, with bands of ranges, one for each `by`.

    `method` is whose lines these are, by default `by`'s; `of` names the things summarised.
    """
    for name, line in frame.groupby(by, sort=False):
        style = styles[str(name)]
        (drawn,) = axes.plot(line[x], line["median"], **style)
        whose = f"{method}, {name}" if method else str(name)
        runs = counted(int(line["runs"].max()), of)
        tag(drawn, method or str(name), f"{whose}: median of {runs}")
        if (line["low"] < line["high"]).any():
            colour = {"color": style["color"], "alpha": 0.12, "linewidth": 0}
            band = axes.fill_between(line[x], line["low"], line["high"], **colour)
            tag(band, method or str(name), f"{whose}: range of {runs}")
    axes.grid()


def banded(frame: pd.DataFrame, of: str = "runs") -> str:
    """Return what the lines and bands of `lines` are, for a caption."""
    some = bool((frame["low"] < frame["high"]).any())
    return f": medians over {of}, with bands of their range" if some else ""
