"""Turn images into the features and class logits of a pretrained network."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lipbench.measure import Features

# Gets what is done, how many of it by now, and of how many: a long preparation that is told of.
Progress = Callable[[str, int, int], None]


def silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Extractor:
    """A network from images, uint8 (B, channels, H, W), to (pooled, logits), with its needs."""

    network: nn.Module
    channels: int
    batch_size: int  # that suits a CPU; a GPU gets 8 times as many

    def to(self, device: torch.device) -> Extractor:
        """Return the extractor on a device, without gradients, in eval mode."""
        network = self.network.to(device).eval().requires_grad_(False)
        scale = 1 if device.type == "cpu" else 8
        return Extractor(network, self.channels, self.batch_size * scale)


@contextlib.contextmanager
def exact_float32(device: torch.device) -> Iterator[None]:
    """Compute in full float32 without gradients: no autocast, no TF32, whatever training set.

    Half precision features shift a Frechet distance by units, not by digits.
    """
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with (
            torch.inference_mode(),
            torch.autocast(device.type, enabled=False),
            torch.backends.cudnn.flags(
                enabled=True, benchmark=False, deterministic=True, allow_tf32=False
            ),
        ):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)


def extract(
    extractor: Extractor, images: Tensor, report: Progress = silent, what: str = ""
) -> Features:
    """Return the features of images, uint8 (N, C, H, W) on the extractor's device.

    Gray images are repeated where the network takes three channels. `report` gets `what` and the
    images so far, before the first and after each batch.
    """
    pooled, logits, done = [], [], 0
    report(what, done, len(images))
    with exact_float32(images.device):
        for batch in images.split(extractor.batch_size):
            # One memory layout, since another would change a feature's last digits.
            batch = batch.expand(-1, extractor.channels, -1, -1)
            outputs = extractor.network(batch.clone(memory_format=torch.contiguous_format))
            pooled.append(outputs[0].cpu())
            logits.append(outputs[1].cpu())
            done += len(batch)
            report(what, done, len(images))
    return Features(torch.cat(pooled), torch.cat(logits))


def pixels(images: Tensor) -> Features:
    """Return images, uint8 (N, C, H, W), as features themselves: their pixels in [0, 1], flat."""
    flat = images.flatten(1).cpu().float() / 255
    return Features(flat, flat.new_empty(len(flat), 0))


def points(samples: Tensor) -> Features:
    """Return points, float32 (N, dimension), as features themselves: their coordinates."""
    flat = samples.flatten(1).cpu().float()
    return Features(flat, flat.new_empty(len(flat), 0))


# How samples (N, ...) become features on the spaces that need no network.
RAW: Mapping[str, Callable[[Tensor], Features]] = {"pixels": pixels, "points": points}
