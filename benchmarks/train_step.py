"""Time lipbench's training step against a plain textbook loop of the same networks.

    python benchmarks/train_step.py [--architecture resnet] [--set condition=projection]
        [--size 32] [--widths 1 0.75] [--batch 64] [--rounds 5] [--device cpu] [--threads 1]

Both train an architecture, the standard CNN if none is named, on images of 3 channels and 10
classes with one update of D for each of G, in one process and interleaved, so that a noisy machine
is as noisy for each. The textbook loop is what a tutorial shows: float32, default memory format
and optimizer, a graph through G in D's step, gradients for D in G's step, `.item()` for every
loss. Printed are seconds a step (the median over rounds), the ratio to the textbook loop, and the
share of the machine's measured matrix-multiplication peak in the same precision.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict
from statistics import median

import torch
import yaml
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from lipbench.architecture import Architecture
from lipbench.architectures.standard_cnn import StandardCNN
from lipbench.data import Split
from lipbench.networks import initialise
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
from lipbench.training import loop

BATCH = 64
CLASSES = 10
UPDATES = 100_000  # more than any benchmark does


def spec(
    width: float,
    precision: str,
    named: ArchitectureSpec = ArchitectureSpec("standard_cnn", asdict(StandardCNN())),  # noqa: B008
    size: int = 32,
    batch: int = BATCH,
) -> RunSpec:
    """Return a run at setting C, of the standard CNN if no other is named, without a method."""
    architecture = parts.architecture(named.name, {**named.params, "width": width}, Plugins())
    return RunSpec(
        methods=(),
        setting=Setting(2e-4, 0.5, 0.999, 1),
        architecture=ArchitectureSpec(named.name, asdict(architecture)),
        initialisation=architecture.initialisation,
        loss=LossSpec("non_saturating", {}),
        dataset=DatasetSpec("noise", "", (3, size, size)),
        budget=Budget(UPDATES, batch, batch, "constant"),
        precision=precision,
        ema_decay=None,
        seed=0,
    )


def lipbench_step(run: RunSpec, data: Split) -> Callable[[], object]:
    """Return a function that does one update with lipbench's loop."""
    updates = loop.train(run, data, loop.build(run, parts.of(run, Plugins()), data))
    return lambda: next(updates)


def textbook_step(
    run: RunSpec, data: Split, wrap: Callable[[torch.nn.Module], object] = lambda _: None
) -> Callable[[], object]:
    """Return a function that does one update as a tutorial would, after `wrap` has changed D."""
    architecture: Architecture = parts.of(run, Plugins()).architecture
    device, shape, batch = data.device, run.dataset.shape, run.budget.batch_size
    classes = architecture.classes_of(data.classes)
    latents = architecture.latents_of(classes)
    g = architecture.generator(shape, classes).to(device)
    d = architecture.discriminator(shape, classes).to(device)
    initialise(g, run.initialisation, 0, "generator")
    initialise(d, run.initialisation, 0, "discriminator")
    wrap(d)
    adam_g = torch.optim.Adam(g.parameters(), lr=2e-4, betas=(0.5, 0.999))
    adam_d = torch.optim.Adam(d.parameters(), lr=2e-4, betas=(0.5, 0.999))

    def step() -> tuple[float, float]:
        chosen = torch.randint(len(data), (batch,), device=device)
        real = data.samples[chosen].permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1
        drawn = latents.random(batch, device)
        fake = g(drawn)
        adam_d.zero_grad()
        with d.given(data.labels[chosen] if classes else None):
            real_logits = d(real)
        with d.given(latents.labels(drawn)):
            loss_d = F.softplus(-real_logits).mean() + F.softplus(d(fake.detach())).mean()
        loss_d.backward()
        adam_d.step()
        adam_g.zero_grad()
        drawn = latents.random(batch, device)
        with d.given(latents.labels(drawn)):
            loss_g = F.softplus(-d(g(drawn))).mean()
        loss_g.backward()
        adam_g.step()
        return loss_d.item(), loss_g.item()

    return step


def seconds(function: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Return the mean seconds of a call."""
    synchronise(device)
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    synchronise(device)
    return (time.perf_counter() - start) / repeats


def synchronise(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_flops(dtype: torch.dtype, device: torch.device) -> float:
    """Return the best floating-point operations a second of a square matrix product."""
    size = 4096 if device.type == "cuda" else 2048
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    return 2 * size**3 / min(seconds(lambda: a @ b, device, 2) for _ in range(4))


def main() -> None:
    """Print one line for each width and variant."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--architecture", default="standard_cnn")
    parser.add_argument("--set", nargs="+", default=[], metavar="FIELD=VALUE", help="its fields")
    parser.add_argument("--size", type=int, default=32, help="of the images, in pixels")
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--widths", type=float, nargs="+", default=[1.0, 0.75])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3, help="steps in a round")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    device = torch.device(given.device)
    pairs = [assignment.partition("=") for assignment in given.set]
    params = {field: yaml.safe_load(value) for field, _, value in pairs}
    named = ArchitectureSpec(given.architecture, params)
    images = torch.randint(0, 256, (5000, *2 * [given.size], 3), dtype=torch.uint8, device=device)
    data = Split(images, torch.arange(len(images), device=device) % CLASSES, CLASSES)
    peaks = {
        name: peak_flops(dtype or torch.float32, device) for name, dtype in loop.DTYPES.items()
    }
    print(f"{device}, {given.threads} threads; peak: ", end="")
    print(", ".join(f"{name} {flops / 1e9:.0f} GFLOP/s" for name, flops in peaks.items()))
    for width in given.widths:
        runs = {name: spec(width, name, named, given.size, given.batch) for name in loop.DTYPES}
        steps = {
            "textbook": textbook_step(runs["float32"], data),
            **{name: lipbench_step(run, data) for name, run in runs.items()},
        }
        with FlopCounterMode(display=False) as counter:
            steps["float32"]()
        times: dict[str, list[float]] = {name: [] for name in steps}
        for step in steps.values():
            seconds(step, device, 2)  # warm-up
        peaks = dict.fromkeys(loop.DTYPES, 0.0)  # the best seen, between the rounds
        for _ in range(given.rounds):
            for name, step in steps.items():
                times[name].append(seconds(step, device, given.repeats))
            for name, dtype in loop.DTYPES.items():
                peaks[name] = max(peaks[name], peak_flops(dtype or torch.float32, device))
        print(
            f"{given.architecture} at width {width:g}, {given.size} pixels, {given.batch} images; "
            "matrix products reach ",
            end="",
        )
        print(", ".join(f"{peak / 1e9:.0f} GFLOP/s ({name})" for name, peak in peaks.items()))
        ratio_of = median(times["textbook"])
        for name, values in times.items():
            ratios = sorted(t / v for t, v in zip(times["textbook"], values, strict=True))
            share = counter.get_total_flops() / median(values) / peaks.get(name, peaks["float32"])
            print(
                f"  {name:9} {1e3 * median(values):8.1f} ms  "
                f"{ratio_of / median(values):5.2f}x textbook "
                f"({ratios[0]:.2f} to {ratios[-1]:.2f})  {share:4.0%} of peak"
            )


if __name__ == "__main__":
    main()
