"""The layers of D: the sigma and ranks of the kernels, and the norms as operators."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from lipbench.reporting import Exhibit, Figure, Omitted, Shown, Table
from lipbench.results import Results

from ._audits import (
    NO_AUDIT,
    PLACE,
    by_method,
    first,
    interval,
    layer_facts,
    layer_names,
    median,
    newest,
    notes,
    runs_of,
    text,
)
from ._draw import ROWS, groups, positive
from ._strips import heat

_FACTS = {
    "sigma_kernel": "σ of the kernel",
    "sigma_operator": "σ of the operator",
    "effective_rank": "Effective rank",
    "stable_rank": "Stable rank",
}


class Layers(Exhibit):
    """Show the facts of each layer: the median over runs, and the range over layers and runs."""

    title = "The discriminator's layers"
    order = 110
    part = "lipschitz and cost"

    def show(self, results: Results) -> Iterator[Table | Figure | Omitted]:
        audits = newest(results)
        facts = layer_facts(audits)
        if facts.empty:
            yield NO_AUDIT
            return
        about = tuple(notes(results, audits))
        yield _table(results, facts, about)
        drawable = [
            m for m, own in facts.groupby("method", sort=False) if positive(own["sigma_operator"])
        ]
        layers = [
            x for x in dict.fromkeys(layer_names(audits).values()) if x in set(facts["layer"])
        ]
        for number, methods in groups(list(map(str, drawable)), ROWS):
            yield _figure(number, facts[facts["method"].isin(methods)], layers, about)


def _table(results: Results, facts: pd.DataFrame, about: tuple[str, ...]) -> Table:
    audits = by_method(newest(results))
    # The rank of a layer with one output is 1.
    ranked = facts.assign(
        **{f: facts[f].where(facts["outputs"] != 1) for f in _FACTS if "rank" in f}
    )
    rows: list[tuple[Shown | str, ...]] = []
    for method, own in ranked.groupby("method", sort=False):
        found = audits[str(method)]
        counts = own.groupby("run_id")["layer"].size()
        entries = [
            Shown(text(median(list(own[fact]))), detail=interval(own[fact]), runs=runs_of(found))
            for fact in _FACTS
        ]
        rows.append((first(str(method), found), interval(counts), *entries))
    some = facts[list(_FACTS)].isna().any(axis=None)
    return Table(
        name="layers",
        caption="The discriminators' layers: the median over each method's layers and audited "
        "runs, with the lowest and the highest below.",
        columns=("Method", "Layers", *_FACTS.values()),
        rows=tuple(rows),
        raw=facts[[*PLACE, "layer", "kind", *_FACTS]],
        notes=(
            "σ of the kernel: the largest singular value of the weight in use, as a matrix "
            "(outputs, rest). σ of the operator: that of the layer as a map of its input, "
            "with its stride and padding. Both ranks are the kernel's: the effective one is "
            "exp of the entropy of its singular values (Roy and Vetterli 2007), the stable "
            "one ‖W‖² / σ² with the Frobenius norm. Layers with one output, whose rank is 1, "
            "are left out of both.",
            *(
                ["A layer without a weight matrix in use has no facts of a kernel."]
                if some
                else []
            ),
            *about,
            "The CSV file has every layer of every run.",
        ),
    )


def _figure(number: str, facts: pd.DataFrame, layers: list[str], about: tuple[str, ...]) -> Figure:
    label = "σ of the operator"
    drawing, colours, numbers = heat(facts, "layer", layers, "sigma_operator", label)
    return Figure(
        f"layers{number}",
        "The operator norm of each layer, the median over a method's audited runs.",
        drawing,
        (*colours, *about),
        numbers,
    )
