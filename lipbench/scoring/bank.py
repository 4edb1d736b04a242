"""Features of real images: extracted once for all protocols, and kept."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from lipbench import atomic, cached
from lipbench.data import Dataset, Split
from lipbench.measure import Features
from lipbench.protocols import Protocol
from lipbench.scoring.features import Extractor, Progress, extract, silent

BANK_VERSION = 1  # of the extractors' code; a change of what they compute makes older files void
_PARTS = ("index", "pooled", "logits")


class Bank:
    """The features of one dataset's images by one extractor, in a file for each split.

    A file's name is the hash of all that decides a feature: dataset, image shape, weights and
    preprocessing and the kind of device, but no protocol. It grows by the images that are asked
    for and not there yet, so which images shared a batch depends on what was scored before: that
    moves a feature's last digits (by 1e-5 on EfficientNet-Lite0). A file that is damaged is made
    again; of several processes that write one, the last one wins.
    """

    def __init__(
        self,
        protocol: Protocol,
        dataset: Dataset,
        extractor: Extractor,
        cache: Path,
        report: Progress = silent,
    ) -> None:
        self._dataset = dataset
        self._report = report
        self._extractor = extractor
        self._folder = cache / "features"
        self._identity = {
            "version": BANK_VERSION,
            "dataset": dataset.fingerprint,
            # One folder of images can be decoded to several sizes.
            "shape": list(dataset.test.samples.shape[1:]),
            "extractor": protocol.extractor,
            "weights": protocol.weights_sha256,
            "preprocessing": protocol.preprocessing,
            "device": dataset.test.device.type,
        }

    def features(self, split: str, index: Tensor) -> Features:
        """Return the features of a split's images, in the order of their distinct indices.

        Raises UserError where the cache cannot be written.
        """
        identity = json.dumps(self._identity | {"split": split}, sort_keys=True)
        key = hashlib.sha256(identity.encode()).hexdigest()
        path = self._folder / f"{key}.safetensors"
        stored = _read(path, key)
        missing = index if stored is None else index[~torch.isin(index, stored["index"])]
        if stored is None or len(missing):
            stored = self._extended(stored, split, missing)
            _write(path, key, stored)
        place = torch.searchsorted(stored["index"], index)
        return Features(stored["pooled"][place], stored["logits"][place])

    def _extended(
        self, stored: dict[str, Tensor] | None, split: str, missing: Tensor
    ) -> dict[str, Tensor]:
        images: Split = getattr(self._dataset, split)
        what = f"features of real images ({split} split)"
        features = features_of(images, missing, self._extractor, self._report, what)
        made = dict(zip(_PARTS, (missing, features.pooled, features.logits), strict=True))
        parts = [made] if stored is None else [stored, made]
        joined = {name: torch.cat([part[name] for part in parts]) for name in _PARTS}
        order = joined["index"].argsort()
        return {name: tensor[order].contiguous() for name, tensor in joined.items()}


def features_of(
    split: Split, index: Tensor, extractor: Extractor, report: Progress = silent, what: str = ""
) -> Features:
    """Return the features of some of a split's images; `report` gets `what` as `extract` says."""
    images = split.at(index)
    return extract(extractor, images.permute(0, 3, 1, 2), report, what)


def _checksum(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in _PARTS:
        digest.update(tensors[name].numpy().data)
    return digest.hexdigest()


def _write(path: Path, key: str, tensors: dict[str, Tensor]) -> None:
    facts = {"key": key, "checksum": _checksum(tensors)}
    content = safetensors.torch.save(tensors, metadata=facts)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.replace(path, lambda file: file.write(content))
    except OSError as error:
        raise cached.refusal(path, error) from error


def _read(path: Path, key: str) -> dict[str, Tensor] | None:
    """Return a stored file's tensors, or None where there is none or it cannot be trusted."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            facts = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in _PARTS}
    except (OSError, safetensors.SafetensorError):
        return None
    sound = facts.get("key") == key and facts.get("checksum") == _checksum(tensors)
    return tensors if sound else None
