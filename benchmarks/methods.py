"""Time an update of each installed method against one of `none`, in one process and interleaved.

    python -m benchmarks.methods [--width 1] [--rounds 3] [--precision float32] [METHOD ...]

The standard CNN at 32 x 32 x 3 with batches of 64, one update of D for each of G, at setting C.
Each round times `none` and every method once, so that a noisy machine is as noisy for each; a
row gives the median over rounds of the ratio to `none` of the same round. Last come spectral
normalization's additional milliseconds, beside those of torch's own parametrization in a
textbook loop, where each of D's passes computes the weights again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median

import torch
from torch.nn.utils import parametrizations

from benchmarks.train_step import BATCH, seconds, spec, textbook_step
from lipbench import training
from lipbench.data import Split
from lipbench.method import Method
from lipbench.plugins import Registry
from lipbench.spec import LossSpec, RunSpec

Step = Callable[[], object]


def step_of(method: Method, data: Split, width: float, precision: str) -> Step:
    """Return a function that does one update with a method."""
    base = spec(width, precision)
    loss = LossSpec(method.requires.loss or base.loss.name, {})
    run = RunSpec(**{**vars(base), "loss": loss})
    updates = training.train(run, data, training.build(run, [method], data))
    return lambda: next(updates)


def textbook_spectral_norm(discriminator: torch.nn.Module) -> None:
    """Normalize each layer as torch's documentation does."""
    for layer in list(discriminator.modules()):
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
            parametrizations.spectral_norm(layer)


def measure(steps: dict[str, Step], device: torch.device, rounds: int) -> dict[str, list[float]]:
    """Return each step's seconds, a number a round, after one round of warm-up."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(rounds + 1):
        for name, step in steps.items():
            took = seconds(step, device, 1)
            if round_:
                times[name].append(took)
    return times


def main() -> None:
    """Print one row for each method, the cheapest first."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("methods", nargs="*", help="[default: all that are installed]")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="float32", choices=training.DTYPES)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    device = torch.device(given.device)
    images = torch.randint(0, 256, (5000, 32, 32, 3), dtype=torch.uint8, device=device)
    data = Split(images, torch.zeros(len(images), dtype=torch.long, device=device))
    registry = Registry("methods")
    chosen = given.methods or [plugin.name for plugin in registry.by_name()]
    steps = {
        name: step_of(registry[name].load(Method)(), data, given.width, given.precision)
        for name in dict.fromkeys(["none", *chosen])
    }
    times = measure(steps, device, given.rounds)
    none = times["none"]
    print(
        f"{device}, {given.threads} threads, width {given.width:g}, {given.precision}, "
        f"batches of {BATCH}, {given.rounds} rounds; none: {1e3 * median(none):.0f} ms"
    )
    ratios = {
        name: sorted(took / base for took, base in zip(values, none, strict=True))
        for name, values in times.items()
    }
    for name, found in sorted(ratios.items(), key=lambda item: median(item[1])):
        print(f"  {name:30} {median(found):6.2f}x none  ({found[0]:.2f} to {found[-1]:.2f})")
    if "spectral_norm" in steps:
        compare_with_torch(data, given.width, device, given.rounds, steps)


def compare_with_torch(
    data: Split, width: float, device: torch.device, rounds: int, steps: dict[str, Step]
) -> None:
    """Print what spectral normalization adds here, and what torch's adds to a textbook loop."""
    loops = {
        "lipbench": steps["none"],
        "lipbench, SN": steps["spectral_norm"],
        "textbook": textbook_step(data, width),
        "textbook, SN": textbook_step(data, width, textbook_spectral_norm),
    }
    times = measure(loops, device, 2 * rounds)
    for loop in ("lipbench", "textbook"):
        added = [a - b for a, b in zip(times[f"{loop}, SN"], times[loop], strict=True)]
        share = median(added) / median(times[loop])
        print(
            f"  spectral norm adds {1e3 * median(added):6.1f} ms ({share:.1%}) to {loop}'s update"
        )


if __name__ == "__main__":
    main()
