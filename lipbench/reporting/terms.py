"""What a paper calls the things that results name, and whom it cites for each.

Keys are those of `references.bib`, here or beside the built-in methods. What is not here is
written as results name it, without a citation.
"""

from __future__ import annotations

from dataclasses import dataclass

from lipbench import protocols
from lipbench.protocols import SCORES, Protocol


@dataclass(frozen=True)
class Term:
    """Words for a sentence, and the keys of the papers that stand behind them."""

    words: str
    papers: tuple[str, ...] = ()


ADAM = ("kingma2015",)
OPTUNA = ("akiba2019",)

INITIALISATIONS = {
    "normal_0.02": Term("a normal distribution with mean 0 and standard deviation 0.02"),
    "xavier_uniform": Term("Glorot and Bengio's uniform distribution", ("glorot2010",)),
    "orthogonal": Term("random orthogonal matrices", ("saxe2014",)),
}
SPACES = {  # of `lipbench.protocols.scores.SPACES`
    "inception": ("szegedy2016", "obukhov2020"),
    "effnetlite0": ("tan2019",),
    "digits": (),
    "pixels": (),
    "points": (),
}
PACKAGES = {
    "python": Term("Python"),
    "torch": Term("PyTorch", ("paszke2019",)),
    "numpy": Term("NumPy"),
}


def of_protocol(protocol: Protocol) -> tuple[str, ...]:
    """Return the papers that a protocol follows; a user's own one, those of its base."""
    base = protocol.source.removeprefix("a user's own, based on ")
    name = protocol.name if base == protocol.source else base.partition("@")[0]
    fitted = "offline_small" if name.startswith("offline_small_") else name
    return protocols.papers(fitted)


def of_features(protocol: Protocol) -> tuple[str, ...]:
    """Return the papers of the networks whose features a protocol's scores are computed on."""
    spaces = dict.fromkeys(SCORES[score].space for score in protocol.scores)
    return tuple(dict.fromkeys(key for space in spaces for key in SPACES.get(space, ())))
