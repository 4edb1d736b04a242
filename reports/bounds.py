"""Bounds of D's Lipschitz constant from both sides, and the part that its kernels explain."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
from matplotlib.lines import Line2D

from lipbench.reporting import Exhibit, Figure, Omitted, Shown, Table, pens, tag
from lipbench.results import Results

from ._audits import (
    NO_AUDIT,
    Audit,
    by_method,
    entry,
    first,
    interval,
    layer_facts,
    median,
    newest,
    notes,
    text,
)
from ._draw import LARGEST, ROWS, groups, height_of_rows, log_x, method_rows, paper, positive
from ._strips import heat, points_a_row, strip, thinned

_LOWER = {
    "real": "Lower: real",
    "fake": "generated",
    "interpolates": "between",
    "attack": "attack",
}
_DRAWN = {  # where in a method's row, its marker, and what it is called
    "lower_bound": (-0.14, ">", "lower bound"),
    "upper_bound": (-0.14, "<", "upper bound"),
    "upper_bound_kernel": (0.24, "d", "kernels' product (no bound)"),
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
        audits = by_method(newest(results))
        if not audits:
            yield NO_AUDIT
            return
        yield _table(results, audits)
        drawable = [m for m, of_method in audits.items() if any(map(_ends, of_method))]
        if not drawable:
            yield Omitted("no audited discriminator has a finite bound above 0")
        for number, methods in groups(drawable, ROWS):
            yield _figure(results, number, {m: audits[m] for m in methods})
        raw = _raw(audits)
        if raw["setting"].nunique() > 1 and positive(raw["lower_bound"]):
            yield _by_setting(results, newest(results), raw)


def _table(results: Results, audits: Mapping[str, Sequence[Audit]]) -> Table:
    every = [audit for of_method in audits.values() for audit in of_method]
    marks = _marks(every)
    rows = []
    for method, found in audits.items():
        upper = entry([a.number("upper_bound") for a in found], found)
        given = dict.fromkeys(marks[reason] for audit in found for reason in _reasons(audit))
        rows.append(
            (
                first(method, found),
                *[entry([a.number(k, "lower_bounds") for a in found], found) for k in _LOWER],
                Shown(
                    upper.text, ",".join(given), upper.detail, muted=upper.muted, runs=upper.runs
                ),
                entry([a.number("upper_bound_kernel") for a in found], found),
                entry([100 * audit.number("tightness") for audit in found], found, 2),
            )
        )
    seconds = median([audit.number("seconds") for audit in every])
    took = f"An audit took {text(seconds)} seconds, the median; these are not in training's time."
    return Table(
        name="bounds",
        caption="Lower and upper bounds of the discriminators' Lipschitz constants: the median "
        "over each method's audited runs, with the range below.",
        columns=("Method", *_LOWER.values(), "Upper bound", "Kernels' product", "Tightness, %"),
        rows=tuple(rows),
        raw=_raw(audits),
        notes=(
            "Lower bounds: the largest norm of D's gradient at real samples, at generated ones "
            "and between the two, and the steepest pair of samples that an attack finds. Upper "
            "bound: the layers' constants composed along the network. Tightness: the largest "
            "lower bound as a share of the upper one.",
            *_about_kernels(audits),
            *notes(results, every),
            *_about_batches(every),
            *([] if math.isnan(seconds) else [took]),
            *[f"{mark}: no upper bound, since {reason}." for reason, mark in marks.items()],
        ),
    )


def _raw(audits: Mapping[str, Sequence[Audit]]) -> pd.DataFrame:
    plain = ("lower_bound", "upper_bound", "upper_bound_kernel", "tightness", "seconds")
    rows = [
        audit.place
        | {f"lower_bound_{kind}": audit.number(kind, "lower_bounds") for kind in _LOWER}
        | {name: audit.number(name) for name in plain}
        | {"no_upper_bound": "; ".join(map(str, audit.stored.get("no_upper_bound") or ()))}
        for of_method in audits.values()
        for audit in of_method
    ]
    return pd.DataFrame(rows)


def _marks(audits: Sequence[Audit]) -> dict[str, str]:
    """Return the letter of each reason why there is no upper bound: a to z, then a2."""
    reasons = dict.fromkeys(reason for audit in audits for reason in _reasons(audit))
    letters = string.ascii_lowercase
    return {
        reason: letters[i % 26] + (str(i // 26 + 1) if i >= 26 else "")
        for i, reason in enumerate(reasons)
    }


def _reasons(audit: Audit) -> list[str]:
    """Return why there is no upper bound, once for layers of one kind; the CSV names each."""
    reasons = map(str, audit.stored.get("no_upper_bound") or ())
    return list(dict.fromkeys(re.sub(_OF_LAYER, r"\1: ", reason) for reason in reasons))


def _about_batches(audits: Sequence[Audit]) -> Iterator[str]:
    joint = dict.fromkeys(a.method for a in audits if not a.stored.get("per_image", True))
    if joint:
        yield (
            f"No bounds of {', '.join(joint)}: there the samples of a batch see each other, so "
            "one sample has no constant."
        )


def _about_kernels(audits: Mapping[str, Sequence[Audit]]) -> Iterator[str]:
    """Yield what must be said of a sigma of flattened kernels, with the report's own numbers."""
    yield (
        "Kernels' product: the same composition with each kernel's sigma, as a matrix (outputs, "
        "rest), in place of its layer's operator norm: what spectral normalization controls. It "
        "is no bound of the Lipschitz constant, as a kernel is applied at overlapping places."
    )
    found = [_beyond_its_kernels(method, of_method) for method, of_method in audits.items()]
    if said := [sentence for sentence in found if sentence]:
        more = len(said) - _NAMED
        rest = [f"And so for {more} more methods"] if more > 0 else []
        yield (
            "So kernels near 1 do not make a network 1-Lipschitz. "
            f"{'. '.join([*said[:_NAMED], *rest])}."
        )


def _beyond_its_kernels(method: str, audits: Sequence[Audit]) -> str:
    """Return how far D is from what its kernels suggest, or nothing where they are not at 1."""
    known = layer_facts(audits).dropna(subset=["sigma_kernel", "sigma_operator"])
    if known.empty:
        return ""
    largest = float(known["sigma_kernel"].max())
    estimated = known["sigma_estimate"].notna().all()
    if not (estimated or largest <= _NEAR_ONE) or math.isinf(largest):
        return ""
    operators = known["sigma_operator"]
    if operators.max() <= _NEAR_ONE * max(1, largest):
        return ""
    at_most = math.ceil(100 * largest - 1e-4) / 100 if largest < LARGEST else largest
    bound = median([audit.number("upper_bound") for audit in audits])
    of_runs = "median upper bound" if len(audits) > 1 else "upper bound"
    product = "" if math.isnan(bound) else f", and the {of_runs} that follows is {text(bound)}"
    return (
        f"{method}: every kernel's sigma is at most {at_most:.2f}, but the operator norms "
        f"of its layers are {interval(operators).replace('–', ' to ')}{product}"
    )


def _ends(audit: Audit) -> list[float]:
    """Return the bounds of an audit that a logarithmic axis can show."""
    return positive(audit.number(name) for name in _DRAWN)


def _figure(results: Results, number: str, audits: Mapping[str, Sequence[Audit]]) -> Figure:
    drawing = paper(height_of_rows(list(audits), 0.27))
    (axes,) = method_rows(drawing, list(audits), 1)
    every = [end for of_method in audits.values() for audit in of_method for end in _ends(audit)]
    log_x(axes, min([*every, 1.0]), max([*every, 1.0]))
    axes.axvline(1, color="#444444", linestyle="--", linewidth=0.8)
    most = points_a_row(len(_DRAWN) * len(audits))
    for row, (method, found) in enumerate(audits.items()):
        colour = pens(results.methods)[method].colour
        for name, (lane, marker, what) in _DRAWN.items():
            values = [audit.number(name) for audit in found]
            shade = "#777777" if name == "upper_bound_kernel" else colour
            style = {"marker": marker, "color": shade, "s": 16}
            strip(axes, row + lane, values, found, what, most, 0.36, **style)
        low, high = (median([a.number(n) for a in found]) for n in ("lower_bound", "upper_bound"))
        if 1 / LARGEST < low < high < LARGEST:
            (span,) = axes.plot([low, high], [row - 0.14] * 2, color=colour, lw=5, alpha=0.25)
            tag(span, method, f"{method}: between {text(low)} and {text(high)}, the medians")
        if not math.isfinite(high):
            told = axes.text(0.995, row, "no upper bound", transform=axes.get_yaxis_transform())
            told.set(ha="right", va="center", fontsize=6.5, color="#555555")
            tag(told, method)
    axes.set_xlabel("Lipschitz constant with respect to the image, Euclidean")
    handles = {
        what: Line2D([], [], marker=marker, ls="none", color="#666666", ms=4)
        for name, (_, marker, what) in _DRAWN.items()
        if any(positive([a.number(name)]) for found in audits.values() for a in found)
    }
    drawing.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=3)
    return Figure(
        f"bounds{number}",
        "Lower and upper bounds of the discriminators' Lipschitz constants: a point a run, a tick "
        "the median.",
        drawing,
        (
            "The axis is logarithmic; 1 is dashed. Pale: between the two medians.",
            *thinned(map(len, audits.values()), most),
            *notes(results, [a for found in audits.values() for a in found]),
        ),
        _raw(audits),
    )


def _by_setting(results: Results, audits: Sequence[Audit], raw: pd.DataFrame) -> Figure:
    settings = [setting for setting in results.settings if setting in set(raw["setting"])]
    drawing, colours, numbers = heat(raw, "setting", settings, "lower_bound", "lower bound")
    return Figure(
        "bounds_by_setting",
        "The largest lower bound of the Lipschitz constant of each method at each setting, the "
        "median over seeds.",
        drawing,
        (*colours, *notes(results, audits)),
        numbers,
        column=len(settings) <= 6 and raw["method"].nunique() <= 20,
    )
