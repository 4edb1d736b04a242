"""Time an update of each installed method against one of `none`, in one process and interleaved.

    python -m benchmarks.methods [--width 1] [--rounds 3] [--precision float32] [METHOD ...]

The standard CNN at 32 x 32 x 3 with batches of 64, one update of D for each of G: what
`lipbench cost` measures, of every method at its defaults. Last come spectral normalization's
additional milliseconds, beside those of torch's own parametrization in a textbook loop, where
each of D's passes computes the weights again.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from dataclasses import asdict, replace
from statistics import median

import torch
from torch.nn.utils import parametrizations

from benchmarks.train_step import BATCH, spec, textbook_step
from lipbench.cost import side_by_side, timing
from lipbench.cost.side_by_side import TimedMethod
from lipbench.data import Split
from lipbench.method import Method
from lipbench.planning import parts
from lipbench.planning.spec import LossSpec, MethodSpec, RunSpec
from lipbench.plugins import Plugins
from lipbench.training import loop


def case(name: str, registry: Plugins, width: float, precision: str) -> TimedMethod:
    """Return a method at its defaults, at setting C and with the loss that it requires, if any."""
    method = parts.method(name, {}, registry)
    base = spec(width, precision)
    loss = LossSpec(method.requires.loss or base.loss.name, {})
    return TimedMethod(name, replace(base, methods=(MethodSpec(name, asdict(method)),), loss=loss))


def textbook_spectral_norm(discriminator: torch.nn.Module) -> None:
    """Normalize each layer as torch's documentation does."""
    for layer in list(discriminator.modules()):
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
            parametrizations.spectral_norm(layer)


def main() -> None:
    """Print one row for each method, the cheapest first."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("methods", nargs="*", help="[default: all that are installed]")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="float32", choices=loop.DTYPES)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    device = torch.device(given.device)
    registry = Plugins()
    installed: dict[str, type[Method]] = {
        plugin.name: plugin.load(Method) for plugin in registry.methods.by_name()
    }
    unlabelled = [name for name, cls in installed.items() if not cls.requires.labels]
    chosen = given.methods or unlabelled  # the standard CNN has no labels
    cases = [
        case(name, registry, given.width, given.precision)
        for name in dict.fromkeys(["none", *chosen])
    ]
    rows = side_by_side.rows(list(side_by_side.measure(cases, registry, device, given.rounds)))
    print(
        f"{device}, {given.threads} threads, width {given.width:g}, {given.precision}, "
        f"batches of {BATCH}, {given.rounds} rounds; "
        f"none: {1e3 * median(rows[0].seconds_per_100_updates) / side_by_side.UPDATES:.0f} ms"
    )
    for row in sorted(rows, key=lambda row: row.ratio):
        least, most = min(row.ratio_to_none), max(row.ratio_to_none)
        print(f"  {row.method:30} {row.ratio:6.2f}x none  ({least:.2f} to {most:.2f})")
    if "spectral_norm" in chosen:
        compare_with_torch(registry, given.width, device, given.rounds)


def compare_with_torch(registry: Plugins, width: float, device: torch.device, rounds: int) -> None:
    """Print what spectral normalization adds here, and what torch's adds to a textbook loop."""
    images = torch.randint(0, 256, (5000, 32, 32, 3), dtype=torch.uint8, device=device)
    data = Split(images, torch.zeros(len(images), dtype=torch.long, device=device))

    def step(name: str) -> Callable[[], object]:
        run: RunSpec = case(name, registry, width, "float32").run
        state = loop.build(run, parts.of(run, registry), data)
        return functools.partial(next, loop.train(run, data, state))

    base = spec(width, "float32")
    loops = {
        "lipbench": (step("none"), step("spectral_norm")),
        "textbook": (
            textbook_step(base, data),
            textbook_step(base, data, textbook_spectral_norm),
        ),
    }
    times = timing.interleaved(
        [step for pair in loops.values() for step in pair], device, 2 * rounds
    )
    for whose, (plain, normalized) in zip(loops, (times[:2], times[2:]), strict=True):
        added = median(b - a for a, b in zip(plain, normalized, strict=True))
        share = added / median(plain)
        print(f"  spectral norm adds {1e3 * added:6.1f} ms ({share:.1%}) to {whose}'s update")


if __name__ == "__main__":
    main()
