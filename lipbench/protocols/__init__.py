"""Protocols: named, versioned records that pin how scores are computed. Imports no torch."""

from lipbench.protocols.own import custom, find, protocol
from lipbench.protocols.record import Protocol, RecordError, Selection, Sizes, Use, from_json
from lipbench.protocols.scores import SCORES, Score
from lipbench.protocols.shipped import FITTED, PROTOCOLS, check

__all__ = [
    "FITTED", "PROTOCOLS", "SCORES", "Protocol", "RecordError", "Score", "Selection", "Sizes",
    "Use", "check", "custom", "find", "from_json", "protocol",
]  # fmt: skip
