"""The generator that is scored, wherever it is taken up: run, resume, scoring again, audit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from lipbench.datasets.digits import Digits
from lipbench.plugins import Plugins
from lipbench.runs import finished, restore
from lipbench.runs.run_folder import RunFolder

from ..conftest import TINY

AVERAGED = TINY.replace("[none, spectral_norm]", "[spectral_norm_generator]").replace(
    "settings: [C]", "settings: [F]\nema_decay: 0.9"
)


@pytest.fixture
def task(write, plan_of, tasks_of):
    """Return a run of a normalized G with a moving average, scored at updates 4 and 6."""
    (task,) = tasks_of(plan_of(write(text=AVERAGED)))
    return task


def sigmas(generator: nn.Module) -> list[float]:
    """The largest singular value of each layer's weight, (outputs, rest), in float64."""
    weights = [
        (layer.weight.mT if isinstance(layer, nn.Linear) else layer.weight).detach().double()
        for layer in generator.eval().layers()
    ]
    rows = [weight.transpose(0, 1) for weight in weights[:-1]] + weights[-1:]
    return [torch.linalg.matrix_norm(matrix.flatten(1), 2).item() for matrix in rows]


def test_the_averaged_g_has_the_same_bits_resumed_or_not_and_scored_again(
    task, do, workplace, cache, tmp_path
):
    do(task)
    whole = RunFolder(task.folder.rename(tmp_path / "whole")).rows("scores")
    assert do(task, stop_after=5).outcome == "interrupted"
    assert do(task).outcome == "completed"
    folder = RunFolder(task.folder)
    assert [row["scores"] for row in folder.rows("scores")] == [row["scores"] for row in whole]
    (found,) = restore.find([folder.path])
    done = finished.evaluate(found, None, ["last", "best"], workplace, cache, None)
    own = {row["checkpoint"]: row for row in folder.rows("scores")}
    for _, record in done:
        scores = {k: v for k, v in record.scores.items() if np.isfinite(v)}
        assert scores == {k: own[record.checkpoint]["scores"][k] for k in scores}
    registry, data = Plugins(), workplace.dataset(task.dataset, Digits(), cache)
    restored = restore.restore(folder.spec(), folder, registry, data.train)
    for checkpoint in ("last", "best"):
        assert sigmas(restored.sampler(checkpoint)[0]) == pytest.approx([1] * 5, rel=1e-3)


def test_an_audit_draws_from_the_generator_that_is_scored(task, do, workplace, cache):
    do(task)
    folder, data = RunFolder(task.folder), workplace.dataset(task.dataset, Digits(), cache)
    restored = restore.restore(folder.spec(), folder, Plugins(), data.train)

    def facts() -> dict[str, object]:
        row = restore.audit_row(restored.spec, restored.state, data, 8)
        return {name: value for name, value in row.items() if name != "seconds"}

    before = facts()
    with torch.no_grad():
        for weight in restored.state.generator.parameters():
            weight.copy_(weight.flip(0))
    assert facts() == before
    live = dataclasses.replace(restored.state, average=None)
    assert restore.audit_row(restored.spec, live, data, 8)["logits"] != before["logits"]
