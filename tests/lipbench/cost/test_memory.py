"""What memory a run takes: counts that follow from its networks, and one measured update."""

from __future__ import annotations

import pytest
import torch

from lipbench.cost import memory
from lipbench.plugins import Plugins

from ..planning.test_points_in_suites import POINTS

# G: 2 x 16 + 16, 16 x 16 + 16, 16 x 2 + 2 weights; D: 2 x 16 + 16, 16 x 16 + 16, 16 + 1.
WEIGHTS = (48 + 272 + 34) + (48 + 272 + 17)
MATRICES = 6 * 2  # weights and biases, each with Adam's count of steps


@pytest.mark.parametrize(
    ("setting", "kept"),
    [
        ("C", 2 * WEIGHTS + MATRICES),
        ("{optimizer: sgd, lr: 1e-3, n_dis: 1}", 0),
        ("{optimizer: sgd, lr: 1e-3, momentum: 0.9, n_dis: 1}", WEIGHTS),
    ],
)
def test_networks_and_optimizers_are_counted(setting, kept, write, plan_of):
    suite = write(("[none, spectral_norm]", "[none]"), ("[C]", f"[{setting}]"), text=POINTS)
    found = memory.of_run(plan_of(suite).runs[0].spec, Plugins(), torch.device("cpu"))
    assert (found.networks, found.optimizers) == (4 * WEIGHTS, 4 * kept)


def test_a_larger_batch_takes_more_in_an_update(write, plan_of):
    device, of_batch = torch.device("cpu"), {}
    for size in (64, 1024):
        batches = f"batch_size: {size}, generator_batch_size: {size}"
        suite = write(("batch_size: 8, generator_batch_size: 8", batches))
        of_batch[size] = memory.of_run(plan_of(suite).runs[0].spec, Plugins(), device).update
    if None in of_batch.values():
        pytest.skip("the system keeps no mark of resident memory that can be reset")
    assert of_batch[1024] > 4 * of_batch[64]


def test_a_plan_prints_the_memory_of_each_method_where_asked(write, command):
    suite = write(text=POINTS)
    assert "MiB" not in command("plan", suite)[1]
    code, told = command("plan", suite, "--verbose")
    assert code == 0
    table = told[told.index("in all, MiB") :].splitlines()
    assert [line.split()[0] for line in table[1:3]] == ["none", "SN"]
