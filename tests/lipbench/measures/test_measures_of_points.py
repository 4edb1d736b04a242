"""The measures of points, on modes and assignments that can be solved by hand."""

from __future__ import annotations

import math

import pytest
import torch

from lipbench.errors import UserError
from lipbench.measure import Features, Real
from lipbench.measures.mode_divergence import ModeDivergence
from lipbench.measures.modes_reached import ModesReached
from lipbench.measures.wasserstein import WassersteinDistance
from lipbench.measures.within_3 import Within3
from lipbench.measures.within_4 import Within4

CROSS = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]  # a deviation of 1 / sqrt(2)


def features(points):
    values = torch.tensor(points)
    return Features(values, values.new_empty(len(values), 0))


@pytest.fixture
def real():
    """Return two modes, at the origin and at (10, 0)."""
    points = CROSS + [[x + 10, y] for x, y in CROSS]
    return Real(features(points), labels=torch.tensor([4] * 4 + [7] * 4))


@pytest.fixture
def fake():
    """Return points 0, 2.97 and 3.54 deviations from the first mode, 0 and 6.9 from the second."""
    return features([[0.0, 0.0], [2.1, 0.0], [2.5, 0.0], [10.0, 0.0], [5.1, 0.0]])


def test_shares_near_a_mode_count_its_deviations(real, fake):
    assert Within3().value(fake, real) == pytest.approx(3 / 5)
    assert Within4().value(fake, real) == pytest.approx(4 / 5)


def test_of_a_round_gaussian_in_the_plane_the_shares_are_those_of_its_law():
    points = torch.randn(40_000, 2, generator=torch.Generator().manual_seed(0)).double()
    itself = Features(points, points.new_empty(len(points), 0))
    law = Real(itself, labels=torch.zeros(len(points), dtype=torch.long))
    assert Within3().value(itself, law) == pytest.approx(1 - math.exp(-9 / 2), abs=1e-3)
    assert Within4().value(itself, law) == pytest.approx(1 - math.exp(-8), abs=3e-4)


def test_a_mode_is_reached_by_one_point_near_it_or_as_many_as_asked(real, fake):
    assert ModesReached().value(fake, real) == 2
    assert ModesReached(points=2).value(fake, real) == 1
    assert ModesReached().value(features([[5.1, 0.0], [4.9, 0.0]]), real) == 0
    assert ModesReached(deviations=7.0).value(features([[5.1, 0.0], [4.9, 0.0]]), real) == 2


def test_the_divergence_is_of_the_nearest_modes_however_far(real, fake):
    by_hand = 0.6 * math.log(0.6 * 2) + 0.4 * math.log(0.4 * 2)
    assert ModeDivergence().value(fake, real) == pytest.approx(by_hand)
    assert ModeDivergence().value(features([[0.0, 0.0], [10.0, 0.0]]), real) == pytest.approx(0)
    alone = features([[0.0, 0.0], [1.0, 0.0]])
    assert ModeDivergence().value(alone, real) == pytest.approx(math.log(2))


def test_the_assignment_is_the_best_of_all():
    real = Real(features([[1.0, 0.0], [2.0, 0.0]]))
    assert WassersteinDistance().value(features([[3.0, 0.0], [0.0, 0.0]]), real) == pytest.approx(
        1
    )
    assert WassersteinDistance().value(features([[2.0, 0.0], [1.0, 0.0]]), real) == 0
    assert WassersteinDistance().value(features([[1.0, 3.0], [2.0, 4.0]]), real) == pytest.approx(
        3.5
    )


def test_in_one_dimension_the_distance_is_that_of_the_sorted_points():
    draw = torch.Generator().manual_seed(0)
    a, b = torch.randn(50, 1, generator=draw), 1 + torch.rand(50, 1, generator=draw)
    sorted_ = (a.sort(0).values - b.sort(0).values).abs().mean().item()
    none = a.new_empty(50, 0)
    found = WassersteinDistance().value(Features(a, none), Real(Features(b, none)))
    assert found == pytest.approx(sorted_, rel=1e-6)


def test_a_draw_repeats_points_as_often_as_it_has_them(real, fake):
    counts = torch.tensor([[5.0, 0, 0, 0, 0], [0, 0, 1, 0, 4]], dtype=torch.float64)
    assert Within3().replicates(fake, real, counts).tolist() == [1, 0]
    assert Within4().replicates(fake, real, counts).tolist() == pytest.approx([1, 0.2])
    assert ModesReached().replicates(fake, real, counts).tolist() == [1, 0]
    pair = Real(features([[1.0, 0.0], [2.0, 0.0]]))
    drawn = torch.tensor([[2.0, 0.0]], dtype=torch.float64)
    two = features([[0.0, 0.0], [5.0, 0.0]])
    assert WassersteinDistance().replicates(two, pair, drawn).tolist() == pytest.approx([1.5])


def test_unequal_counts_and_missing_labels_are_refused(real, fake):
    with pytest.raises(UserError, match=r"there are 5 and 8; give n_real = n_fake"):
        WassersteinDistance().value(fake, real)
    with pytest.raises(UserError, match="needs the labels of real images"):
        Within3().value(fake, Real(real.features))
