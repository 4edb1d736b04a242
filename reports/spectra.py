"""Singular spectra of D's layers, as in Figure 3 of Miyato et al. (2018)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from lipbench.reporting import Exhibit, Figure, Omitted, pens
from lipbench.results import Results
from lipbench.results.audits import spectrum

from ._audits import NO_AUDIT, Audit, layer_names, newest, notes
from ._draw import groups, legend
from ._strips import banded, lines, panels, spaced

_OF = {
    "kernel": "the kernel in use, as a matrix (outputs, rest)",
    "circular": "the layer as a circular convolution (Sedghi et al. 2019)",
}
_COLUMNS = 4  # panels in a row
_MOST = 64  # singular values of a line
_NUMBERS = ("index", "share", "runs", "median", "low", "high")


class Spectra(Exhibit):
    """Draw how each layer's squared singular values fall off, the methods together."""

    title = "Singular spectra of the discriminator's layers"
    order = 120
    part = "lipschitz and cost"

    def show(self, results: Results) -> Iterator[Figure | Omitted]:
        audits = newest(results)
        if not audits:
            yield NO_AUDIT
            return
        about = tuple(notes(results, audits))
        for of in _OF:
            spectra = _spectra(audits, of)
            if spectra.empty:
                yield Omitted(f"no audit has a spectrum of {_OF[of]}")
                continue
            drawn = [m for m in results.methods if m in set(spectra["method"])]
            for number, methods in groups(drawn):
                own = spectra[spectra["method"].isin(methods)]
                yield _figure(results, of, number, methods, own, about)


def _spectra(audits: Sequence[Audit], of: str) -> pd.DataFrame:
    """Return squared singular values, the largest set to 1: median and range over runs.

    Runs whose layer has another number of singular values than most are left out of its line.
    """
    called = layer_names(audits)
    found: dict[tuple[str, str], list[np.ndarray]] = {}
    for audit in audits:
        for layer in audit.layers:
            values = spectrum(layer, of)
            if len(values) > 1 and np.isfinite(values).all() and values[0] > 0:
                key = (audit.method, called[str(layer["name"])])
                found.setdefault(key, []).append((values / values[0]) ** 2)
    order = list(dict.fromkeys(called.values()))
    rows = []
    for (method, name), spectra in sorted(found.items(), key=lambda item: order.index(item[0][1])):
        sizes = [len(spectrum) for spectrum in spectra]
        size = max(sizes, key=sizes.count)
        stacked = np.stack([spectrum for spectrum in spectra if len(spectrum) == size])
        ends = np.median(stacked, axis=0), stacked.min(axis=0), stacked.max(axis=0)
        rows += [
            (method, name, i, i / (size - 1), len(stacked), *(float(each[i]) for each in ends))
            for i in spaced(size, _MOST)
        ]
    return pd.DataFrame(rows, columns=["method", "layer", *_NUMBERS])


def _figure(
    results: Results,
    of: str,
    number: str,
    methods: Sequence[str],
    spectra: pd.DataFrame,
    about: tuple[str, ...],
) -> Figure:
    layers = list(dict.fromkeys(spectra["layer"]))
    drawing, grid = panels(layers, _COLUMNS, 1.45, sharey=True)
    # The circular spectra are order statistics: of them only the share of all is known.
    x = "index" if of == "kernel" else "share"
    styles = {
        m: {"color": pen.colour, "linestyle": pen.dash} for m, pen in pens(results.methods).items()
    }
    for i, (name, axes) in enumerate(zip(layers, grid, strict=True)):
        axes.xaxis.set_major_locator(MaxNLocator(3, integer=of == "kernel"))
        lines(axes, spectra[spectra["layer"] == name], x, "method", styles)
        if i + _COLUMNS >= len(layers):
            axes.set_xlabel("index" if of == "kernel" else "share of the spectrum")
    grid[0].set(ylim=(0, 1.04), yticks=[0, 0.5, 1])
    for axes in grid[::_COLUMNS]:
        axes.set_ylabel("σ² / largest σ²")
    legend(drawing, results, methods)
    return Figure(
        f"spectra_{of}{number}",
        f"Squared singular values of {_OF[of]}, each layer's largest set to 1{banded(spectra)}.",
        drawing,
        (
            *about,
            f"A line has at most {_MOST} evenly spaced singular values. "
            + (
                "Layers with one singular value are left out."
                if of == "kernel"
                else "Strides are included."
            ),
        ),
        spectra,
    )
