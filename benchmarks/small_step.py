"""Time an update of small networks on points: lipbench's loop against a bare one, alternately.

At this size Python's own cost decides. The bare loop is what a notebook would have: the same
networks, batch, losses and optimizer, PyTorch's global generator, and no record of anything.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from statistics import median

import torch
from torch.nn import functional as F

from benchmarks.train_step import seconds
from lipbench.architectures.mlp import MLP
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

SHAPE = (2,)
UPDATES = 1_000_000  # more than any benchmark does
CPU = torch.device("cpu")


def lipbench_step(data: Split, network: MLP, batch: int) -> Callable[[], object]:
    """Return a function that does one update with lipbench's loop, at setting C."""
    run = RunSpec(
        methods=(),
        setting=Setting(2e-4, 0.5, 0.999, 1),
        architecture=ArchitectureSpec("mlp", asdict(network)),
        initialisation="xavier_uniform",
        loss=LossSpec("non_saturating", {}),
        dataset=DatasetSpec("gaussians", "", SHAPE),
        budget=Budget(UPDATES, batch, batch, "constant"),
        precision="float32",
        ema_decay=None,
        seed=0,
    )
    updates = loop.train(run, data, loop.build(run, parts.of(run, Plugins()), data))
    return lambda: next(updates)


def bare_step(data: Split, network: MLP, batch: int) -> Callable[[], object]:
    """Return a function that does one update as a tutorial would."""
    g, d = network.generator(SHAPE), network.discriminator(SHAPE)
    initialise(g, "xavier_uniform", 0, "generator")
    initialise(d, "xavier_uniform", 0, "discriminator")
    adam_g = torch.optim.Adam(g.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)
    adam_d = torch.optim.Adam(d.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)

    def step() -> None:
        real = data.samples[torch.randint(len(data), (batch,))]
        with torch.no_grad():
            fake = g(torch.randn(batch, network.latent_dim))
        loss_d = F.softplus(-d(real)).mean() + F.softplus(d(fake)).mean()
        adam_d.zero_grad()
        loss_d.backward()
        adam_d.step()
        d.requires_grad_(False)
        loss_g = F.softplus(-d(g(torch.randn(batch, network.latent_dim)))).mean()
        adam_g.zero_grad()
        loss_g.backward()
        adam_g.step()
        d.requires_grad_(True)

    return step


def main() -> None:
    """Print a line for each width: both loops' milliseconds, and their ratio with its range."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--widths", type=float, nargs="+", default=[0.125, 0.25])
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--repeats", type=int, default=100, help="updates in a round")
    given = parser.parse_args()
    torch.set_num_threads(1)
    points = torch.randn(20_000, *SHAPE, generator=torch.Generator().manual_seed(0))
    data = Split(points, torch.zeros(len(points), dtype=torch.long))
    for width in given.widths:
        network = MLP(width=width)
        steps = {
            "bare": bare_step(data, network, given.batch),
            "lipbench": lipbench_step(data, network, given.batch),
        }
        times: dict[str, list[float]] = {name: [] for name in steps}
        for step in steps.values():
            seconds(step, CPU, 20)  # warm-up
        for _ in range(given.rounds):
            for name, step in steps.items():
                times[name].append(seconds(step, CPU, given.repeats))
        pairs = zip(times["lipbench"], times["bare"], strict=True)
        ratios = sorted(ours / bare for ours, bare in pairs)
        units = network.units * width
        print(
            f"{network.layers} x {units:g} units, batch {given.batch}: "
            f"bare {1e3 * median(times['bare']):.2f} ms, "
            f"lipbench {1e3 * median(times['lipbench']):.2f} ms an update, "
            f"{median(ratios):.2f}x ({ratios[0]:.2f} to {ratios[-1]:.2f}); 2,000 updates take "
            f"{2000 * median(times['lipbench']):.1f} s"
        )


if __name__ == "__main__":
    main()
