"""What the commands say of a dataset of images before anything is trained."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lipbench.cli import main

SUITE = """
name: mine
dataset: {name: images, path: set}
architecture: {width: 0.125}
methods: [none]
settings: [C]
budget: {generator_updates: 2, batch_size: 8, generator_batch_size: 8}
protocol:
  {name: small, based_on: offline, n_real: 40, n_fake: 40, n_training: 40,
   scores: {mmd_pixels: {}},
   selection: {split: test, n_real: 40, n_fake: 40, scores: [mmd_pixels]}}
"""

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    """Return a function that runs a command beside the suite and its images."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIPBENCH_CACHE", str(tmp_path / "cache"))
    Path("mine.yaml").write_text(SUITE)
    generator = np.random.default_rng(0)
    for split, count in (("Train", 100), ("Val", 100)):
        Path("set", split).mkdir(parents=True)
        for index in range(count):
            pixels = generator.integers(0, 256, (16, 16), dtype=np.uint8)
            Image.fromarray(pixels).save(Path("set", split, f"{index}.png"))

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lipbench", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.main()
        return int(ended.value.code or 0), *capfd.readouterr()

    return command


def share(count: int) -> None:
    """Put some training images among those of the test split."""
    for index in range(count):
        Path("set", "Val", f"{index}.png").write_bytes(
            Path("set", "Train", f"{index}.png").read_bytes()
        )


def test_a_plan_says_what_was_chosen(command: Command) -> None:
    code, out, _ = command("plan", "mine.yaml")
    assert code == 0
    assert "the test split is Val/" in out


def test_shared_pictures_are_said_before_training_and_in_plans_from_then_on(
    command: Command,
) -> None:
    share(1)
    note = "test images that are in the train split too: 1 of 100, e.g. Val/0.png and Train/0.png"
    for _ in range(2):  # the second time nothing is left to do
        code, out, err = command("run", "mine.yaml", "--device", "cpu", "--workers", "1")
        assert code == 0, err
        assert "dataset: the test split is Val/" in out
        assert out.count(f"dataset: {note}") == 1
    assert note in command("plan", "mine.yaml")[1]


def test_splits_that_overlap_are_refused_before_anything_is_trained(command: Command) -> None:
    share(2)
    code, _, err = command("run", "mine.yaml", "--device", "cpu", "--workers", "1")
    assert code == 2
    assert "2 of 100, e.g. Val/0.png and Train/0.png; at most 1% may be" in err
    assert not list(Path("runs").glob("*/runs/*"))
    assert command("plan", "mine.yaml")[0] == 2
