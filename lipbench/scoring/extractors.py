"""The feature extractors by name: where their weights are, how to build them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lipbench.protocols import Protocol
from lipbench.scoring import digits, effnetlite, inception, weights
from lipbench.scoring.features import Extractor


@dataclass(frozen=True)
class Loader:
    """How an extractor comes to be."""

    locate: Callable[[str, Path, Path | None], Path]  # (sha256, cache, explicit path) to a file
    build: Callable[[bytes], Extractor]  # from the file's verified content


EXTRACTORS = {
    "inception": Loader(inception.locate, inception.build),
    "inception_clean": Loader(inception.locate, inception.build_clean),
    "effnetlite0": Loader(effnetlite.locate, effnetlite.build),
    "digits": Loader(digits.locate, digits.build),
}


def prepare(protocol: Protocol, cache: Path, explicit: Path | None = None) -> None:
    """Make sure that a protocol's weights are here and right, downloading them if need be.

    Raises UserError, saying what to do, if they are not. Nothing is asked of a protocol whose
    scores need no network.
    """
    if protocol.uses_extractor:
        _verified(protocol, cache, explicit)


def load(protocol: Protocol, cache: Path, explicit: Path | None = None) -> Extractor:
    """Return a protocol's extractor on the CPU; raise UserError as `prepare` does."""
    return EXTRACTORS[protocol.extractor].build(_verified(protocol, cache, explicit))


def _verified(protocol: Protocol, cache: Path, explicit: Path | None) -> bytes:
    sha256 = protocol.weights_sha256
    path = EXTRACTORS[protocol.extractor].locate(sha256, cache, explicit)
    return weights.read(path, sha256)
