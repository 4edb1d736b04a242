"""D's surface over the plane: a linear D's is known, and nothing of a run changes."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from torch import nn

from lipbench.data import Split
from lipbench.runs import surface
from lipbench.runs.plane import FILE, Plane
from lipbench.runs.run_folder import RunFolder

# 4 real points at the corners of a square of side 2 around (1, 0): with the margin, 3.
REAL = torch.tensor([[0.0, -1.0], [2.0, -1.0], [0.0, 1.0], [2.0, 1.0]])
DATA = Split(REAL, torch.tensor([1, 0, 1, 0]))
POINTS = """
name: points
dataset: {name: gaussians, train: 64, test: 32}
architecture: {name: mlp, units: 8, layers: 2}
methods: [none]
settings: [C]
budget: {generator_updates: 2, batch_size: 8, generator_batch_size: 8}
protocol:
  name: small
  based_on: points
  n_real: 32
  n_fake: 32
  scores: {within_3_points: {}}
  primary: within_3_points
  selection: {n_real: 32, n_fake: 32, scores: [within_3_points]}
intervals: {metrics: 1}
"""


def linear(bias: float = 0.5) -> nn.Linear:
    """Return D(x, y) = 2 x - y + bias."""
    network = nn.Linear(2, 1)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[2.0, -1.0]]))
        network.bias.fill_(bias)
    return network


def of(network: nn.Module, data: Split = DATA, generated: torch.Tensor = REAL) -> Plane:
    found = surface.plane(network, generated, data, seed=0)
    assert found is not None
    return found


def written(plane: Plane) -> bytes:
    file = io.BytesIO()
    plane.write(file)
    return file.getvalue()


def test_a_linear_ds_logits_and_gradients_are_those_of_its_formula():
    found = of(linear())

    assert found.x[[0, -1]].tolist() == [-0.5, 2.5]
    assert found.y[[0, -1]].tolist() == [-1.5, 1.5]
    expected = 2 * found.x[None, :] - found.y[:, None] + 0.5
    np.testing.assert_allclose(found.logits, expected, atol=1e-6)
    assert np.array_equal(found.gradients, np.tile([2.0, -1.0], (*found.gradients.shape[:2], 1)))


def test_gradients_stand_at_the_place_of_their_arrow():
    class Bowl(nn.Module):
        """x^2 + 3 y^2, whose gradient is (2 x, 6 y)."""

        def forward(self, points):
            return points[:, 0] ** 2 + 3 * points[:, 1] ** 2

    found = of(Bowl())

    x, y = np.meshgrid(found.arrows_x, found.arrows_y)
    np.testing.assert_allclose(found.gradients, np.stack([2 * x, 6 * y], axis=-1), atol=1e-5)


def test_points_are_kept_as_they_are_and_real_ones_by_label():
    found = of(linear(), generated=torch.tensor([[9.0, 9.0]]))

    assert found.generated.tolist() == [[9.0, 9.0]]
    assert found.real.tolist() == [[2.0, -1.0], [2.0, 1.0], [0.0, -1.0], [0.0, 1.0]]


def test_of_many_real_points_as_many_of_each_label_are_kept():
    labels = torch.arange(5000) % 5
    centres = torch.stack([labels.float(), torch.zeros(5000)], dim=1)

    found = of(linear(), Split(centres, labels))

    assert np.unique(found.real[:, 0], return_counts=True)[1].tolist() == [surface.REAL // 5] * 5


def test_d_is_taken_at_rest_and_left_as_it_was():
    network = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.9), linear())
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}

    found, again = of(network), of(network)

    np.testing.assert_allclose(found.gradients[0, 0], [2.0, -1.0], rtol=1e-4)  # no dropout
    assert network.training
    assert all(weight.requires_grad for weight in network.parameters())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert written(found) == written(again)


@pytest.mark.parametrize(
    ("network", "generated", "data"),
    [
        (linear(float("inf")), REAL, DATA),
        (linear(), torch.full((1, 2), torch.nan), DATA),
        (nn.Linear(3, 1), torch.zeros(1, 3), Split(torch.zeros(4, 3), torch.zeros(4).long())),
    ],
)
def test_there_is_none_of_what_is_not_finite_or_not_in_the_plane(network, generated, data):
    assert surface.plane(network, generated, data, seed=0) is None


def test_a_file_gives_back_what_was_written_and_a_damaged_one_nothing(tmp_path):
    path, plane = tmp_path / FILE, of(linear())
    content = written(plane)
    path.write_bytes(content)

    back = Plane.read(path)

    assert back is not None
    assert written(back) == content
    assert len(content) < 200_000
    for damaged in (content[:-100], content[:1000], b"", b"[]"):
        path.write_bytes(damaged)
        assert Plane.read(path) is None
    np.savez(path, **{**vars(plane), "logits": plane.logits[:-1]})
    assert Plane.read(path) is None
    assert Plane.read(tmp_path / "gone") is None


def test_a_completed_run_on_points_keeps_its_surface_and_one_on_images_none(
    write, plan_of, tasks_of, do
):
    plans = [plan_of(write(text=POINTS)), plan_of(write(("none, ", "")))]
    tasks = [task for plan in plans for task in tasks_of(plan)]
    assert [do(task).outcome for task in tasks] == ["completed", "completed"]

    of_points, of_images = (RunFolder(task.folder) for task in tasks)
    plane = Plane.read(of_points.plane())
    assert plane is not None
    assert plane.generated.shape == (1000, 2)
    assert of_images.plane() is None
