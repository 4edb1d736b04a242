"""The norms of D's gradients with respect to images, and how much of D is saturated."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from lipbench.reporting import Exhibit, Figure, Omitted, pens, tag
from lipbench.results import Results

from ._audits import (
    KINDS,
    NO_AUDIT,
    PLACE,
    Audit,
    as_float,
    by_method,
    median,
    newest,
    notes,
    quantiles,
    text,
)
from ._draw import LARGEST, groups, height_of_rows, log_x, method_rows, paper, positive, tint
from ._strips import points_a_row, strip, thinned

_TITLES = dict(zip(KINDS, ("real samples", "generated samples", "between the two"), strict=True))
_LIGHTNESS = dict(zip(KINDS, (0.0, 0.35, 0.65), strict=True))
_LANES = dict(zip(KINDS, (-0.26, 0.0, 0.26), strict=True))
_SATURATION: dict[str, tuple[float, str, dict[str, Any]]] = {
    "share": (-0.15, "saturated", {}),
    "dead": (0.2, "always saturated", {"color": "#777777", "marker": "d"}),
}
_METHODS = 20  # in a figure, at most
_AT = (0.05, 0.25, 0.5, 0.75, 0.95)


class Gradients(Exhibit):
    """Draw each run's gradient norms, and the share of saturated units beside."""

    title = "Gradient norms and saturation"
    order = 140
    part = "lipschitz and cost"

    def show(self, results: Results) -> Iterator[Figure | Omitted]:
        audits = newest(results)
        facts = _facts(audits)
        shown = facts[[f"norm_{kind}_q{100 * at:02.0f}" for kind in KINDS for at in _AT]]
        drawable = (shown.gt(1 / LARGEST) & shown.lt(LARGEST)).any(axis=1)
        known = set(facts["method"][drawable])
        if not audits:
            yield NO_AUDIT
        elif not known:
            yield Omitted("no audit has a gradient that is not 0")
        for number, methods in groups([m for m in results.methods if m in known], _METHODS):
            own = facts[facts["method"].isin(methods)]
            yield _figure(results, number, own, [audits[i] for i in own.index])


def _facts(audits: Sequence[Audit]) -> pd.DataFrame:
    """Return a row for each run: quantiles and mean of its norms, and both shares of its units."""
    rows = []
    for audit in audits:
        row = dict(audit.place)
        for kind in KINDS:
            stored = audit.part("gradient_norms").get(kind) or {}
            row[f"norm_{kind}_mean"] = as_float(stored.get("mean"))
            at = zip(_AT, quantiles(stored, _AT), strict=True)
            row |= {f"norm_{kind}_q{100 * q:02.0f}": value for q, value in at}
        rows.append(row | {f"saturation_{of}": _saturation(audit, of) for of in _SATURATION})
    of_kinds = [f"norm_{kind}_q{100 * q:02.0f}" for kind in KINDS for q in _AT]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=[*PLACE, *of_kinds])


def _saturation(audit: Audit, of: str) -> float:
    """Return a share of units as the mean over the activation layers where it is known."""
    units = [as_float(unit.get(of)) for unit in audit.stored.get("saturation") or ()]
    known = [share for share in units if not math.isnan(share)]
    return float(np.mean(known)) if known else math.nan


def _figure(results: Results, number: str, facts: pd.DataFrame, audits: Sequence[Audit]) -> Figure:
    by = by_method(audits)
    drawing = paper(height_of_rows(list(by), 0.42))
    norms, saturated = method_rows(drawing, list(by), 2)
    shown = positive(facts.filter(regex="norm_.*_q").to_numpy(float).ravel())
    log_x(norms, min(shown), max(shown))
    norms.axvline(1, color="#444444", linestyle="--", linewidth=0.8)
    most = points_a_row(5 * len(by))
    for row, (method, found) in enumerate(by.items()):
        own = facts[facts["method"] == method]
        colour = pens(results.methods)[method].colour
        for kind, lane in _LANES.items():
            of_kind = own.filter(regex=f"norm_{kind}_q").to_numpy(float)
            _lane(norms, row + lane, of_kind, found, kind, tint(colour, _LIGHTNESS[kind]), most)
        for of, (lane, what, style) in _SATURATION.items():
            shares, style = list(own[f"saturation_{of}"]), {"color": colour} | style
            strip(saturated, row + lane, shares, found, f"share {what}", most, 0.28, **style)
    norms.set_xlabel("norm of D's gradient")
    saturated.set_xlim(-0.02, 1.02)
    saturated.set_xlabel("share of saturated units")
    tints = _LIGHTNESS.values()
    drawing.legend(
        [Line2D([], [], marker="o", ls="none", color=tint("#444444", x)) for x in tints],
        list(_TITLES.values()),
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
            "A point is the median norm of a run, a tick the median over runs. Lines go from the "
            "5% to the 95% quantile of the norms, each the median over runs. The axis is "
            f"logarithmic{', and 1 is dashed' if low < 1 < high else ''}.",
            *_about_saturation(audits),
            *thinned(map(len, by.values()), most),
            *notes(results, audits),
        ),
        facts,
    )


def _lane(
    axes: Axes,
    place: float,
    found: np.ndarray,
    audits: Sequence[Audit],
    kind: str,
    shade: object,
    most: int,
) -> None:
    """Draw the runs' median norms at one kind of images, over a line of their usual spread.

    `found` are the quantiles at `_AT`, (runs, quantiles).
    """
    low, high = median(list(found[:, 0])), median(list(found[:, -1]))
    if positive([low, high]) == [low, high]:
        (line,) = axes.plot([low, high], [place] * 2, color="#888888", linewidth=0.7, zorder=1)
        method = audits[0].method
        tag(line, method, f"{method}, {_TITLES[kind]}: 5% {text(low)}, 95% {text(high)}")
    what = f"norm at {_TITLES[kind]}"
    strip(axes, place, list(found[:, 2]), audits, what, most, 0.22, color=shade, alpha=0.8)


def _about_saturation(audits: Sequence[Audit]) -> Iterator[str]:
    known = [audit for audit in audits if audit.stored.get("saturation")]
    if any(not math.isnan(_saturation(audit, "share")) for audit in known):
        yield (
            "Saturation: a point is the mean over a run's activation layers. Diamonds: the share "
            "of units that are saturated on every audited image."
        )
    without = set(by_method(audits)) - set(by_method(known))
    if missing := [m for m in by_method(audits) if m in without]:
        yield f"Without a saturated share, as no activation layer is known: {', '.join(missing)}."
