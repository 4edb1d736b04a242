"""Protocols: named, versioned records that pin how scores are computed. Imports no torch."""

from lipbench.protocols.fit import check
from lipbench.protocols.reader import FITTED, PROTOCOLS, custom, find, papers, protocol
from lipbench.protocols.record import Protocol, RecordError, Selection, Sizes, Use, from_json
from lipbench.protocols.scores import SCORES, SPACES, Score

__all__ = [
    "FITTED", "PROTOCOLS", "SCORES", "SPACES", "Protocol", "RecordError", "Score", "Selection",
    "Sizes", "Use", "check", "custom", "find", "from_json", "papers", "protocol",
]  # fmt: skip
