"""Mixtures of Gaussians in the plane: where the modes are, how points spread, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lipbench import dataset
from lipbench.datasets.gaussians import Gaussians
from lipbench.errors import UserError


@pytest.fixture
def arrays(tmp_path):
    """Return a function from parameters to the arrays of such a dataset."""

    def arrays(**params):
        source = Gaussians(**params)
        return source.load(source.inspect(tmp_path), tmp_path)[0]

    return arrays


def centres(found):
    points, labels = found["train_samples"], found["train_labels"]
    return np.stack([points[labels == label].mean(0) for label in np.unique(labels)])


def test_eight_modes_stand_on_a_ring_of_radius_2(arrays):
    found = centres(arrays())
    assert np.hypot(*found.T) == pytest.approx(np.full(8, 2), abs=0.01)
    assert found[0] == pytest.approx([2, 0], abs=0.01)
    assert found[2] == pytest.approx([0, 2], abs=0.01)  # counterclockwise


def test_25_modes_stand_on_a_grid_around_the_origin_row_by_row(arrays):
    found = centres(arrays(arrangement="grid"))
    assert found[0] == pytest.approx([-4, -4], abs=0.01)
    assert found[1] == pytest.approx([-2, -4], abs=0.01)
    assert found[24] == pytest.approx([4, 4], abs=0.01)


@pytest.mark.parametrize(
    ("params", "std"), [({}, 0.02), ({"arrangement": "grid"}, 0.05), ({"std": 0.5}, 0.5)]
)
def test_points_spread_about_their_mode_by_the_deviation(arrays, params, std):
    found = arrays(**params)
    away = found["train_samples"] - centres(found)[found["train_labels"]]
    assert away.std(axis=0) == pytest.approx([std, std], rel=0.03)


def test_each_mode_has_as_many_points_or_one_more(arrays):
    found = arrays(train=83, test=17)
    assert sorted(np.bincount(found["train_labels"])) == [10] * 5 + [11] * 3
    assert sorted(np.bincount(found["test_labels"])) == [2] * 7 + [3]


def test_points_are_float32_and_reach_networks_as_they_are(tmp_path):
    source = Gaussians(train=64, test=8)
    info = source.inspect(tmp_path)
    loaded = dataset.load(source, info, tmp_path, torch.device("cpu"))
    assert (info.shape, info.samples) == ((2,), "points")
    assert loaded.train.samples.dtype == torch.float32
    assert loaded.train.shape == (2,)
    assert loaded.train.samples.abs().max() > 1.9  # in their own scale, not in [-1, 1]


def test_every_parameter_that_changes_the_points_changes_the_fingerprint(tmp_path):
    small = {"train": 64, "test": 16}
    changed = [
        {}, {"arrangement": "grid"}, {"modes": 7}, {"scale": 3.0}, {"std": 0.1}, {"train": 65},
        {"test": 17}, {"seed": 1},
    ]  # fmt: skip
    found = [Gaussians(**{**small, **each}).inspect(tmp_path).fingerprint for each in changed]
    assert len(set(found)) == len(changed)
    assert Gaussians(**small, std=0.02).inspect(tmp_path).fingerprint == found[0]  # the default


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"arrangement": "grid", "modes": 24}, "a grid of 24 modes is no square"),
        ({"train": 7}, "7 training points are too few for 8 modes"),
    ],
)
def test_modes_that_cannot_be_are_refused(tmp_path, params, message):
    with pytest.raises(UserError, match=message):
        Gaussians(**params).inspect(tmp_path)
