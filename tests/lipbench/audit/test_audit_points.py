"""Audits of discriminators of points in the plane, against constants that are known."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lipbench.audit import audit
from lipbench.audit.domain import Domain
from lipbench.audit.gradients import slopes
from lipbench.errors import UserError


def network(first, last, bias=None):
    """Return D(x) = last . relu(first x + bias)."""
    made = nn.Sequential(nn.Linear(2, len(first)), nn.ReLU(), nn.Linear(len(first), 1))
    with torch.no_grad():
        made[0].weight.copy_(torch.tensor(first))
        made[0].bias.copy_(torch.tensor(bias or [0.0] * len(first)))
        made[2].weight.copy_(torch.tensor([last]))
        made[2].bias.zero_()
    return made


@pytest.fixture
def square(images):
    """Return points all over the square from -2 to 2."""
    return 2 * images(64, 2)


def test_a_network_that_attains_the_product_of_its_norms_has_a_tight_bound(square):
    found = audit(network([[1.0, 0.0], [0.0, 1.0]], [3.0, -4.0]), square)  # 5 where both are > 0
    assert found.upper_bound == pytest.approx(5)
    assert found.lower_bounds["grid"] == pytest.approx(5)
    assert found.lower_bound == pytest.approx(5)


def test_two_branches_that_are_never_on_together_leave_half_of_the_product(square):
    found = audit(network([[1.0, 0.0], [-1.0, 0.0]], [1.0, 1.0]), square)  # |x1|
    assert found.upper_bound == pytest.approx(2)
    assert found.lower_bound == pytest.approx(1)
    assert found.tightness == pytest.approx(0.5)


def test_what_is_steep_outside_of_the_box_that_holds_the_points_is_not_found():
    steep_from_10_on = network([[1.0, 0.0], [1.0, 0.0]], [1.0, 100.0], bias=[20.0, -10.0])
    near = torch.rand(64, 2, generator=torch.Generator().manual_seed(0))
    assert audit(steep_from_10_on, near).lower_bound == pytest.approx(1)
    assert audit(steep_from_10_on, 12 * near).lower_bound == pytest.approx(101)


@pytest.mark.parametrize("seed", range(3))
def test_the_bounds_hold_between_them_what_a_dense_grid_shows(seed, square):
    torch.manual_seed(seed)
    layers = [nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1)]
    discriminator = nn.Sequential(*layers)
    facts = audit(discriminator, square[:32], fake=square[32:])
    dense = Domain.of([square.double()]).grid(300)
    steepest = slopes(discriminator.double(), dense)[1].max().item()
    assert 0.99 * steepest <= facts.lower_bound <= facts.upper_bound
    assert steepest <= facts.upper_bound
    assert facts.counts == {"real": 32, "fake": 32, "heldout": 0}


def test_a_grid_reaches_from_corner_to_corner():
    points = torch.tensor([[0.0, 5.0], [1.0, 7.0]])
    grid = Domain.of([points]).grid(3)
    assert grid.tolist() == [[x, y] for x in (0.0, 0.5, 1.0) for y in (5.0, 6.0, 7.0)]


def test_points_of_more_values_have_no_grid_and_images_none():
    deep = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    assert "grid" not in audit(deep, torch.randn(8, 3)).lower_bounds
    assert not Domain.of([torch.zeros(2, 1, 4, 4)]).is_a_plane


def test_points_that_are_not_finite_are_refused(square):
    square[3, 1] = torch.nan
    with pytest.raises(UserError, match="real should be finite points, but they hold inf or nan"):
        audit(network([[1.0, 0.0]], [1.0]), square)
