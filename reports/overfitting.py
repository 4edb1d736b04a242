"""Whether D knows its training images: losses and logits, as in Figure 15a of Miyato et al."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from lipbench.reporting import Exhibit, Figure, Omitted, Table, pens
from lipbench.results import Results

from ._audits import NO_AUDIT, Audit, as_float, by_method, entry, every, first, newest, notes
from ._draw import groups
from ._strips import banded, lines, over_runs, panels

_COLUMNS = 4  # panels in a row
_PANELS = 20  # in a figure, at most
_LOGITS = {"train": "D(train)", "heldout": "D(held-out)", "fake": "D(generated)"}
_LOSSES = {"loss_train": "training samples", "loss_heldout": "held-out samples"}
_DASHES: dict[str, Literal["-", "--"]] = {"training samples": "--", "held-out samples": "-"}


class Overfitting(Exhibit):
    """Compare D on the samples that it was trained with and on others of the same kind."""

    title = "The discriminator's overfitting"
    order = 150
    part = "lipschitz and cost"

    def show(self, results: Results) -> Iterator[Figure | Table | Omitted]:
        audits = every(results)
        if not audits:
            yield NO_AUDIT
            return
        losses = pd.DataFrame(
            audit.place | {title: audit.number(name) for name, title in _LOSSES.items()}
            for audit in audits
        ).melt(["method", "update"], list(_LOSSES.values()), "of", "loss")
        summary = over_runs(losses, ["method", "of", "update"], "loss")
        updates = summary.groupby(["method", "of"])["update"].nunique().unstack()
        updates = updates.reindex(columns=list(_LOSSES.values()))
        moving = set(updates.index[(updates > 1).all(axis=1)])
        if not moving:
            yield Omitted(
                "no curve of D's loss on held-out samples: no method was audited at several "
                "updates with held-out samples and a loss"
            )
        about = tuple(notes(results, audits, last=False))
        for number, methods in groups([m for m in results.methods if m in moving], _PANELS):
            yield _figure(results, number, summary[summary["method"].isin(methods)], about)
        compared = [audit for audit in newest(results) if audit.part("logits")]
        if compared:
            yield _table(results, compared)
        else:
            yield Omitted("no audit has logits of samples")


def _figure(results: Results, number: str, losses: pd.DataFrame, about: Sequence[str]) -> Figure:
    methods = [method for method in results.methods if method in set(losses["method"])]
    drawing, grid = panels(methods, _COLUMNS, 1.4)
    for i, (method, axes) in enumerate(zip(methods, grid, strict=True)):
        colour = pens(results.methods)[method].colour
        styles = {of: {"color": colour, "linestyle": dash} for of, dash in _DASHES.items()}
        lines(axes, losses[losses["method"] == method], "update", "of", styles, method)
        axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
        axes.set_xlabel("G updates" if i + _COLUMNS >= len(methods) else "")
        axes.set_ylabel("D's loss" if i % _COLUMNS == 0 else "")
    handles = [Line2D([], [], color="#444444", ls=dash) for dash in _DASHES.values()]
    drawing.legend(handles, list(_DASHES), loc="outside lower center", ncols=2)
    return Figure(
        f"overfitting{number}",
        "D's loss on its training samples and on held-out ones, beside the same generated ones"
        f"{banded(losses)}.",
        drawing,
        (
            "The vertical axes differ, and losses of different kinds cannot be compared; the gap "
            "between the two lines can.",
            *about,
        ),
        losses,
    )


def _mean(audit: Audit, of: str) -> float:
    logits: Mapping[str, object] = audit.part("logits").get(of) or {}
    return as_float(logits.get("mean"))


def _table(results: Results, audits: Sequence[Audit]) -> Table:
    numbers = {
        **{of: [_mean(audit, of) for audit in audits] for of in _LOGITS},
        **{
            name: [audit.number(name) for audit in audits]
            for name in ("overfitting_gap", *_LOSSES)
        },
    }
    raw = pd.DataFrame([audit.place for audit in audits]).assign(
        **{f"logit_{k}" if k in _LOGITS else k: values for k, values in numbers.items()}
    )
    rows = []
    for method, own in by_method(audits).items():
        here = [i for i, audit in enumerate(audits) if audit.method == method]
        entries = [entry([values[i] for i in here], own) for values in numbers.values()]
        rows.append((first(method, own), *entries))
    return Table(
        name="logits",
        caption="D's mean logits of its training samples, of held-out and of generated ones: the "
        "median over each method's audited runs, with the range below.",
        columns=("Method", *_LOGITS.values(), "Gap", "Loss, train", "Loss, held-out"),
        rows=tuple(rows),
        raw=raw,
        notes=(
            "Gap: the mean logit of training samples minus that of held-out ones, in logits, "
            "whose scale is each method's own.",
            *notes(results, audits),
        ),
    )
