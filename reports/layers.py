"""What each layer of D is: the sigma and ranks of its kernel, its norm as an operator."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import pandas as pd

from lipbench.reporting import Exhibit, Omitted, Table
from lipbench.results import Results

from ._audits import NO_AUDIT, Audit, interval, newest, notes

_FACTS = {
    "sigma_kernel": "σ of the kernel",
    "sigma_operator": "σ of the operator",
    "effective_rank": "Effective rank",
    "stable_rank": "Stable rank",
}


class Layers(Exhibit):
    """Show the range over the layers of what was measured of each."""

    title = "The discriminator's layers"
    order = 110
    part = "lipschitz and cost"

    def show(self, results: Results) -> Iterator[Table | Omitted]:
        audits = newest(results)
        if not any(audit.layers for audit in audits.values()):
            yield NO_AUDIT
            return
        yield Table(
            name="layers",
            caption="The layers of each discriminator: the lowest and the highest of each fact.",
            columns=("Method", "Layers", *_FACTS.values()),
            rows=tuple(
                (audit.entry, str(len(audit.layers)), *_ranges(audit)) for audit in audits.values()
            ),
            raw=pd.DataFrame(row for audit in audits.values() for row in _rows(audit)),
            notes=(
                "σ of the kernel: the largest singular value of the weight in use, as a matrix "
                "(outputs, rest). σ of the operator: that of the layer as a map of its input, "
                "with its stride and padding. Both ranks are the kernel's: the effective one is "
                "exp of the entropy of its singular values (Roy and Vetterli 2007), the stable "
                "one ‖W‖² / σ² with the Frobenius norm. Layers with one output, whose rank is 1, "
                "are left out of both.",
                *_told_of_gaps(audits.values()),
                *notes(results, audits),
                "The CSV file has every layer.",
            ),
        )


def _told_of_gaps(audits: Iterable[Audit]) -> Iterator[str]:
    layers = [layer for audit in audits for layer in audit.layers]
    if any(math.isnan(getattr(layer, fact)) for layer in layers for fact in _FACTS):
        yield (
            "Ranges are over the layers of which a fact is known: some have no weight matrix in "
            "use, so no facts of a kernel."
        )


def _ranges(audit: Audit) -> Iterator[str]:
    of_matrices = [layer for layer in audit.layers if len(layer.spectra["kernel"]) != 1]
    for fact in _FACTS:
        layers = of_matrices if fact.endswith("rank") else audit.layers
        yield interval(getattr(layer, fact) for layer in layers)


def _rows(audit: Audit) -> Iterator[dict[str, object]]:
    for layer in audit.layers:
        facts = {fact: getattr(layer, fact) for fact in _FACTS}
        yield audit.place | {"layer": layer.name, "kind": layer.kind} | facts
