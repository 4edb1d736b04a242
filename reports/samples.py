"""What the generators draw, as in Figure 6 of Miyato et al. (2018)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from PIL import Image

from lipbench.outcome import Outcome
from lipbench.reporting import Exhibit, Figure, Omitted
from lipbench.results import Results

from ._draw import paper, plain

_CELL = 1.12  # inches
_IN_A_ROW = 7  # where there is one setting, and more methods than that
_SIDE = 4  # images of a grid that are shown, in each direction


class Samples(Exhibit):
    """Show images of each method at each setting, those of the first seed that has any."""

    title = "Samples"
    order = 70

    def show(self, results: Results) -> Iterator[Figure | Omitted]:
        if results.planes:
            return  # the section on D's surface has the same points
        if not any(run in results.samples for run in results.runs["run_id"]):
            yield Omitted("no run has written samples yet")
            return
        alone = len(results.settings) == 1 and len(results.methods) > _IN_A_ROW
        yield Figure(
            "samples",
            "Samples of each method at each setting.",
            _in_rows(results) if alone else _in_a_grid(results),
            (
                "The corner of the newest grid of each cell's first seed that has one. The "
                "latents are the seed's, the same for every method and setting.",
            ),
        )


def _in_a_grid(results: Results) -> Drawing:
    """Draw a method a row, a setting a column."""
    rows, columns = len(results.methods), len(results.settings)
    drawing = paper(0.3 + _CELL * rows, 1.1 + _CELL * columns)
    grid = drawing.subplots(rows, columns, squeeze=False)
    for method, line in zip(results.methods, grid, strict=True):
        for setting, axes in zip(results.settings, line, strict=True):
            _cell(axes, method, setting, results)
        line[0].set_ylabel(plain(method), rotation=0, ha="right", va="center")
    for setting, axes in zip(results.settings, grid[0], strict=True):
        axes.set_title(plain(setting), fontweight="bold")
    return drawing


def _in_rows(results: Results) -> Drawing:
    """Draw the many methods of one setting, several in a row."""
    rows = math.ceil(len(results.methods) / _IN_A_ROW)
    drawing = paper((_CELL + 0.12) * rows, _CELL * _IN_A_ROW)
    axes_of = drawing.subplots(rows, _IN_A_ROW, squeeze=False).ravel()
    for method, axes in itertools.zip_longest(results.methods, axes_of):
        if method is None:
            axes.set_visible(False)
            continue
        _cell(axes, method, results.settings[0], results)
        axes.set_title(plain(method), fontsize=8)
    return drawing


def _cell(axes: Axes, method: str, setting: str, results: Results) -> None:
    here = results.runs["method"].eq(method) & results.runs["setting"].eq(setting)
    runs = results.runs[here].sort_values("seed")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, color="#BBBBBB", linewidth=0.5)
    axes.set_box_aspect(1)
    if runs.empty:
        blank(axes, outcomes_in(runs))
        return
    for run in runs.itertuples(index=False):
        path = results.samples.get(str(run.run_id))
        image = None if path is None else corner(path, float(str(run.image_size)))
        if image is not None:
            axes.imshow(image, interpolation="nearest", cmap="gray", vmin=0, vmax=255)
            if run.outcome != Outcome.COMPLETED:
                axes.set_xlabel(_words(run.outcome), fontsize=7, color="#B03000", labelpad=1)
            return
    blank(axes, outcomes_in(runs))


def outcomes_in(runs: pd.DataFrame) -> str:
    """Return how runs of one cell stand, in words."""
    if runs.empty:
        return "not planned"
    return ", ".join(dict.fromkeys(_words(outcome) for outcome in runs["outcome"]))


def blank(axes: Axes, words: str) -> None:
    """Fill a cell that has no picture with words."""
    axes.set_facecolor("#F2F2F2")
    axes.text(
        0.5,
        0.5,
        words,
        transform=axes.transAxes,
        ha="center",
        va="center",
        fontsize=8,
        color="#555555",
        wrap=True,
    )


def _words(outcome: object) -> str:
    return str(outcome).replace("_", " ")


def corner(path: Path, size: float) -> np.ndarray | None:
    """Return the first images of a grid, of a side in pixels, or a whole picture of points (NaN).

    None if its file is gone or not whole.
    """
    try:
        with Image.open(path) as file:
            grid = np.asarray(file.convert("RGB"))
    except OSError:
        return None
    side = max(grid.shape) if math.isnan(size) else _SIDE * int(size)
    return grid[:side, :side]
