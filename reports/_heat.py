"""Tables as colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import LogNorm, Normalize

from ._draw import log_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DARK, _LIGHT = "#101010", "#fefefe"  # on a cell's colour: the page leaves these as they are


def coloured(
    axes: Axes,
    values: pd.DataFrame,
    texts: pd.DataFrame | None,
    label: str,
    colours: str,
    limits: tuple[float, float],
    log: bool = False,
) -> None:
    """Draw a table as colours between two limits, with a text in each cell, and a scale beside it.

    `values` has labels that matplotlib takes as they are; NaN has no colour. `texts` is as large.
    """
    low, high = limits
    sns.heatmap(
        values,
        ax=axes,
        cmap=colours,
        norm=(LogNorm if log else Normalize)(low, high if high > low else None),
        annot=False if texts is None else np.array(texts),
        fmt="",
        annot_kws={"fontsize": 7},
        linewidths=0.8,
        linecolor="#ffffff",
        cbar_kws={"label": label, "fraction": 0.05},
    )
    for text in axes.texts:
        text.set_color(_LIGHT if text.get_color() == "w" else _DARK)
    scale = axes.collections[0].colorbar
    if log and high > low and scale is not None:
        log_axis(scale.ax)
        scale.ax.set_ylim(low, high)
    axes.set(xlabel="", ylabel="")
    axes.tick_params(length=0)
    axes.tick_params(axis="y", rotation=0)
