"""Whether D knows its training images: losses and logits, as in Figure 15a of Miyato et al."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from lipbench.reporting import Exhibit, Figure, Omitted, Table, pens
from lipbench.results import Results

from ._audits import NO_AUDIT, Audit, histories, notes, text
from ._draw import LARGEST, WIDTH, groups, paper, plain

_COLUMNS = 4  # panels in a row
_PANELS = 20  # in a figure, at most
_LOGITS = {"train": "D(train)", "heldout": "D(held-out)", "fake": "D(generated)"}


class Overfitting(Exhibit):
    """Compare D on the images that it was trained with and on others of the same kind."""

    title = "The discriminator's overfitting"
    order = 150
    part = "lipschitz and cost"

    def show(self, results: Results) -> Iterator[Figure | Table | Omitted]:
        found = histories(results)
        if not found:
            yield NO_AUDIT
            return
        moving = [m for m, audits in found.items() if len(_with_losses(audits)) > 1]
        if not moving:
            yield Omitted(
                "no curve of D's loss on held-out images: no run was audited at several updates "
                "with held-out images and a loss"
            )
        for number, methods in groups(moving, _PANELS):
            yield _figure(results, number, {m: found[m] for m in methods}, list(found))
        compared = {m: audits[-1] for m, audits in found.items() if audits[-1].logits}
        if compared:
            yield _table(results, compared, list(found))
        else:
            yield Omitted("no audit has logits of images")


def _with_losses(audits: Sequence[Audit]) -> list[Audit]:
    return [a for a in audits if abs(a.loss_train) + abs(a.loss_heldout) < LARGEST]


def _figure(
    results: Results, number: str, found: Mapping[str, Sequence[Audit]], audited: Sequence[str]
) -> Figure:
    columns = min(_COLUMNS, len(found))
    rows = math.ceil(len(found) / columns)
    drawing = paper(0.7 + 1.4 * rows, WIDTH if columns > 1 else 4.2)
    grid = drawing.subplots(rows, columns, sharex=True, squeeze=False).ravel()
    for axes in grid[len(found) :]:
        axes.set_visible(False)
    for i, ((method, audits), axes) in enumerate(zip(found.items(), grid, strict=False)):
        _panel(axes, _with_losses(audits), pens(results.methods)[method].colour)
        axes.set_title(plain(method))
        axes.tick_params(labelbottom=i + columns >= len(found))
        if i + columns >= len(found):
            axes.set_xlabel("G updates")
    for axes in grid[::columns]:
        axes.set_ylabel("D's loss")
    drawing.legend(
        [Line2D([], [], color="#444444", linestyle=dash) for dash in ("--", "-")],
        ["training images", "held-out images"],
        loc="outside lower center",
        ncols=2,
    )
    return Figure(
        f"overfitting{number}",
        "D's loss on its training images and on held-out ones, beside the same generated images.",
        drawing,
        (
            "The vertical axes differ, and losses of different kinds cannot be compared; the gap "
            "between the two lines can.",
            *notes(results, audited, "audits"),
        ),
        pd.DataFrame(
            audit.place | {"loss_train": audit.loss_train, "loss_heldout": audit.loss_heldout}
            for audits in found.values()
            for audit in _with_losses(audits)
        ),
    )


def _panel(axes: Axes, audits: Sequence[Audit], colour: str) -> None:
    updates = [audit.update for audit in audits]
    axes.grid()
    axes.plot(updates, [audit.loss_train for audit in audits], "--", color=colour)
    axes.plot(updates, [audit.loss_heldout for audit in audits], "-", color=colour)
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))


def _table(results: Results, audits: Mapping[str, Audit], audited: Sequence[str]) -> Table:
    def mean(audit: Audit, of: str) -> float:
        return audit.logits[of].mean if of in audit.logits else math.nan

    return Table(
        name="logits",
        caption="D's mean logits of its training images, of held-out and of generated ones.",
        columns=(
            "Method",
            *_LOGITS.values(),
            "Gap",
            "Loss, train",
            "Loss, held-out",
        ),
        rows=tuple(
            (
                audit.entry,
                *[text(mean(audit, of)) for of in _LOGITS],
                text(audit.overfitting_gap),
                text(audit.loss_train),
                text(audit.loss_heldout),
            )
            for audit in audits.values()
        ),
        raw=pd.DataFrame(
            audit.place
            | {f"logit_{of}": mean(audit, of) for of in _LOGITS}
            | {
                "overfitting_gap": audit.overfitting_gap,
                "loss_train": audit.loss_train,
                "loss_heldout": audit.loss_heldout,
            }
            for audit in audits.values()
        ),
        notes=(
            "Gap: the mean logit of training images minus that of held-out ones, in logits, whose "
            "scale is each method's own.",
            *notes(results, audited),
        ),
    )
