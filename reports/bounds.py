"""Bounds of D's Lipschitz constant from both sides, and what of them its kernels tell."""

from __future__ import annotations

import math
import re
import statistics
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from lipbench.reporting import Exhibit, Figure, Omitted, Shown, Table, pens
from lipbench.results import Results

from ._audits import KINDS, NO_AUDIT, Audit, interval, newest, notes, text
from ._draw import ROWS, WIDTH, groups, height_of_rows, log_x, method_rows, paper, positive

_TITLES = {
    "real": "Lower: real",
    "fake": "generated",
    "interpolates": "between",
    "attack": "attack",
}
_OF_LAYER = re.compile(r"^\S+ \((\w+)\): ")  # `body.norm1 (BatchNorm2d): it divides ...`
_NEAR_ONE = 1.1  # kernels up to here are at 1, as those are that a method divides by an estimate
_NAMED = 6  # methods that a note names, at most


class Bounds(Exhibit):
    """Show between which numbers each discriminator's Lipschitz constant lies."""

    title = "Lipschitz bounds"
    order = 100
    part = "lipschitz and cost"

    def show(self, results: Results) -> Iterator[Table | Figure | Omitted]:
        audits = newest(results)
        if not audits:
            yield NO_AUDIT
            return
        explained = (*_told_of_kernels(audits.values()), *notes(results, audits))
        yield _table(audits, explained)
        drawable = [m for m, audit in audits.items() if _ends(audit)]
        if not drawable:
            yield Omitted("no audited discriminator has a finite bound above 0")
        for number, methods in groups(drawable, ROWS):
            yield _figure(results, number, {m: audits[m] for m in methods})


def _table(audits: Mapping[str, Audit], explained: Sequence[str]) -> Table:
    marks = _marks(audits.values())
    rows: list[tuple[Shown | str, ...]] = []
    for audit in audits.values():
        mark = ",".join(marks[reason] for reason in _reasons(audit))
        upper = Shown(text(audit.upper_bound), muted=math.isnan(audit.upper_bound), mark=mark)
        rows.append(
            (
                audit.entry,
                *[text(audit.lower_bounds.get(kind, math.nan)) for kind in _TITLES],
                upper,
                text(audit.upper_bound_kernel),
                "—" if math.isnan(audit.tightness) else f"{100 * audit.tightness:.2g}%",
            )
        )
    return Table(
        name="bounds",
        caption="Lower and upper bounds of each discriminator's Lipschitz constant.",
        columns=("Method", *_TITLES.values(), "Upper bound", "Kernels' product", "Tightness"),
        rows=tuple(rows),
        raw=pd.DataFrame(_row(audit) for audit in audits.values()),
        notes=(
            "Lower bounds: the largest norm of D's gradient at real images, at generated ones and "
            "between the two, and what an attack on pairs of images finds. Upper bound: the "
            "layers' constants composed along the network. Tightness: the largest lower bound as "
            "a share of the upper one.",
            *explained,
            *_told_of_batches(audits.values()),
            *_told_of_seconds(audits.values()),
            *[f"{mark}: no upper bound, since {reason}." for reason, mark in marks.items()],
        ),
    )


def _row(audit: Audit) -> dict[str, object]:
    return audit.place | {
        **{f"lower_bound_{kind}": audit.lower_bounds.get(kind, math.nan) for kind in _TITLES},
        "lower_bound": audit.lower_bound,
        "upper_bound": audit.upper_bound,
        "upper_bound_kernel": audit.upper_bound_kernel,
        "tightness": audit.tightness,
        "seconds": audit.seconds,
        "no_upper_bound": "; ".join(audit.no_upper_bound),
    }


def _marks(audits: Iterable[Audit]) -> dict[str, str]:
    """Return the letter of each reason why there is no upper bound: a to z, then a2."""
    reasons = dict.fromkeys(reason for audit in audits for reason in _reasons(audit))
    letters = string.ascii_lowercase
    return {
        reason: letters[i % 26] + (str(i // 26 + 1) if i >= 26 else "")
        for i, reason in enumerate(reasons)
    }


def _reasons(audit: Audit) -> list[str]:
    """Return why there is no upper bound, once for layers of one kind; the CSV names each."""
    return list(dict.fromkeys(re.sub(_OF_LAYER, r"\1: ", r) for r in audit.no_upper_bound))


def _told_of_batches(audits: Iterable[Audit]) -> Iterator[str]:
    joint = [audit.method for audit in audits if not audit.per_image]
    if joint:
        yield (
            f"No bounds of {', '.join(joint)}: there the images of a batch see each other, so one "
            "image has no constant."
        )


def _told_of_seconds(audits: Iterable[Audit]) -> Iterator[str]:
    known = [audit.seconds for audit in audits if not math.isnan(audit.seconds)]
    if known:
        yield (
            f"An audit took {text(statistics.median(known))} seconds, the median; training's time "
            "and state are without it."
        )


def _told_of_kernels(audits: Iterable[Audit]) -> Iterator[str]:
    """Yield what must be said of a sigma of flattened kernels, with the report's own numbers."""
    yield (
        "Kernels' product: the same composition with each kernel's sigma, as a matrix (outputs, "
        "rest), in place of its layer's operator norm: what spectral normalization controls. It "
        "is no bound of the Lipschitz constant, as a kernel is applied at overlapping places."
    )
    told = [sentence for audit in audits if (sentence := _beyond_its_kernels(audit))]
    if told:
        more = len(told) - _NAMED
        rest = [f"And so for {more} more methods"] if more > 0 else []
        yield (
            "So kernels near 1 do not make a network 1-Lipschitz. "
            f"{'. '.join([*told[:_NAMED], *rest])}."
        )


def _beyond_its_kernels(audit: Audit) -> str:
    """Return how far D is from what its kernels suggest, or nothing where they are not at 1."""
    known = [x for x in audit.layers if not math.isnan(x.sigma_kernel + x.sigma_operator)]
    largest = max((layer.sigma_kernel for layer in known), default=math.inf)
    operators = [layer.sigma_operator for layer in known]
    estimated = known and not any(math.isnan(layer.sigma_estimate) for layer in known)
    if not (estimated or largest <= _NEAR_ONE):
        return ""
    if max(operators) <= _NEAR_ONE * max(1, largest):
        return ""
    at_most = math.ceil(100 * largest - 1e-4) / 100  # up, or it would not be true
    bound = audit.upper_bound
    product = "" if math.isnan(bound) else f", and the upper bound that follows is {text(bound)}"
    return (
        f"{audit.method}: every kernel's sigma is at most {at_most:.2f}, but the operator norms "
        f"of its layers are {interval(operators).replace('–', ' to ')}{product}"
    )


def _ends(audit: Audit) -> list[float]:
    """Return the bounds of an audit that a logarithmic axis can show."""
    return positive([*audit.lower_bounds.values(), audit.upper_bound, audit.upper_bound_kernel])


def _figure(results: Results, number: str, audits: Mapping[str, Audit]) -> Figure:
    drawing = paper(height_of_rows(list(audits), 0.21), WIDTH)
    (axes,) = method_rows(drawing, list(audits), 1)
    every = [value for audit in audits.values() for value in _ends(audit)] + [1.0]
    log_x(axes, min(every), max(every))
    axes.axvline(1, color="#444444", linestyle="--", linewidth=0.8)
    for row, (method, audit) in enumerate(audits.items()):
        colour = pens(results.methods)[method].colour
        low, high = audit.lower_bound, audit.upper_bound
        if 0 < low < high < math.inf:
            axes.plot([low, high], [row, row], "-", color=colour, linewidth=4, alpha=0.45)
        points = [audit.lower_bounds.get(kind, math.nan) for kind in KINDS]
        axes.plot(points, [row] * len(points), "|", color=colour, markersize=7)
        axes.plot(low, row, ">", color=colour, markersize=5)
        axes.plot(high, row, "<", color=colour, markersize=5)
        axes.plot(audit.upper_bound_kernel, row, "D", color="white", mec="#222222", mew=0.8, ms=4)
        if not math.isfinite(high):
            axes.annotate(
                "no upper bound",
                (1, row),
                (-2, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                ha="right",
                va="center",
                fontsize=6.5,
                color="#555555",
            )
    axes.set_xlabel("Lipschitz constant with respect to the image, Euclidean")
    kernels = bool(positive(audit.upper_bound_kernel for audit in audits.values()))
    _key(drawing, audits.values())
    return Figure(
        f"bounds{number}",
        "Between which bounds each discriminator's Lipschitz constant lies.",
        drawing,
        (
            "The axis is logarithmic; 1 is dashed.",
            *(["The kernels' product is no bound: see the notes of the table."] * kernels),
        ),
        pd.DataFrame(_row(audit) for audit in audits.values()),
    )


def _key(drawing: Drawing, audits: Iterable[Audit]) -> None:
    """Name the markers that are drawn."""
    grey: dict[str, Any] = {"color": "#666666", "linestyle": "none"}
    audits = list(audits)

    entries = {
        "gradients at real, generated, between": (
            positive(audit.lower_bounds.get(kind, math.nan) for audit in audits for kind in KINDS),
            Line2D([], [], marker="|", markersize=7, **grey),
        ),
        "lower bound": (
            positive(audit.lower_bound for audit in audits),
            Line2D([], [], marker=">", markersize=5, **grey),
        ),
        "upper bound": (
            positive(audit.upper_bound for audit in audits),
            Line2D([], [], marker="<", markersize=5, **grey),
        ),
        "kernels' product (no bound)": (
            positive(audit.upper_bound_kernel for audit in audits),
            Line2D([], [], marker="D", mfc="white", mec="#222222", mew=0.8, ms=4, ls="none"),
        ),
    }
    drawn = {name: handle for name, (shown, handle) in entries.items() if shown}
    drawing.legend(list(drawn.values()), list(drawn), loc="outside lower center", ncols=4)
