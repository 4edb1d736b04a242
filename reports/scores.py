"""The protocol's other scores, a table each."""

from __future__ import annotations

from collections.abc import Iterator

from lipbench.reporting import Exhibit, Omitted, Study, Table

from ._grid import grid


class OtherScores(Exhibit):
    """Show every method at every setting by each score that methods are not ranked by."""

    title = "Other scores"
    order = 30

    def show(self, study: Study) -> Iterator[Table | Omitted]:
        others = [score for score in study.protocol.scores if score != study.protocol.primary]
        if not others:
            yield Omitted(f"the protocol {study.protocol.id} has one score")
        for score in others:
            yield grid(study, score, f"score_{score}")
