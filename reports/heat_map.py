"""Each method at each setting, as colours: where a method works, and where it does not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import pandas as pd
from matplotlib.patches import Rectangle

from lipbench.protocols import Score
from lipbench.reporting import Exhibit, Figure, Omitted, tag
from lipbench.results import Results
from lipbench.results.cells import Cell, cells
from lipbench.results.robustness import by_robustness
from lipbench.stats import tidy

from ._draw import LARGEST, is_log, paper, plain
from ._grid import number, precise
from ._heat import coloured

_INCHES_A_ROW = 0.24
_INCHES_A_COLUMN = 0.62
_WIDEST = 7.2
_HATCH = "////"


class HeatMap(Exhibit):
    """Show the median over seeds of each method at each setting, the best methods first."""

    title = "Where each method works"
    order = 12
    part = "answer"

    def show(self, results: Results) -> Iterator[Figure | Omitted]:
        if results.tuning:
            return  # its configurations are not the same for all methods
        if len(results.settings) < 2:
            yield Omitted("one setting makes no map of methods and settings")
            return
        primary = results.primary
        found = cells(results, primary)
        if not any(abs(cell.median) < LARGEST for cell in found.values()):
            yield Omitted("no map of methods and settings: no cell has a finite score")
            return
        yield _figure(results, precise(results, primary), found)


def _figure(results: Results, about: Score, found: Mapping[tuple[str, str], Cell]) -> Figure:
    table = tidy(results.runs, about.name, about.higher_is_better)
    methods = by_robustness(table, results.methods)
    medians = pd.DataFrame(
        [[found[method, setting].median for setting in results.settings] for method in methods],
        index=[plain(method) for method in methods],
        columns=[plain(setting) for setting in results.settings],
    )
    known = medians.where(medians.abs() < LARGEST)
    width = min(_WIDEST, 1.9 + _INCHES_A_COLUMN * len(results.settings))
    drawing = paper(0.8 + _INCHES_A_ROW * len(methods), width)
    axes = drawing.add_subplot()
    lowest, highest = float(known.min().min()), float(known.max().max())
    log = is_log(about) and lowest > 1 / LARGEST
    few = len(methods) * len(results.settings) <= 150
    texts = known.map(lambda value: "" if math.isnan(value) else number(value, about))
    colours = "cividis" if about.higher_is_better else "cividis_r"
    coloured(
        axes, known, texts if few else None, plain(about.title), colours, (lowest, highest), log
    )
    _frames(axes, results, about, found, methods)
    better = "higher" if about.higher_is_better else "lower"
    return Figure(
        "heat_map",
        f"{about.title} of each method at each setting, the median over seeds; {better} is "
        "better. Methods are in the order of their median over settings and seeds.",
        drawing,
        tuple(_notes(found, log)),
        column=len(results.settings) <= 6 and len(methods) <= 20,
    )


def _frames(axes, results, about, found, methods) -> None:  # type: ignore[no-untyped-def]
    """Lay a rectangle over each cell that says its values, hatched where there is no number."""
    for y, method in enumerate(methods):
        for x, setting in enumerate(results.settings):
            cell = found[method, setting]
            without = not abs(cell.median) < LARGEST
            axes.add_patch(
                tag(
                    Rectangle(
                        (x, y),
                        1,
                        1,
                        fill=False,
                        linewidth=0,
                        edgecolor="#999999",
                        hatch=_HATCH if without and cell.diverged else None,
                    ),
                    method,
                    _hover(method, setting, cell, about),
                )
            )


def _hover(method: str, setting: str, cell: Cell, about: Score) -> str:
    values = ", ".join(number(value, about) for value in cell.values)
    parts = [f"{method}, {setting}"]
    parts += [f"{about.title} {values}"] if values else []
    parts += [f"{cell.diverged} diverged"] if cell.diverged else []
    parts += [f"{sum(cell.collapsed)} collapsed"] if any(cell.collapsed) else []
    parts += [f"{cell.missing} missing"] if cell.missing else []
    return "; ".join(parts)


def _notes(found: Mapping[tuple[str, str], Cell], log: bool) -> Iterator[str]:
    every = found.values()
    if log:
        yield "The colours are logarithmic."
    if any(not math.isfinite(cell.median) and cell.diverged for cell in every):
        yield "Hatched: half of the runs or more diverged."
    if any(not cell.ended for cell in every):
        yield "Empty: no run has a result."
