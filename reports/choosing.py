"""What choosing the setting is worth: the expected best of k, and the regret of not choosing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import MaxNLocator

from lipbench.protocols import SCORES, Score
from lipbench.reporting import Exhibit, Figure, Omitted, Shown, Table, pens, tag
from lipbench.reporting.booktabs import COLUMN
from lipbench.results import Results
from lipbench.results.cells import Cell, cells
from lipbench.stats import expected_best, regret

from ._draw import LARGEST, is_log, legend, log_axis, paper, plain
from ._grid import number, precise

_LINES = 8
_NONE = Shown("—", muted=True)


class Choosing(Exhibit):
    """Show what trying k settings gives, and how much worse each setting is than the best one."""

    title = "What choosing a setting is worth"
    order = 18

    def show(self, results: Results) -> Iterator[Table | Figure | Omitted]:
        if results.tuning:
            return  # the study's own budget says what searching is worth
        if len(results.settings) < 2:
            yield Omitted("one setting leaves nothing to choose")
            return
        about = SCORES[results.primary]
        sign = -1 if about.higher_is_better else 1
        losses = {
            method: [sign * cell.standing for cell in row.values()]
            for method, row in _rows(results).items()
        }
        known = {m: [v for v in values if not math.isnan(v)] for m, values in losses.items()}
        expected = {m: _expected(values) for m, values in known.items() if values}
        if not any(abs(value) < LARGEST for line in expected.values() for value in line):
            yield Omitted("no setting has a finite score, so there is none to choose")
            return
        yield _figure(results, about, expected)
        yield _table(results, precise(results, about.name))


def _rows(results: Results) -> dict[str, dict[str, Cell]]:
    found = cells(results, results.primary)
    return {m: {s: found[m, s] for s in results.settings} for m in results.methods}


def _expected(losses: list[float]) -> list[float]:
    return [expected_best(losses, k) for k in range(1, len(losses) + 1)]


def _figure(results: Results, about: Score, expected: Mapping[str, list[float]]) -> Figure:
    order = sorted(expected, key=lambda method: (expected[method][-1], method))
    sign = -1 if about.higher_is_better else 1
    drawing = paper(2.7, 4.6)
    axes = drawing.add_subplot()
    shown = [v for m in order[:_LINES] for v in expected[m] if abs(v) < LARGEST]
    log = is_log(about) and min(shown) > 1 / LARGEST
    if log:
        log_axis(axes)
    for method in order[:_LINES]:
        pen = pens(results.methods)[method]
        points = [(k, sign * v) for k, v in enumerate(expected[method], 1) if abs(v) < LARGEST]
        if not points:
            continue
        hovers = [f"{method}, best of {k}: {number(float(v), about)}" for k, v in points]
        x, y = zip(*points, strict=True)
        (line,) = axes.plot(
            x, y, color=pen.colour, linestyle=pen.dash, marker=pen.marker, markersize=4
        )
        tag(line, method, hovers)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("settings tried")
    axes.set_ylabel(plain(about.title))
    axes.grid(axis="y")
    sns.despine(ax=axes)
    legend(drawing, results, order[:_LINES], width=COLUMN)
    return Figure(
        "best_of_k",
        f"The expected best {about.title} of as many settings, drawn at random from those of the "
        "suite.",
        drawing,
        tuple(_about_figure(expected, log, len(order))),
        raw=pd.DataFrame(
            {"method": method, "settings": k, about.name: sign * value}
            for method in order
            for k, value in enumerate(expected[method], 1)
        ),
        column=True,
    )


def _about_figure(expected: Mapping[str, list[float]], log: bool, count: int) -> Iterator[str]:
    yield (
        "A setting counts by its median over seeds. Exact: the mean over all sets of that many "
        "settings."
    )
    if any(math.isinf(value) for line in expected.values() for value in line):
        yield "Where a set can hold only settings that diverged or collapsed there is no point."
    if log:
        yield "The axis is logarithmic."
    if count > _LINES:
        yield f"The {_LINES} methods with the best setting, of {count}; the CSV file has all."


def _table(results: Results, about: Score) -> Table:
    sign = -1 if about.higher_is_better else 1
    rows: list[tuple[Shown | str, ...]] = []
    raw: list[dict[str, object]] = []
    for method, row in _rows(results).items():
        losses = np.array([sign * cell.standing for cell in row.values()])
        found = regret(losses) + 0.0
        rows.append(
            (method, *[_entry(v, c, about) for v, c in zip(found, row.values(), strict=True)])
        )
        raw.append({"method": method, **dict(zip(row, found, strict=True))})
    notes = [
        "The difference of the setting's median to that of the method's best setting, which is "
        "chosen by the same runs: so it is an optimistic estimate."
    ]
    if any(math.isinf(v) for line in raw for v in line.values() if isinstance(v, float)):
        notes.append("Lost: half of the runs or more diverged or collapsed.")
    return Table(
        name="regret",
        caption=f"Regret: how much worse the {about.title} of each setting is than that of the "
        "method's best one.",
        columns=("Method", *results.settings),
        rows=tuple(rows),
        raw=pd.DataFrame(raw),
        notes=tuple(notes),
    )


def _entry(value: float, cell: Cell, about: Score) -> Shown:
    if math.isnan(value):
        return Shown("lost", runs=cell.run_ids) if cell.ended else _NONE
    return Shown("lost" if math.isinf(value) else number(float(value), about), runs=cell.run_ids)
