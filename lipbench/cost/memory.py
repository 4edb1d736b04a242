"""What memory a run takes: its networks and optimizers, counted, and one update, measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lipbench.cost.side_by_side import noise
from lipbench.cost.usage import PeakDevice, PeakResident
from lipbench.planning import parts
from lipbench.planning.spec import RunSpec
from lipbench.plugins import Plugins
from lipbench.training import loop


@dataclass(frozen=True)
class Memory:
    """The bytes that training one run takes, without the data and what scores need."""

    networks: int  # parameters and buffers of G, D and a moving average
    optimizers: int  # what they keep of each parameter
    update: int | None  # the most that one update took beside these; None where nobody tells

    @property
    def total(self) -> int | None:
        """Return all of it together, where an update's is known."""
        return None if self.update is None else self.networks + self.optimizers + self.update


def of_run(run: RunSpec, plugins: Plugins, device: torch.device) -> Memory:
    """Return what a run takes on a device, by one update of it on random data.

    The update measured is the second one, since the first makes the optimizers' state. On a CPU
    it is how far the process's resident memory rose above what it had, on a GPU what torch's
    tensors took. Raises UserError as training does.
    """
    gauge = PeakDevice(device) if device.type == "cuda" else PeakResident()
    state = loop.build(run, parts.of(run, plugins), noise(run.dataset, device))
    updates = loop.train(run, noise(run.dataset, device), state)
    next(updates)
    gauge.settle()
    gauge.start()
    before = gauge.read()
    next(updates)
    after = gauge.read()
    networks = [state.generator, state.discriminator, *([state.average] if state.average else [])]
    weights = [tensor for each in networks for tensor in (*each.parameters(), *each.buffers())]
    kept = [value for each in (state.optimizer_g, state.optimizer_d) for value in _tensors(each)]
    return Memory(
        networks=_bytes(weights),
        optimizers=_bytes(kept),
        update=None if before is None or after is None else max(0, int(after - before)),
    )


def _tensors(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    states: Any = optimizer.state.values()
    return [value for state in states for value in state.values() if isinstance(value, Tensor)]


def _bytes(tensors: list[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
