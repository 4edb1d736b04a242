"""Real batches: which samples are drawn, what training does to them, and their way to the device.

Which ones, and all that is drawn for them, is a function of (seed, stream, index), so a batch can
be gathered before training asks for it: where the data is mapped from disk, a thread does that
for the next updates. Scores, audits and real statistics see the samples as they are.
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from lipbench import streams
from lipbench.data import Split
from lipbench.planning.spec import Augmentation

AHEAD = 8  # batches that are gathered before they are asked for, at most: our choice

Index = tuple[int | str, ...]


@dataclass(frozen=True)
class Draw:
    """What is drawn for a batch, on the CPU."""

    chosen: Tensor  # (B,), indices of samples, drawn with replacement
    flips: Tensor | None  # (B,), whether each image is mirrored
    offsets: Tensor | None  # (B, 2), the row and the column where each crop begins
    noise: Tensor | None  # (B, H, W, C) in [0, 1)


def draw(
    data: Split, count: int, augmentation: Augmentation, seed: int, stream: str, *index: int | str
) -> Draw:
    """Return the draws of one batch; each kind has a stream of its own."""

    def source(of: str) -> torch.Generator:
        return streams.generator(seed, f"{of} of {stream}", *index)

    chosen = torch.randint(len(data), (count,), generator=streams.generator(seed, stream, *index))
    flips = offsets = noise = None
    if augmentation.flip:
        flips = torch.rand(count, generator=source("flip")) < 0.5
    if augmentation.crop:
        places = 2 * augmentation.crop + 1
        offsets = torch.randint(places, (count, 2), generator=source("crop"))
    if augmentation.dequantise:
        noise = torch.rand((count, *data.samples.shape[1:]), generator=source("noise"))
    return Draw(chosen, flips, offsets, noise)


def real_batch(
    data: Split,
    count: int,
    seed: int,
    stream: str,
    *index: int | str,
    augmentation: Augmentation = Augmentation(),  # noqa: B008, it is frozen
) -> tuple[Tensor, Tensor]:
    """Return `count` real samples as networks take them, and their labels (count,).

    They are drawn with replacement.
    """
    drawn = draw(data, count, augmentation, seed, stream, *index)
    return _finished(data, drawn, _gathered(data, drawn), augmentation)


def in_order(
    data: Split, count: int, seed: int, augmentation: Augmentation, indices: Iterable[Index]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield training's real batches, as `real_batch` makes them from the stream "data".

    Samples that are mapped from disk are gathered by a thread, up to `AHEAD` batches before they
    are asked for; the batches are the same.
    """
    if not data.is_mapped:
        for index in indices:
            yield real_batch(data, count, seed, "data", *index, augmentation=augmentation)
        return

    def prepare(index: Index) -> tuple[Draw, Tensor]:
        drawn = draw(data, count, augmentation, seed, "data", *index)
        return drawn, _gathered(data, drawn)

    left = iter(indices)
    waiting: collections.deque[Future[tuple[Draw, Tensor]]] = collections.deque()
    pool = ThreadPoolExecutor(1, "lipbench batches", _choose, (data.device,))
    try:
        while True:
            for index in itertools.islice(left, AHEAD - len(waiting)):
                waiting.append(pool.submit(prepare, index))
            if not waiting:
                return
            yield _finished(data, *waiting.popleft().result(), augmentation)
    finally:
        pool.shutdown(cancel_futures=True)


def _choose(device: torch.device) -> None:
    """Let this thread pin memory for the device: a new thread's own GPU is the first one."""
    if device.type == "cuda":
        torch.cuda.set_device(device)


def network_inputs(samples: Tensor, noise: Tensor | None = None) -> Tensor:
    """Return samples as networks take them.

    Of images, uint8 (B, H, W, C), floats (B, C, H, W) in [-1, 1], channels last; others, such as
    points, float32 (B, D), as they are. With noise in [0, 1), of the images' shape, a pixel x is
    (x + noise) / 128 - 1, as in the code of Miyato et al. 2018 and of Gulrajani et al. 2017.
    """
    if samples.dtype != torch.uint8:
        return samples
    if noise is not None:
        return samples.add(noise).div_(128).sub_(1).permute(0, 3, 1, 2)
    return samples.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def _gathered(data: Split, drawn: Draw) -> Tensor:
    """Return the chosen samples where the data is; mapped ones for a GPU in pinned memory."""
    samples = data.samples[drawn.chosen.to(data.samples.device, non_blocking=True)]
    return samples if samples.device == data.device else samples.pin_memory()


def _finished(
    data: Split, drawn: Draw, samples: Tensor, augmentation: Augmentation
) -> tuple[Tensor, Tensor]:
    """Return the batch on the device, with all that was drawn for it done to it."""

    def there(tensor: Tensor) -> Tensor:
        return tensor.to(data.device, non_blocking=True)

    samples = there(samples)
    if drawn.offsets is not None:
        samples = _cropped(samples, there(drawn.offsets), augmentation.crop)
    if drawn.flips is not None:
        samples = torch.where(there(drawn.flips)[:, None, None, None], samples.flip(2), samples)
    noise = None if drawn.noise is None else there(drawn.noise)
    return network_inputs(samples, noise), data.labels[there(drawn.chosen)]


def _cropped(samples: Tensor, offsets: Tensor, padding: int) -> Tensor:
    """Return crops, of the images' own size, of images (B, H, W, C) framed by zeros."""
    count, height, width, _ = samples.shape
    framed = F.pad(samples, (0, 0, padding, padding, padding, padding))

    def along(length: int) -> Tensor:
        return torch.arange(length, device=samples.device)

    rows = offsets[:, 0, None] + along(height)
    columns = offsets[:, 1, None] + along(width)
    return framed[along(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
