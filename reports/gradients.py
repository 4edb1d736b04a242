"""The norms of D's gradients with respect to images, and how much of D is saturated."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from lipbench.reporting import Exhibit, Figure, Omitted, pens
from lipbench.results import Results

from ._audits import KINDS, NO_AUDIT, Audit, Spread, newest, notes
from ._draw import groups, height_of_rows, log_x, method_rows, paper, positive, tint

_TITLES = {"real": "real images", "fake": "generated images", "interpolates": "between the two"}
_LIGHTNESS = dict(zip(KINDS, (0.0, 0.4, 0.75), strict=True))
_METHODS = 20  # in a figure, at most


class Gradients(Exhibit):
    """Draw the distributions of gradient norms, and the share of saturated units beside."""

    title = "Gradient norms and saturation"
    order = 140
    part = "lipschitz and cost"

    def show(self, results: Results) -> Iterator[Figure | Omitted]:
        audits = newest(results)
        known = [m for m, audit in audits.items() if any(True for _ in _boxes(audit))]
        if not audits:
            yield NO_AUDIT
        elif not known:
            yield Omitted("no audit has a gradient that is not 0")
        for number, methods in groups(known, _METHODS):
            yield _figure(results, number, {m: audits[m] for m in methods}, list(audits))


def _boxes(audit: Audit) -> Iterator[tuple[str, Spread]]:
    """Yield the distributions that a logarithmic axis can show, by the kind of images."""
    for kind in KINDS:
        spread = audit.gradient_norms.get(kind)
        if spread and spread.quantiles and positive(spread.quantiles[-1:]):
            yield kind, spread


def _figure(
    results: Results, number: str, audits: Mapping[str, Audit], audited: Sequence[str]
) -> Figure:
    drawing = paper(height_of_rows(list(audits), 0.34))
    norms, saturated = method_rows(drawing, list(audits), 2)
    spreads = [spread for audit in audits.values() for _, spread in _boxes(audit)]
    shown = positive(q for spread in spreads for q in spread.quantiles[1:-1]) or [1.0]
    log_x(norms, min(shown), max(shown))
    norms.axvline(1, color="#444444", linestyle="--", linewidth=0.8)
    for row, (method, audit) in enumerate(audits.items()):
        for kind, spread in _boxes(audit):
            place = row + 0.26 * (KINDS.index(kind) - 1)
            _box(
                norms, place, spread, tint(pens(results.methods)[method].colour, _LIGHTNESS[kind])
            )
        _bars(saturated, row, audit, pens(results.methods)[method].colour)
    norms.set_xlabel("norm of D's gradient")
    saturated.set_xlim(0, 1)
    saturated.set_xlabel("share of saturated units")
    drawn = {kind for audit in audits.values() for kind, _ in _boxes(audit)}
    kinds = [kind for kind in KINDS if kind in drawn]
    drawing.legend(
        [Patch(facecolor=tint("#444444", _LIGHTNESS[kind])) for kind in kinds],
        [_TITLES[kind] for kind in kinds],
        loc="outside lower center",
        ncols=3,
    )
    low, high = norms.get_xlim()
    return Figure(
        f"gradients{number}",
        "Norms of D's gradient with respect to the image, and the share of its units that are "
        "saturated.",
        drawing,
        (
            "Boxes hold the middle half, whiskers reach from 5% to 95%, the line is the median; "
            f"the axis is logarithmic{', and 1 is dashed' if low < 1 < high else ''}.",
            *_told_of_saturation(audits),
            *notes(results, audited),
        ),
        _numbers(audits),
    )


def _told_of_saturation(audits: Mapping[str, Audit]) -> Iterator[str]:
    units = [unit for audit in audits.values() for unit in audit.saturation]
    dark = "; dark is the share of units that are saturated on every audited image"
    if any(not math.isnan(unit.share) for unit in units):
        some = any(unit.dead > 0 for unit in units)
        yield (
            f"Saturation: a dot is an activation layer, the bar their mean{dark if some else ''}."
        )
    missing = [m for m, audit in audits.items() if not audit.saturation]
    if missing:
        yield f"Without a saturated share, as no activation layer is known: {', '.join(missing)}."


def _box(axes: Axes, place: float, spread: Spread, colour: tuple[float, float, float]) -> None:
    low, first, median, third, high = (_quantile(spread, q) for q in (0.05, 0.25, 0.5, 0.75, 0.95))
    axes.plot([low, high], [place, place], "-", color="#333333", linewidth=0.6)
    axes.barh(place, third - first, 0.2, left=first, color=colour, edgecolor="#333333", lw=0.4)
    axes.plot([median, median], [place - 0.1, place + 0.1], "-", color="#111111", linewidth=1.2)


def _quantile(spread: Spread, at: float) -> float:
    places = np.linspace(0, 1, len(spread.quantiles))
    return float(np.interp(at, places, spread.quantiles))


def _bars(axes: Axes, row: int, audit: Audit, colour: str) -> None:
    shares = [unit.share for unit in audit.saturation if not math.isnan(unit.share)]
    dead = [unit.dead for unit in audit.saturation if not math.isnan(unit.dead)]
    if shares:
        axes.barh(row, float(np.mean(shares)), 0.5, color=tint(colour, 0.6))
        axes.plot(shares, [row] * len(shares), "o", color=colour, markersize=2.5)
    if dead:
        axes.barh(row, float(np.mean(dead)), 0.5, color="#222222")


def _numbers(audits: Mapping[str, Audit]) -> pd.DataFrame:
    """Return the quantiles of the norms and the shares of each layer, a row for each number."""
    rows = []
    for audit in audits.values():
        for kind, spread in audit.gradient_norms.items():
            places = np.linspace(0, 1, len(spread.quantiles))
            named = {f"quantile {q:.2f}": v for q, v in zip(places, spread.quantiles, strict=True)}
            named = {"mean": spread.mean} | named
            rows += [
                audit.place | {"of": f"gradient norm, {kind}", "what": what, "value": value}
                for what, value in named.items()
            ]
        rows += [
            audit.place | {"of": f"saturation, {unit.name}", "what": what, "value": value}
            for unit in audit.saturation
            for what, value in (("share", unit.share), ("dead", unit.dead))
        ]
    return pd.DataFrame(rows)
