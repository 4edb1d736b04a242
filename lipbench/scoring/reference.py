"""What generated images are compared with: real statistics, and real images' own scores."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipbench import atomic, streams
from lipbench.data import Dataset, Split
from lipbench.errors import UserError
from lipbench.protocols import SCORES, Protocol
from lipbench.scoring.features import Extractor, Features, extract
from lipbench.scoring.measures import MEASURES, Statistics, statistics

_VERSION = 1  # of the computation below; a change of it makes older files void
_INDEX_SEED = 0  # one draw for all runs, so that their real images are the same


@dataclass(frozen=True)
class Reference:
    """The real side of a protocol's scores on one dataset."""

    statistics: Statistics
    floors: dict[str, float]  # what n_fake real training images score in the generator's place
    indices: dict[str, str]  # the sha256 of the images' indices, by split


def load(protocol: Protocol, dataset: Dataset, extractor: Extractor, cache: Path) -> Reference:
    """Return the reference from the cache if it is there and sound, else compute and store it.

    A file's name is the hash of all that decides its content, so it is never stale; several
    processes may write the same one.
    """
    real = stratified_index(dataset.test.labels, protocol.n_real, protocol.real_split)
    floor = stratified_index(dataset.train.labels, protocol.n_fake, protocol.floor_split)
    indices = {protocol.real_split: _digest(real), protocol.floor_split: _digest(floor)}
    key = _key(protocol, dataset, indices)
    path = cache / "statistics" / f"{key}.npz"
    stored = _read(path, key, protocol)
    if stored is None:
        stored = _compute(protocol, dataset, extractor, real, floor)
        _write(path, key, *stored)
    return Reference(*stored, indices)


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


def features_of(split: Split, index: Tensor, extractor: Extractor) -> Features:
    """Return the features of some of a split's images."""
    images = split.images[index.to(split.images.device)]
    return extract(extractor, images.permute(0, 3, 1, 2))


def _compute(
    protocol: Protocol, dataset: Dataset, extractor: Extractor, real: Tensor, floor: Tensor
) -> tuple[Statistics, dict[str, float]]:
    keep_features = protocol.kernel_subsets is not None
    moments = statistics(features_of(dataset.test, real, extractor).pooled, keep_features)
    in_place = features_of(dataset.train, floor, extractor)
    floors = {
        name: MEASURES[SCORES[name].measure](in_place, moments, protocol)
        for name in protocol.scores
    }
    return moments, floors


def _digest(index: Tensor) -> str:
    return hashlib.sha256(index.numpy().astype("<i8").tobytes()).hexdigest()


def _key(protocol: Protocol, dataset: Dataset, indices: dict[str, str]) -> str:
    """Return the hash of all that decides a reference: the protocol pins weights, N, resize.

    The images' shape is part of it, since one folder of images can be decoded to several sizes.
    """
    record = {
        "version": _VERSION,
        "protocol": dataclasses.asdict(protocol),
        "dataset": dataset.fingerprint,
        "shape": list(dataset.test.images.shape[1:]),
        "indices": indices,
    }
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _write(path: Path, key: str, moments: Statistics, floors: dict[str, float]) -> None:
    arrays: dict[str, Any] = {
        "key": np.array(key),
        "mean": moments.mean,
        "covariance": moments.covariance,
        "pooled": moments.pooled.numpy(),
        "floors": np.array([floors[name] for name in floors]),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.replace(path, lambda file: np.savez(file, **arrays))
    except OSError as error:
        raise UserError(f"cannot write real statistics to {path.parent}: {error}") from error


def _read(path: Path, key: str, protocol: Protocol) -> tuple[Statistics, dict[str, float]] | None:
    """Return a stored reference, or None where there is none or it cannot be trusted.

    The file is a zip, whose members carry checksums.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            if str(arrays["key"]) != key:
                return None
            mean: NDArray[np.float32] = arrays["mean"]
            pooled = torch.from_numpy(arrays["pooled"])
            moments = Statistics(mean, arrays["covariance"], pooled)
            floors = dict(zip(protocol.scores, arrays["floors"].tolist(), strict=True))
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error):
        return None
    return moments, floors
