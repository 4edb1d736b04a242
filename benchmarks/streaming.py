"""Time training on images that are mapped from disk against the same images in memory.

    python -m benchmarks.streaming [--images 100000] [--size 48] [--width 0.25] [--updates 100]
                                   [--device cpu] [--folder DIR]

The images are noise, written to a file in a temporary folder (below `--folder` where one is
given: choose the disk that holds the cache). Before each round on mapped images, the system is
asked to drop the file from its memory, so they are read from the disk; `warm` rounds leave it
there. Printed are seconds an update (the median over rounds) and the share of them that training
waits for its real batches, gathering and copying included.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import numpy as np
import torch

from lipbench.architectures.standard_cnn import StandardCNN
from lipbench.data import Split
from lipbench.planning import parts
from lipbench.planning.spec import (
    ArchitectureSpec,
    Budget,
    DatasetSpec,
    LossSpec,
    RunSpec,
    Setting,
)
from lipbench.plugins import Plugins
from lipbench.training import batches, loop

BATCH = 64
ROUNDS = 3
WARM_UP = 5  # updates before the clock starts
_IN_ORDER = batches.in_order


class Clock:
    """Seconds that training waits for its next real batch."""

    def __init__(self) -> None:
        self.waited = 0.0

    def in_order(self, *arguments: Any) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield the real batches of `batches.in_order`, and add up the time that each took."""
        made = _IN_ORDER(*arguments)
        while True:
            start = time.perf_counter()
            batch = next(made, None)
            self.waited += time.perf_counter() - start
            if batch is None:
                return
            yield batch


def spec(size: int, width: float, updates: int) -> RunSpec:
    """Return a run of the standard CNN at setting C, without a method."""
    return RunSpec(
        methods=(),
        setting=Setting(2e-4, 0.5, 0.999, 1),
        architecture=ArchitectureSpec("standard_cnn", asdict(StandardCNN(width=width))),
        initialisation="normal_0.02",
        loss=LossSpec("non_saturating", {}),
        dataset=DatasetSpec("noise", "", (3, size, size)),
        budget=Budget(WARM_UP + updates, BATCH, BATCH, "constant"),
        precision="float32",
        ema_decay=None,
        seed=0,
    )


def measured(run: RunSpec, data: Split) -> tuple[float, float]:
    """Return seconds an update, and the share of them that training waits for real batches."""
    clock = Clock()
    state = loop.build(run, parts.of(run, Plugins()), data)
    with mock.patch.object(batches, "in_order", clock.in_order):
        for snapshot in loop.train(run, data, state):
            if snapshot.update == WARM_UP:
                _settle(data.device)
                start, clock.waited = time.perf_counter(), 0.0
    _settle(data.device)
    seconds = time.perf_counter() - start
    return seconds / (run.budget.generator_updates - WARM_UP), clock.waited / seconds


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def written(path: Path, images: int, size: int) -> None:
    """Write images of noise, part by part."""
    made = np.lib.format.open_memmap(path, "w+", np.uint8, (images, size, size, 3))
    draw = np.random.default_rng(0)
    for start in range(0, images, 10_000):
        part = made[start : start + 10_000]
        part[:] = draw.integers(0, 256, part.shape, dtype=np.uint8)
    made.flush()


def dropped(path: Path) -> None:
    """Ask the system to drop a file from its memory."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def mapped(path: Path, device: torch.device) -> Split:
    """Return a file's images, mapped."""
    samples = torch.from_numpy(np.load(path, mmap_mode="c"))
    labels = torch.zeros(len(samples), dtype=torch.long, device=device)
    return Split(samples, labels, is_mapped=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=48, choices=(16, 32, 48))
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--updates", type=int, default=100)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    device, run = torch.device(given.device), spec(given.size, given.width, given.updates)
    if device.type == "cpu":
        torch.set_num_threads(1)  # as lipbench's workers
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path = Path(folder) / "images.npy"
        written(path, given.images, given.size)
        print(f"{given.images:,} images, {path.stat().st_size / 2**30:.2f} GiB, on {device}")
        found: dict[str, list[tuple[float, float]]] = {}
        for _ in range(ROUNDS):
            data = mapped(path, device)
            in_memory = replace(data, samples=data.samples.to(device).clone(), is_mapped=False)
            found.setdefault("in memory", []).append(measured(run, in_memory))
            found.setdefault("mapped, warm", []).append(measured(run, data))
            del data, in_memory
            dropped(path)
            found.setdefault("mapped, cold", []).append(measured(run, mapped(path, device)))
    for name, rounds in found.items():
        seconds, share = (median(values) for values in zip(*rounds, strict=True))
        print(f"{name:12}  {seconds * 1000:8.2f} ms an update, waiting for data {share:6.2%}")


if __name__ == "__main__":
    main()
