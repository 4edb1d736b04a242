"""Runs on images that are mapped from disk, whole: training, scores, audit, resumption."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lipbench.data import store
from lipbench.outcome import Outcome
from lipbench.planning import parts
from lipbench.plugins import Plugins
from lipbench.runs.run import Workplace, run
from lipbench.runs.run_folder import RunFolder

SUITE = """
name: whole
dataset: {name: images, path: PATH}
architecture: {width: 0.125}
methods: [spectral_norm]
settings: [C]
augmentation: {flip: true, crop: 2}
budget: {generator_updates: 6, batch_size: 8, generator_batch_size: 8}
protocol:
  {name: small, based_on: offline, n_real: 40, n_fake: 40, n_training: 40,
   scores: {mmd_pixels: {}},
   selection: {split: test, n_real: 40, n_fake: 40, scores: [mmd_pixels]}}
intervals: {metrics: 2, score: 4, checkpoint: 3, audit: 6}
"""


@pytest.fixture
def suite(tmp_path: Path, write) -> Path:
    """Return a suite on 200 images of noise."""
    draw = np.random.default_rng(0)
    for split in ("train", "test"):
        (tmp_path / "set" / split).mkdir(parents=True)
        for index in range(100):
            pixels = draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / split / f"{index}.png")
    return write(text=SUITE.replace("PATH", str(tmp_path / "set")))


def kept(folder: Path) -> tuple[object, ...]:
    """Return what a run came to, but for times: its weights, scores and metrics."""
    made = RunFolder(folder)
    state = made.load_checkpoint()
    assert state is not None
    weights = {
        f"{network}.{name}": value.tolist()
        for network in ("generator", "discriminator")
        for name, value in state["training"][network].items()
    }
    rows = [
        {key: value for key, value in row.items() if key != "seconds"}
        for name in ("metrics", "scores", "audits")
        for row in made.rows(name)
    ]
    return weights, rows


def test_a_run_on_mapped_images_is_the_run_on_images_in_memory_stopped_or_not(
    suite, plan_of, tasks_of, monkeypatch
):
    def done(name: str, stop_after: int | None = None) -> tuple[object, ...]:
        (task,) = tasks_of(plan_of(suite, f"name={name}"))
        asked = iter(range(1, 10**9))
        place = Workplace(torch.device("cpu"))
        while True:
            status = run(task, place, lambda *_: True, lambda: next(asked) == stop_after)
            assert status.outcome in (Outcome.COMPLETED, Outcome.INTERRUPTED), status.cause
            if status.outcome == Outcome.COMPLETED:
                source = parts.dataset("images", task.dataset_params, Plugins())
                is_mapped = place.dataset(task.dataset, source, task.cache).train.is_mapped
                return is_mapped, kept(task.folder)

    in_memory = done("whole")
    monkeypatch.setattr(store, "LARGEST_RESIDENT", 0)
    assert in_memory[0] is False
    for stop_after in (None, 2):
        assert done(f"mapped{stop_after}", stop_after) == (True, in_memory[1])
