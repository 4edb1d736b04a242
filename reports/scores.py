"""The protocol's other scores, a table each."""

from __future__ import annotations

from collections.abc import Iterator

from lipbench.reporting import Exhibit, Omitted, Table
from lipbench.results import Results

from ._grid import grid


class OtherScores(Exhibit):
    """Show every method at every setting by each score that methods are not ranked by."""

    title = "Other scores"
    order = 30

    def show(self, results: Results) -> Iterator[Table | Omitted]:
        others = [score for score in results.protocol.scores if score != results.primary]
        if not others:
            yield Omitted(f"the protocol {results.protocol.id} has one score")
        for score in others:
            yield grid(results, score, f"score_{score}")
