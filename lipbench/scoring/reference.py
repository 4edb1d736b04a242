"""What generated images are compared with: real images, and what those score themselves."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lipbench import cached, streams
from lipbench.data import Dataset, Split
from lipbench.measure import Features, Real
from lipbench.protocols import SCORES, Protocol
from lipbench.scoring.bank import BANK_VERSION, Bank
from lipbench.scoring.features import RAW, Extractor, Progress, silent

_VERSION = 2  # of the measures' code; a change of what they compute makes older floors void
_INDEX_SEED = 0  # one draw for all runs, so that their real images are the same


@dataclass(frozen=True)
class Draws:
    """Which real images a protocol uses, as distinct indices of its splits."""

    real: Tensor
    selection: Tensor
    training: Tensor
    floor: Tensor | None  # in a random order; None where the split has too few images

    def digests(self) -> dict[str, str]:
        """Return the sha256 of each draw's indices."""
        drawn = {name: index for name, index in vars(self).items() if index is not None}
        return {name: _digest(index) for name, index in drawn.items() if len(index)}


class Reference:
    """The real side of a protocol's scores on one dataset."""

    def __init__(
        self,
        protocol: Protocol,
        dataset: Dataset,
        extractor: Extractor | None,
        cache: Path,
        report: Progress = silent,
    ) -> None:
        self._protocol = protocol
        self._dataset = dataset
        self._report = report
        self._bank = Bank(protocol, dataset, extractor, cache, report) if extractor else None
        self._made: dict[tuple[object, ...], Real] = {}
        self.draws = draw(protocol, dataset)
        self.floors = self._floors(cache)

    def real(self, score: str) -> Real:
        """Return what generated images are compared with for a score that is reported."""
        count = self._protocol.n_real_of(score)
        return self._real(score, self._protocol.real_split, "real", count)

    def selection(self, score: str) -> Real:
        """Return what generated images are compared with to choose a checkpoint."""
        chosen = self._protocol.selection
        return self._real(score, chosen.split, "selection", chosen.n_real)

    def _real(self, score: str, split: str, draw: str, count: int) -> Real:
        """Return the real images of a draw for a score; scores with the same ones share it."""
        space = SCORES[score].space
        compares = SCORES[score].needs_training
        key = (space, draw, count, compares)
        if key not in self._made:
            index: Tensor = getattr(self.draws, draw)
            labels = getattr(self._dataset, split).labels.cpu()
            if count < len(index):
                index = index[stratified_index(labels[index], count, draw)]
            training = self._features(space, "train", self.draws.training) if compares else None
            features = self._features(space, split, index)
            self._made[key] = Real(features, training, labels[index])
        return self._made[key]

    def _features(self, space: str, split: str, index: Tensor) -> Features:
        if space not in RAW:
            assert self._bank is not None, space
            return self._bank.features(split, index)
        images: Split = getattr(self._dataset, split)
        samples = images.at(index)
        return RAW[space](samples.permute(0, 3, 1, 2) if samples.dim() == 4 else samples)

    def _floors(self, cache: Path) -> dict[str, float]:
        """Return the scores of real images in the generated ones' place, computed once."""
        record = {
            "version": [_VERSION, BANK_VERSION],
            "protocol": dataclasses.asdict(self._protocol),
            "dataset": self._dataset.fingerprint,
            "shape": list(self._dataset.test.samples.shape[1:]),
            "draws": self.draws.digests(),
        }
        own = SCORES.own(self._protocol.scores)
        if own:  # of lipbench's own measures, _VERSION says what they are
            record["measures"] = {name: plugin.source_hash for name, plugin in own.items()}
        key = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
        path = cache / "floors" / f"{key}.json"
        stored: dict[str, float] | None = cached.read(path, record)
        if stored is None:
            computed: dict[str, float | None] = {}
            for name in self._protocol.scores:
                computed[name] = self._floor(name)
                count = len(self._protocol.scores)
                self._report("scores of real images", len(computed), count)
            stored = {name: value for name, value in computed.items() if value is not None}
            cached.write(path, record, stored)
        return stored

    def _floor(self, score: str) -> float | None:
        """Return what real images score; None where there are too few that were not drawn yet."""
        protocol, about = self._protocol, SCORES[score]
        measure = protocol.measure(score)
        kind = measure.floor
        real = self.real(score)
        if kind == "held-out":
            if protocol.real_split == "train":
                return None
            fake = real.features
        elif self.draws.floor is None:
            return None
        else:
            index = self.draws.floor[: protocol.n_fake_of(score)]
            labels = getattr(self._dataset, protocol.floor_split).labels.cpu()[index]
            fake = self._features(about.space, protocol.floor_split, index)._replace(labels=labels)
        if kind == "training, apart" and protocol.floor_split == "train":
            apart = self.draws.training[~torch.isin(self.draws.training, index)]
            if len(apart) < 2:
                return None
            real = Real(real.features, self._features(about.space, "train", apart), real.labels)
        value = measure.value(fake, real)
        return None if math.isnan(value) else value


def draw(protocol: Protocol, dataset: Dataset) -> Draws:
    """Return a protocol's real images: draws from one split share none, training's apart."""
    taken: dict[str, list[Tensor]] = {"train": [], "test": []}

    def drawn(split: str, count: int, name: str) -> Tensor | None:
        labels = getattr(dataset, split).labels.cpu()
        left = torch.ones(len(labels), dtype=torch.bool)
        for index in taken[split]:
            left[index] = False
        rest = left.nonzero()[:, 0]
        if len(rest) < count:
            return None
        index = rest[stratified_index(labels[rest], count, name)]
        taken[split].append(index)
        return index

    chosen = protocol.selection
    real = drawn(protocol.real_split, protocol.n_real, "real")
    selection = drawn(chosen.split, chosen.n_real, "selection")
    if real is None or selection is None:
        raise ValueError(f"{protocol.id} draws more images than the dataset has")
    if chosen.split == protocol.floor_split:
        taken[chosen.split].pop()  # the two are never compared with each other
    floor = drawn(protocol.floor_split, protocol.n_fake, "floor")
    if floor is not None:
        order = streams.generator(_INDEX_SEED, "real images", "order of the floor")
        floor = floor[torch.randperm(len(floor), generator=order)]
    labels = dataset.train.labels.cpu()
    training = stratified_index(labels, protocol.training_images, "training")
    return Draws(real, selection, training, floor)


def stratified_index(labels: Tensor, count: int, name: str) -> Tensor:
    """Return `count` sorted indices, drawn at random with each class's share of the labels.

    `name` names the draw. Shares are rounded so that the largest remainders get the rest.
    """
    generator = streams.generator(_INDEX_SEED, "real images", name)
    labels = labels.cpu()
    classes, sizes = labels.unique(return_counts=True)
    shares = sizes.double() * count / len(labels)
    quotas = shares.floor().long()
    rest = count - int(quotas.sum())
    quotas[(quotas - shares).argsort(stable=True)[:rest]] += 1
    drawn = []
    for label, quota in zip(classes, quotas.tolist(), strict=True):
        members = (labels == label).nonzero()[:, 0]
        drawn.append(members[torch.randperm(len(members), generator=generator)[:quota]])
    return torch.cat(drawn).sort().values


def _digest(index: Tensor) -> str:
    return hashlib.sha256(index.numpy().astype("<i8").tobytes()).hexdigest()
