"""A user's own dataset: one file, from the suite's reading to the report."""

from __future__ import annotations

import json
import sys

import pytest

from lipbench.planning import plan as plans
from lipbench.plugins import Plugins, kind_of

RINGS = '''
"""Rings on a dark ground."""
import hashlib
from dataclasses import dataclass
from typing import Annotated
import numpy as np
from annotated_types import Ge
from lipbench.data import DatasetInfo
from lipbench.dataset import Source

@dataclass(frozen=True)
class Rings(Source):
    """Rings of two widths, drawn anew by every process, always the same."""
    title = "drawn rings"
    count: Annotated[int, Ge(2)] = 1300
    path: str | None = None

    def inspect(self, cache):
        fingerprint = hashlib.sha256(f"rings {self.count}".encode()).hexdigest()
        counts = (self.count, self.count)
        return DatasetInfo("whatever", fingerprint, (1, 16, 16), *counts, ("thin", "thick"))

    def load(self, info, cache):
        x, y = np.meshgrid(np.arange(16), np.arange(16))
        draw = np.random.default_rng(0)
        def split():
            labels = np.arange(self.count) % 2
            radius = np.hypot(x - 8 - draw.normal(size=(self.count, 1, 1)), y - 8)
            near = np.abs(radius - 4) < 1 + labels[:, None, None]
            noise = draw.integers(0, 40, (self.count, 16, 16))
            return (near * 200 + noise).astype(np.uint8)[..., None], labels.astype(np.int64)
        (a, b), (c, d) = split(), split()
        arrays = {"train_samples": a, "train_labels": b, "test_samples": c, "test_labels": d}
        return arrays, (f"rings: {self.count}",)
'''


@pytest.fixture
def rings(tmp_path):
    path = tmp_path / "rings.py"
    path.write_text(RINGS)
    return path


def test_a_dataset_file_is_known_by_what_it_extends(rings):
    assert kind_of(rings) == "datasets"
    assert Plugins([rings]).datasets["rings"].title == "drawn rings"


def test_it_is_listed_shown_and_examined(rings, command):
    code, told = command("datasets", "--plugin", rings)
    assert code == 0
    assert ["rings", "file", "count,", "path"] in [s.split()[:4] for s in told.splitlines()]
    assert "count: int >= 2, default 1300" in command("datasets", "rings", "--plugin", rings)[1]
    code, told = command("check", "--plugin", rings)
    assert (code, "5 of 5 cases passed" in told) == (0, True), told


@pytest.mark.parametrize(
    ("set_", "words"),
    [
        ("dataset={name: rings, count: 1}", "dataset 'rings': count: got 1"),
        ("dataset={name: rings, cuont: 5}", "no parameter called 'cuont'; did you mean 'count'"),
        ("dataset=ring", "no dataset called 'ring'; did you mean 'rings'"),
        ("dataset={name: digits, path: x}", "dataset 'digits': no parameter called 'path'"),
    ],
)
def test_what_a_dataset_does_not_take_is_refused_with_its_place(
    rings, command, write, set_, words
):
    code, told = command("plan", write(), "--plugin", rings, "--set", set_)
    assert code == 2
    assert words in told
    assert "--set" in told


@pytest.mark.slow
def test_a_run_on_a_users_dataset_is_scored_sampled_and_resumed(
    rings, command, write, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    suite = write()
    (tmp_path / "place").mkdir()
    given = ("--plugin", rings, "--runs-dir", tmp_path / "runs")
    dataset = "dataset={name: rings, count: 100, path: place}"
    protocol = "protocol=offline_small"
    asked = ("run", suite, "--set", dataset, "--set", protocol, *given, "--workers", 1)
    code, told = command(*asked)
    assert code == 0, told
    assert "rings: 100" in told
    (folder,) = (path.parent for path in (tmp_path / "runs").glob("*/plan.json"))
    stored = json.loads((folder / "plan.json").read_text())
    assert stored["dataset"]["name"] == "rings"
    assert stored["dataset_params"] == {"count": 100, "path": str(tmp_path / "place")}
    code, told = command("audit", folder)
    assert code == 0, told
    assert "0 to do" in command(*asked)[1]
    del sys.modules[Plugins([rings]).datasets["rings"].module]  # as in a later process
    rings.write_text(RINGS.replace("near * 200", "near * 100"))  # and the same fingerprint
    code, told = command(*asked)
    assert code == 2
    assert "rings.py changed since" in told


def test_a_plan_of_an_older_version_has_the_path_alone():
    facts = {"image_size": 32, "channels": 3, "name": "images", "fingerprint": "f"}
    facts |= {"n_train": 1, "n_test": 1, "classes": []}
    of = plans._dataset_params
    assert of({"dataset_path": "/data/cifar", "dataset": facts}) == {"path": "/data/cifar"}
    assert of({"dataset_path": None, "dataset": facts}) == {"image_size": 32}
    assert of({"dataset_params": {"a": 1}, "dataset_path": None, "dataset": facts}) == {"a": 1}
