"""Every installed method trains on points in the plane, or is refused by its own statement."""

from __future__ import annotations

import functools
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from lipbench import dataset
from lipbench.data import Split
from lipbench.method import Method
from lipbench.planning import parts, spec
from lipbench.planning.parts import Parts
from lipbench.planning.settings import MIYATO2018
from lipbench.plugins import Plugins
from lipbench.training import loop

PLUGINS = Plugins()
UPDATES = 3


@functools.cache
def points(folder: Path) -> Split:
    """Return some points of the ring."""
    source = parts.dataset("gaussians", {"train": 64, "test": 8}, PLUGINS)
    return dataset.load(source, source.inspect(folder), folder, torch.device("cpu")).train


def trained(method: Method, name: str, data: Split) -> loop.TrainState:
    """Return a small MLP's state after some updates."""
    small = parts.architecture("mlp", {"units": 16, "layers": 2}, PLUGINS)
    loss = method.requires.loss or parts.DEFAULT_LOSS
    run = spec.RunSpec(
        methods=(spec.MethodSpec(name, asdict(method)),),
        setting=MIYATO2018["C"],
        architecture=spec.ArchitectureSpec("mlp", asdict(small)),
        initialisation=small.initialisation,
        loss=spec.LossSpec(loss, {}),
        dataset=spec.DatasetSpec("gaussians", "", (2,)),
        budget=spec.Budget(UPDATES, 8, 8, "constant"),
        precision="float32",
        ema_decay=None,
        seed=0,
    )
    state = loop.build(run, Parts((method,), parts.loss(loss, {}, PLUGINS), small), data)
    for _ in loop.train(run, data, state):
        pass
    return state


@pytest.mark.parametrize("name", sorted(PLUGINS.methods.plugins))
def test_a_method_trains_on_points_unless_it_says_that_it_cannot(name, tmp_path_factory):
    method = PLUGINS.methods[name].load(Method)()
    data = points(tmp_path_factory.getbasetemp())
    needs = method.requires
    if needs.images or needs.convolutions or needs.labels:
        return  # refused when the suite is read: tests/lipbench/planning/test_points.py
    state = trained(method, name, data)
    assert state.update == UPDATES
    assert state.is_finite()
