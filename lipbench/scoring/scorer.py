"""Score a generator under a protocol."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lipbench import protocols, streams
from lipbench.data import Dataset
from lipbench.protocols import SCORES, Protocol
from lipbench.scoring import extractors, reference
from lipbench.scoring.features import Features, extract
from lipbench.scoring.measures import MEASURES, collapsed
from lipbench.scoring.sampling import frozen, sample


@dataclass(frozen=True)
class ScoreRecord:
    """The scores of one generator at one update, with what they must be read with."""

    update: int
    protocol: str  # its id, name@version
    scores: dict[str, float]
    spreads: dict[str, float]  # standard deviations over the sets, of the repeated scores
    floors: dict[str, float]  # what as many real training images score in the fakes' place
    counts: dict[str, int]
    indices: dict[str, str]  # the sha256 of the real images' indices, by split
    collapsed: bool
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return asdict(self)


class Scorer:
    """Scores generators under one protocol against one dataset; made once, used for many runs.

    Making one loads the extractor and the real statistics, computed at their first use.
    `weights` names the file of an extractor whose weights are not installed with a package.
    Raises UserError if the weights are missing or the dataset is too small.
    """

    def __init__(
        self,
        protocol: Protocol,
        dataset: Dataset,
        device: torch.device,
        cache: Path,
        weights: Path | None = None,
    ) -> None:
        protocols.check(protocol, len(dataset.train), len(dataset.test), dataset.name)
        self.protocol = protocol
        self.device = device
        self._extractor = extractors.load(protocol, cache, weights).to(device)
        self._reference = reference.load(protocol, dataset, self._extractor, cache)

    def score(
        self, generator: nn.Module, *, latent_dim: int, seed: int, update: int
    ) -> ScoreRecord:
        """Return the scores of a generator from latents (B, latent_dim) to images in [-1, 1].

        The generator may be in training: a copy of it is scored. Latents are a function of seed
        and update. Raises NonFiniteImages if an image holds inf or nan.
        """
        start = time.perf_counter()
        protocol, real = self.protocol, self._reference
        fixed = frozen(generator)
        first = self._features(fixed, latent_dim, seed, update, repeat=0)
        values = {name: [self._measure(name, first)] for name in protocol.scores}
        for repeat in range(1, protocol.repeats):
            features = self._features(fixed, latent_dim, seed, update, repeat)
            for name in protocol.repeated:
                values[name].append(self._measure(name, features))
        return ScoreRecord(
            update=update,
            protocol=protocol.id,
            scores={name: float(np.mean(values[name])) for name in protocol.scores},
            spreads={name: float(np.std(values[name])) for name in protocol.repeated},
            floors=dict(real.floors),
            counts={
                "n_real": protocol.n_real,
                "n_fake": protocol.n_fake,
                "n_floor": protocol.n_fake,
                "repeats": protocol.repeats,
            },
            indices=dict(real.indices),
            collapsed=collapsed(first, real.statistics, protocol.collapse_ratio),
            seconds=time.perf_counter() - start,
        )

    def _features(
        self, generator: nn.Module, latent_dim: int, seed: int, update: int, repeat: int
    ) -> Features:
        """Return the features of one set of generated images."""
        protocol = self.protocol
        latents = streams.latents(
            protocol.n_fake, latent_dim, seed, protocol.latents_stream, update, repeat
        )
        return extract(self._extractor, sample(generator, latents, self.device))

    def _measure(self, name: str, features: Features) -> float:
        measure = MEASURES[SCORES[name].measure]
        return measure(features, self._reference.statistics, self.protocol)
