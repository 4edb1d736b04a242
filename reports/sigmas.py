"""The kernels' largest singular values over training, as in Figure 9 of Miyato et al. (2018)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator

from lipbench.reporting import Exhibit, Figure, Omitted, Shown, Table
from lipbench.results import Results
from lipbench.words import counted

from ._audits import NO_AUDIT, PLACE, by_method, every, first, layer_facts, notes, text
from ._draw import groups, legend_columns, log_axis, plain
from ._strips import banded, lines, over_runs, panels

_COLUMNS = 3  # panels in a row
_PANELS = 15  # in a figure, at most
_LOG_FROM = 30  # times the smallest value is the largest one where an axis is logarithmic
_SIGMAS = ("sigma_kernel", "sigma_original", "sigma_estimate")


class Sigmas(Exhibit):
    """Draw the sigma of each kernel in use, and tell how far its estimate lags behind."""

    title = "Largest singular values over training"
    order = 130
    part = "lipschitz and cost"

    def show(self, results: Results) -> Iterator[Figure | Table | Omitted]:
        audits = every(results)
        if not audits:
            yield NO_AUDIT
            return
        about = tuple(notes(results, audits, last=False))
        sigmas = layer_facts(audits).dropna(subset="sigma_kernel")
        estimate = sigmas["sigma_estimate"].where(sigmas["sigma_estimate"] > 0)
        # By what share the exact value exceeds the estimate that the weight is divided by.
        sigmas = sigmas.assign(lag=sigmas["sigma_original"] / estimate - 1)
        drawn = over_runs(sigmas, ["method", "layer", "update"], "sigma_kernel")
        points = drawn.groupby(["method", "layer"], sort=False)["update"].nunique()
        moving = set(points[points > 1].index.get_level_values("method"))
        if not moving:
            yield Omitted(
                "no sigma over training: no method was audited at several updates; "
                "`intervals.audit` of a suite does that"
            )
        for number, methods in groups([m for m in results.methods if m in moving], _PANELS):
            own = drawn[drawn["method"].isin(methods)]
            yield _figure(number, methods, own, about)
        if estimate.notna().any():
            lagging = set(sigmas["method"][sigmas["sigma_estimate"].notna()])
            yield _lags(results, [m for m in results.methods if m in lagging], sigmas, about)
        else:
            yield Omitted("no audited method estimates its sigma, so none lags behind")


def _figure(
    number: str, methods: Sequence[str], sigmas: pd.DataFrame, about: Sequence[str]
) -> Figure:
    layers = list(dict.fromkeys(sigmas["layer"]))
    colours = dict(zip(layers, sns.color_palette("viridis", len(layers)), strict=True))
    styles = {layer: {"color": colour} for layer, colour in colours.items()}
    drawing, grid = panels(methods, _COLUMNS, 1.5)
    for i, (method, axes) in enumerate(zip(methods, grid, strict=True)):
        own = sigmas[sigmas["method"] == method]
        lines(axes, own, "update", "layer", styles, method)
        _scale(axes, own)
        axes.set_xlabel("generator updates" if i + _COLUMNS >= len(methods) else "")
        axes.set_ylabel("σ of the kernel" if i % _COLUMNS == 0 else "")
    handles = [Line2D([], [], color=colour) for colour in colours.values()]
    names = [plain(layer) for layer in colours]
    columns = legend_columns(names, drawing.get_figwidth())
    drawing.legend(handles, names, loc="outside lower center", ncols=columns)
    return Figure(
        f"sigmas{number}",
        "The largest singular value of each kernel in use, as a matrix (outputs, rest)"
        f"{banded(sigmas)}.",
        drawing,
        (_about_axes(grid), *about),
        sigmas,
    )


def _scale(axes: Axes, sigmas: pd.DataFrame) -> None:
    """Set a panel's axes: 1 is dashed, and between the ends where it is near to them."""
    low, high = float(sigmas["low"].min()), float(sigmas["high"].max())
    if low > 0 and high / low > _LOG_FROM:
        log_axis(axes)
        subs = (1.0, 2.0, 5.0) if high / low < 100 else (1.0,)
        axes.yaxis.set_major_locator(LogLocator(subs=subs, numticks=6))
        low, high = low / 1.3, high * 1.3
    else:  # not so near that rounding looks like a trend
        margin = max(0.05 * (high - low), 0.05 * abs(high) - 0.5 * (high - low)) or 1.0
        low, high = low - margin, high + margin
        low, high = (min(low, 0.98), high) if 1 < low < 1.2 else (low, high)
        low, high = (low, max(high, 1.02)) if 0.8 < high < 1 else (low, high)
    axes.axhline(1, color="#444444", linestyle="--", linewidth=0.8)
    axes.set_ylim(low, high)
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))


def _about_axes(panels: Sequence[Axes]) -> str:
    """Return what to know of the vertical axes."""
    log = [axes.get_yscale() == "log" for axes in panels]
    scale = "logarithmic" if all(log) else "partly logarithmic" if any(log) else "linear"
    dashed = any(low < 1 < high for low, high in (axes.get_ylim() for axes in panels))
    differ = " and differ" if len(panels) > 1 else ""
    return f"The vertical axes are {scale}{differ}{'; 1 is dashed' if dashed else ''}."


def _lags(
    results: Results, methods: Sequence[str], sigmas: pd.DataFrame, about: Sequence[str]
) -> Table:
    audits = by_method(every(results))
    estimated = sigmas[sigmas["sigma_estimate"].notna()]
    rows: list[tuple[Shown | str, ...]] = []
    for method in methods:
        own = estimated[estimated["method"] == method]
        known = own.dropna(subset="lag").sort_values("lag")
        typical, worst, where = "—", "—", Shown("—", muted=True)
        if len(known):
            top = known.iloc[-1]
            typical = _percent(float(known["lag"].median()))
            worst = _percent(float(top["lag"]))
            place = f"{top['setting']}, seed {top['seed']}, update {top['update']:,}"
            where = Shown(str(top["layer"]), detail=place, runs=(str(top["run_id"]),))
        largest = text(own["sigma_kernel"].max(), 4)
        rows.append((first(method, audits[method]), largest, typical, worst, where))
    counts = counted(len(estimated[["run_id", "update"]].drop_duplicates()), "audit")
    return Table(
        name="sigma_lag",
        caption="How far the estimates of sigma lag behind.",
        columns=("Method", "Largest σ in use", "Median lag", "Largest lag", "Where"),
        rows=tuple(rows),
        raw=estimated[[*PLACE, "layer", *_SIGMAS, "lag"]].reset_index(drop=True),
        notes=(
            f"Over the layers with an estimate, of {counts}. Lag: by how much the exact sigma of "
            "the trained weight exceeds the estimate that divides it. It comes of few power "
            "iterations an update; an exact method has none.",
            *about,
        ),
        align="lrrrl",
    )


def _percent(share: float) -> str:
    return f"{100 * share:+.1f}%" if math.isfinite(share) and share < 1e6 else text(share)
