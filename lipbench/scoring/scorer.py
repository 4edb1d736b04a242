"""Score a generator under a protocol."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from lipbench import protocols, streams
from lipbench.data import Dataset
from lipbench.measure import Features, Real
from lipbench.protocols import SCORES, Protocol
from lipbench.scoring import extractors
from lipbench.scoring.bootstrap import standard_error
from lipbench.scoring.collapse import collapsed
from lipbench.scoring.features import RAW, Progress, extract, silent
from lipbench.scoring.reference import Reference
from lipbench.scoring.sampling import frozen, sample
from lipbench.streams import Latents

SELECTION_LATENTS = "selection latents"

Kind = Literal["selection", "last", "best"]


@dataclass(frozen=True)
class ScoreRecord:
    """The scores of one generator at one update, with what they must be read with."""

    update: int
    checkpoint: Kind  # a selection's scores choose the best one, and are not reported
    protocol: str  # its id
    scores: dict[str, float]
    seconds: float
    spreads: dict[str, float] = field(default_factory=dict)  # over sets of images, n - 1
    errors: dict[str, float] = field(default_factory=dict)  # bootstrap standard errors of one set
    floors: dict[str, float] = field(default_factory=dict)  # what real images score
    counts: dict[str, int] = field(default_factory=dict)
    indices: dict[str, str] = field(default_factory=dict)  # the sha256 of each draw of real images
    collapsed: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return asdict(self)


class Scorer:
    """Scores generators under one protocol against one dataset; made once, used for many runs.

    Making one loads the extractor and the real images' features, extracted at their first use,
    of which `report` hears. `weights` names the file of an extractor whose weights are not
    installed with a package. Raises UserError if the weights are missing or the dataset is too
    small.
    """

    def __init__(
        self,
        protocol: Protocol,
        dataset: Dataset,
        device: torch.device,
        cache: Path,
        weights: Path | None = None,
        report: Progress = silent,
    ) -> None:
        train, test = dataset.train, dataset.test
        protocols.check(protocol, len(train), len(test), dataset.name, train.shape)
        self.protocol = protocol
        self.device = device
        self._extractor = (
            extractors.load(protocol, cache, weights).to(device)
            if protocol.uses_extractor
            else None
        )
        self._measures = {name: protocol.measure(name) for name in self._names()}
        self._reference = Reference(protocol, dataset, self._extractor, cache, report)

    def score(
        self,
        generator: nn.Module,
        *,
        latents: Latents,
        seed: int,
        update: int,
        checkpoint: Kind = "last",
    ) -> ScoreRecord:
        """Return the scores of a generator from such latents to images in [-1, 1].

        The generator may be in training: a copy of it is scored. Latents are a function of seed
        and update. Raises NonFiniteImages if an image holds inf or nan.
        """
        start = time.perf_counter()
        protocol, reference = self.protocol, self._reference
        values: dict[str, list[float]] = {name: [] for name in protocol.scores}
        errors: dict[str, float] = {}
        low_variance = False
        drawn = self._sets(generator, latents, seed, update)
        for number, views in enumerate(drawn):
            for name, use in protocol.scores.items():
                if number >= use.sets:
                    continue
                fake = views.of(SCORES[name].space, protocol.n_fake_of(name))
                values[name].append(self._value(name, fake, reference.real(name)))
                if number == 0 and protocol.bootstrap:
                    errors[name] = self._error(name, fake, seed, update)
            if number == 0:
                primary = reference.real(protocol.primary)
                fake = views.of(SCORES[protocol.primary].space, protocol.n_fake)
                low_variance = collapsed(fake, primary, protocol.collapse_ratio)
        return ScoreRecord(
            update=update,
            checkpoint=checkpoint,
            protocol=protocol.id,
            scores={name: float(np.mean(found)) for name, found in values.items()},
            spreads={
                name: float(np.std(found, ddof=1))
                for name, found in values.items()
                if len(found) > 1
            },
            errors=errors,
            floors=dict(reference.floors),
            counts={
                "n_real": protocol.n_real,
                "n_fake": protocol.n_fake,
                "sets": protocol.sets,
                "bootstrap": protocol.bootstrap,
            },
            indices=reference.draws.digests(),
            collapsed=low_variance,
            seconds=time.perf_counter() - start,
        )

    def prepare_selection(self) -> None:
        """Load the features of the real images that `select` compares with."""
        for name in self.protocol.selection.scores:
            self._reference.selection(name)

    def select(
        self, generator: nn.Module, *, latents: Latents, seed: int, update: int
    ) -> ScoreRecord:
        """Return the scores by which checkpoints are chosen: one set, latents and real images
        apart from those of the scores that are reported. Raises as `score` does."""
        start = time.perf_counter()
        chosen = self.protocol.selection
        views = self._generated(
            frozen(generator), latents, seed, SELECTION_LATENTS, update, 0, chosen.n_fake
        )
        scores = {
            name: self._value(
                name,
                views.of(SCORES[name].space, chosen.n_fake),
                self._reference.selection(name),
            )
            for name in chosen.scores
        }
        return ScoreRecord(
            update=update,
            checkpoint="selection",
            protocol=self.protocol.id,
            scores=scores,
            counts={"n_real": chosen.n_real, "n_fake": chosen.n_fake, "sets": 1},
            seconds=time.perf_counter() - start,
        )

    def _sets(
        self, generator: nn.Module, latents: Latents, seed: int, update: int
    ) -> Iterator[_Views]:
        fixed, stream = frozen(generator), self.protocol.latents_stream
        for number in range(self.protocol.sets):
            count = self.protocol.n_fake_in(number)
            yield self._generated(fixed, latents, seed, stream, update, number, count)

    def _generated(
        self,
        generator: nn.Module,
        latents: Latents,
        seed: int,
        stream: str,
        update: int,
        number: int,
        count: int,
    ) -> _Views:
        """Return what is to be known of one set of generated images."""
        drawn = latents.draw(count, seed, stream, update, number)
        images = sample(generator, drawn, self.device)
        wanted = {SCORES[name].space for name in self._names()}
        found = {space: RAW[space](images) for space in wanted & RAW.keys()}
        if self._extractor:
            features = extract(self._extractor, images)
            found |= {space: features for space in wanted - RAW.keys()}
        labels = latents.labels(drawn)
        return _Views({space: each._replace(labels=labels) for space, each in found.items()})

    def _names(self) -> Iterable[str]:
        return {*self.protocol.scores, *self.protocol.selection.scores}

    def _value(self, name: str, fake: Features, real: Real) -> float:
        return self._measures[name].value(fake, real)

    def _error(self, name: str, fake: Features, seed: int, update: int) -> float:
        return standard_error(
            self._measures[name],
            fake,
            self._reference.real(name),
            self.protocol.bootstrap,
            streams.generator(seed, "bootstrap", update),
        )


class _Views:
    """One set of images as features, by space; scores that take as many of them share them."""

    def __init__(self, features: Mapping[str, Features]) -> None:
        self._features = features
        self._cut: dict[tuple[str, int], Features] = {}

    def of(self, space: str, count: int) -> Features:
        """Return the features of the first so many images, which are in no order."""
        key = (space, count)
        if key not in self._cut:
            self._cut[key] = self._features[space].at(slice(count))
        return self._cut[key]
