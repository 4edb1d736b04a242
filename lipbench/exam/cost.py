"""What an update costs with a method, against one of `none`."""

from __future__ import annotations

import functools
import statistics
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lipbench.cost import timing
from lipbench.exam.candidate import Candidate, digits, seeded
from lipbench.method import Method
from lipbench.training import loop
from lipbench.training.loop import TrainState

_ROUNDS = 5


@dataclass(frozen=True)
class Cost:
    """What a step costs against one of `none`, as ratios; on the exam's small networks."""

    seconds: float
    memory: float


def cost(method: Method) -> Cost:
    """Measure the cost of an update: time, interleaved with the baseline's, and memory.

    Memory is what the networks, their optimizers and the graph of D's update hold.
    """
    candidate = Candidate(method)
    spec = candidate.spec()
    states = [candidate.build(with_method=with_method) for with_method in (True, False)]
    steps = [loop.train(spec, digits(), state) for state in states]
    calls = [functools.partial(next, step) for step in steps]
    times = timing.interleaved(calls, torch.device("cpu"), _ROUNDS)
    with_it, without = map(statistics.median, times)
    held, least = (
        _bytes_held(candidate, state, with_method)
        for state, with_method in zip(states, (True, False), strict=True)
    )
    return Cost(with_it / without, held / least)


def _bytes_held(candidate: Candidate, state: TrainState, with_method: bool) -> int:
    kept = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    def walk(part: Any) -> None:
        if isinstance(part, Tensor):
            keep(part)
        elif isinstance(part, dict):
            for value in part.values():
                walk(value)

    walk(state.state_dict())
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        seeded(state.generator, state.discriminator),
    ):
        batch = candidate.batch(state)
        if with_method:
            candidate.method.penalty(state.discriminator, batch)
    return sum(kept.values())
