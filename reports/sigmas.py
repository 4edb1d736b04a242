"""The kernels' largest singular values over training, as in Figure 9 of Miyato et al. (2018)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from lipbench.reporting import Exhibit, Figure, Omitted, Table
from lipbench.results import Results

from ._audits import NO_AUDIT, Audit, histories, layer_names, notes, text
from ._draw import LARGEST, WIDTH, finite, groups, paper, plain

_COLUMNS = 3  # panels in a row
_PANELS = 15  # in a figure, at most
_LOG_FROM = 30  # times the smallest value is the largest one where an axis is logarithmic
_COLOURS = "viridis"  # from the first layer to the last


class Sigmas(Exhibit):
    """Draw the sigma of each kernel in use, and tell how far its estimate lags behind."""

    title = "Largest singular values over training"
    order = 130
    part = "lipschitz and cost"

    def show(self, results: Results) -> Iterator[Figure | Table | Omitted]:
        found = histories(results)
        if not found:
            yield NO_AUDIT
            return
        called = layer_names(audit for audits in found.values() for audit in audits)
        sigmas = pd.DataFrame(
            [row for audits in found.values() for row in _rows(audits, called)],
            columns=_COLUMNS_OF_CSV,
        )
        estimated = sigmas.groupby("method")["sigma_estimate"].count() > 0
        moving = sigmas.groupby("method")["update"].nunique() > 1
        drawn = [m for m in found if m in estimated and (estimated[m] or moving[m])]
        if drawn:
            for number, methods in groups(drawn, _PANELS):
                yield _figure(results, number, methods, sigmas, list(found))
        else:
            yield Omitted(
                "no sigma over training: every run was audited once, and no method estimates its "
                "sigma; a run that is audited at several updates has a curve"
            )
        lagging = [m for m in found if estimated.get(m, False)]
        if lagging:
            yield _lags(results, {m: found[m] for m in lagging}, sigmas, list(found))
        else:
            yield Omitted("no audited method estimates its sigma, so none lags behind")


_COLUMNS_OF_CSV = [
    "method",
    "setting",
    "seed",
    "run_id",
    "update",
    "layer",
    "sigma_kernel",
    "sigma_original",
    "sigma_estimate",
    "lag",
]


def _rows(audits: Sequence[Audit], called: Mapping[str, str]) -> Iterator[dict[str, object]]:
    for audit in audits:
        for layer in audit.layers:
            if math.isnan(layer.sigma_kernel):
                continue
            yield audit.place | {
                "layer": called[layer.name],
                "sigma_kernel": layer.sigma_kernel,
                "sigma_original": layer.sigma_original,
                "sigma_estimate": layer.sigma_estimate,
                "lag": _lag(layer.sigma_original, layer.sigma_estimate),
            }


def _lag(exact: float, estimate: float) -> float:
    """Return by what share the exact value exceeds the estimate that the weight is divided by."""
    return exact / estimate - 1 if estimate > 0 else math.nan


def _figure(
    results: Results,
    number: str,
    methods: Sequence[str],
    sigmas: pd.DataFrame,
    audited: Sequence[str],
) -> Figure:
    sigmas = sigmas[sigmas["method"].isin(methods)]
    layers = list(dict.fromkeys(sigmas["layer"]))
    map_ = matplotlib.colormaps[_COLOURS].resampled(max(2, len(layers)))
    colours = {layer: to_hex(map_(i / max(1, len(layers) - 1))) for i, layer in enumerate(layers)}
    columns = min(_COLUMNS, len(methods))
    rows = math.ceil(len(methods) / columns)
    drawing = paper(0.75 + 1.5 * rows, WIDTH if columns > 1 else 4.2)
    grid = drawing.subplots(rows, columns, squeeze=False).ravel()
    for i, axes in enumerate(grid):
        if i >= len(methods):
            axes.set_visible(False)
            continue
        _panel(axes, methods[i], sigmas[sigmas["method"] == methods[i]], colours)
        if i + columns >= len(methods):
            axes.set_xlabel("generator updates")
    for axes in grid[::columns]:
        axes.set_ylabel("σ of the kernel")
    drawing.legend(
        [Line2D([], [], color=colour) for colour in colours.values()],
        [plain(layer) for layer in colours],
        loc="outside lower center",
        ncols=min(6, len(layers)),
    )
    return Figure(
        f"sigmas{number}",
        "The largest singular value of each kernel in use, as a matrix (outputs, rest).",
        drawing,
        (
            *notes(results, audited, "audits"),
            "Methods that estimate their sigma, and those with several audits. "
            f"{_told_of_axes(list(grid[: len(methods)]))}",
        ),
        sigmas,
    )


def _told_of_axes(panels: Sequence[Axes]) -> str:
    """Return what to know of the vertical axes."""
    log = [axes.get_yscale() == "log" for axes in panels]
    scale = "logarithmic" if all(log) else "partly logarithmic" if any(log) else "linear"
    dashed = any(low < 1 < high for low, high in (axes.get_ylim() for axes in panels))
    differ = " and differ" if len(panels) > 1 else ""
    return f"The vertical axes are {scale}{differ}{'; 1 is dashed' if dashed else ''}."


def _panel(axes: Axes, method: str, sigmas: pd.DataFrame, colours: Mapping[str, str]) -> None:
    axes.set_title(plain(method))
    axes.grid()
    marker = "o" if sigmas["update"].nunique() == 1 else None
    for layer, line in sigmas.groupby("layer", sort=False):
        colour = colours[str(layer)]
        shown = line["sigma_kernel"].where(line["sigma_kernel"] < LARGEST)
        axes.plot(line["update"], shown, color=colour, marker=marker, markersize=3)
    axes.axhline(1, color="#444444", linestyle="--", linewidth=0.8)
    axes.set_ylim(*_limits(sigmas))
    if axes.get_ylim()[0] > 0 and axes.get_ylim()[1] / axes.get_ylim()[0] > _LOG_FROM:
        axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))


def _limits(sigmas: pd.DataFrame) -> tuple[float, float]:
    """Return the ends of a panel's axis; 1 is between them where sigma is meant to be 1."""
    known = finite(sigmas["sigma_kernel"]) or [1.0]
    known += [1.0] if sigmas["sigma_estimate"].notna().any() else []
    low, high = min(known), max(known)
    if low > 0 and high / low > _LOG_FROM:
        return low / 1.3, high * 1.3
    margin = max(0.05 * (high - low), 0.05 * high - 0.5 * (high - low))  # rounding is no trend
    return low - margin, high + (margin or 1.0)


def _lags(
    results: Results,
    found: Mapping[str, Sequence[Audit]],
    sigmas: pd.DataFrame,
    audited: Sequence[str],
) -> Table:
    rows = []
    for method, audits in found.items():
        here = sigmas[sigmas["method"].eq(method) & sigmas["sigma_estimate"].notna()]
        largest = here["sigma_kernel"].max()
        worst, lag = "—", "—"
        for row in here.dropna(subset="lag").nlargest(1, "lag").to_dict("records"):
            worst, lag = f"{row['layer']}, update {row['update']:,}", f"{100 * row['lag']:+.1f}%"
        rows.append((audits[-1].entry, f"{len(audits)}", text(largest, 4), lag, worst))
    return Table(
        name="sigma_lag",
        caption="How far the estimates of sigma lag behind, at the most.",
        columns=("Method", "Audits", "Largest σ in use", "σ over its estimate", "Where"),
        rows=tuple(rows),
        raw=sigmas[sigmas["method"].isin(found)].reset_index(drop=True),
        notes=(
            "Over the layers with an estimate, and all audits of the run. σ over its estimate: by "
            "how much the exact sigma of the trained weight exceeds the estimate that divides it, "
            "which is what few power iterations an update cost; an exact method has none.",
            *notes(results, audited, "audits"),
        ),
        align="lrrrl",
    )
