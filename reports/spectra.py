"""Singular spectra of D's layers, as in Figure 3 of Miyato et al. (2018)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
from matplotlib.ticker import MaxNLocator

from lipbench.reporting import Exhibit, Figure, Omitted, pens
from lipbench.results import Results

from ._audits import NO_AUDIT, Audit, layer_names, newest, notes
from ._draw import groups, legend, paper, plain

_OF = {
    "kernel": "the kernel in use, as a matrix (outputs, rest)",
    "circular": "the layer as a circular convolution (Sedghi et al. 2019)",
}
_COLUMNS = 4  # panels in a row


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
        called = layer_names(audits.values())
        for of in _OF:
            spectra = pd.DataFrame(
                (row for audit in audits.values() for row in _rows(audit, of, called)),
                columns=[*next(iter(audits.values())).place, "layer", *_NUMBERS],
            )
            if spectra.empty:
                yield Omitted(f"no audit has a spectrum of {_OF[of]}")
                continue
            drawn = [m for m in results.methods if m in set(spectra["method"])]
            for number, methods in groups(drawn):
                of_methods = spectra[spectra["method"].isin(methods)]
                known = set(of_methods["layer"])
                layers = [name for name in dict.fromkeys(called.values()) if name in known]
                yield _figure(results, of, number, methods, of_methods, layers, list(audits))


_NUMBERS = ("index", "share", "singular_value", "squared_scaled")


def _rows(audit: Audit, of: str, called: Mapping[str, str]) -> Iterator[dict[str, object]]:
    """Yield each singular value of a layer that has several, and its square as it is drawn."""
    for layer in audit.layers:
        spectrum = layer.spectra[of]
        if len(spectrum) < 2 or not (math.isfinite(spectrum[0]) and spectrum[0] > 0):
            continue
        for index, value in enumerate(spectrum):
            scaled = (value / spectrum[0]) ** 2
            share = index / (len(spectrum) - 1)
            numbers = dict(zip(_NUMBERS, (index, share, value, scaled), strict=True))
            yield audit.place | {"layer": called[layer.name]} | numbers


def _figure(
    results: Results,
    of: str,
    number: str,
    methods: Sequence[str],
    spectra: pd.DataFrame,
    layers: Sequence[str],
    audited: Sequence[str],
) -> Figure:
    columns = min(_COLUMNS, len(layers))
    rows = math.ceil(len(layers) / columns)
    drawing = paper(0.7 + 1.45 * rows, max(3.6, 0.4 + 1.75 * columns))
    grid = drawing.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    # The circular spectra are order statistics: of them only the share of all is known.
    x = "index" if of == "kernel" else "share"
    for i, axes in enumerate(grid):
        if i >= len(layers):
            axes.set_visible(False)
            continue
        axes.set_title(plain(layers[i]))
        axes.grid()
        axes.xaxis.set_major_locator(MaxNLocator(3, integer=of == "kernel"))
        here = spectra[spectra["layer"] == layers[i]]
        for method, line in here.groupby("method", sort=False):
            pen = pens(results.methods)[str(method)]
            axes.plot(line[x], line["squared_scaled"], color=pen.colour, linestyle=pen.dash)
        if i + columns >= len(layers):
            axes.set_xlabel("index" if of == "kernel" else "share of the spectrum")
    grid[0].set_ylim(0, 1.04)
    grid[0].set_yticks([0, 0.5, 1])
    for axes in grid[::columns]:
        axes.set_ylabel("σ² / largest σ²")
    legend(drawing, results, methods)
    return Figure(
        f"spectra_{of}{number}",
        f"Squared singular values of {_OF[of]}, each layer's largest set to 1.",
        drawing,
        (
            *notes(results, audited),
            "Layers with one singular value are left out."
            if of == "kernel"
            else "Strides included; at most 256 evenly spaced order statistics of each spectrum.",
        ),
        spectra,
    )
