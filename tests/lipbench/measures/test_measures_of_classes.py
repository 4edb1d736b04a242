"""The measures of conditional generators, on classes that can be solved by hand."""

from __future__ import annotations

import pytest
import torch

from lipbench.errors import UserError
from lipbench.measure import Features, Real
from lipbench.measures.class_agreement import ClassAgreement
from lipbench.measures.frechet_distance import FrechetDistance
from lipbench.measures.intra_frechet_distance import IntraFrechetDistance

# Of two features: a mean of zero and a covariance, over N - 1, of two thirds of the identity.
CROSS = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
LABELS = torch.tensor([0] * 4 + [1] * 4)


def features(points, labels=None):
    return Features(points, points.new_empty(len(points), 0), labels)


@pytest.fixture
def real():
    """Return two classes, around the origin and around (10, 0)."""
    return Real(features(torch.cat([CROSS, CROSS + torch.tensor([10.0, 0.0])])), labels=LABELS)


def test_the_distance_within_classes_is_the_mean_of_theirs(real):
    moved = torch.cat([CROSS + torch.tensor([0.0, 3.0]), CROSS + torch.tensor([11.0, 0.0])])
    measure = IntraFrechetDistance()
    assert measure.value(features(moved, LABELS), real) == pytest.approx((9 + 1) / 2)
    assert measure.value(real.features._replace(labels=LABELS), real) == pytest.approx(0, abs=1e-9)


def test_classes_that_are_mixed_up_are_far_within_and_not_in_all(real):
    """Asked for class 0 it draws class 1, and the other way round."""
    mixed = features(real.features.pooled, 1 - LABELS)
    assert IntraFrechetDistance().value(mixed, real) == pytest.approx(100)
    assert FrechetDistance().value(mixed, real) == pytest.approx(0, abs=1e-5)


def test_a_draw_moves_the_distance_within_classes_as_its_means_do(real):
    """Of equal counts a draw is the value; the first order is that of finite differences."""
    draw = torch.Generator().manual_seed(0)
    points = torch.randn(200, 2, generator=draw, dtype=torch.float64)
    labels = torch.arange(200) % 2
    fake, measure = features(points, labels), IntraFrechetDistance()
    ones = torch.ones(1, 200, dtype=torch.float64)
    assert measure.replicates(fake, real, ones).item() == pytest.approx(measure.value(fake, real))
    twice = ones.clone()
    twice[0, :3] = 2
    again = features(torch.cat([points, points[:3]]), torch.cat([labels, labels[:3]]))
    exact = measure.value(again, real) - measure.value(fake, real)
    first = measure.replicates(fake, real, twice).item() - measure.value(fake, real)
    assert first == pytest.approx(exact, rel=0.1)


def test_a_class_with_too_few_images_is_refused(real):
    few = features(torch.cat([CROSS, CROSS[:2]]), torch.tensor([0] * 4 + [1] * 2))
    with pytest.raises(UserError, match="needs more than 2 real and generated images"):
        IntraFrechetDistance().value(few, real)


def test_agreement_is_the_share_of_images_in_the_class_asked_for(real):
    logits = torch.tensor([[3.0, 1.0], [0.0, 1.0], [2.0, -1.0], [0.5, 0.6]])
    fake = Features(torch.zeros(4, 2), logits, torch.tensor([0, 1, 1, 1]))
    assert ClassAgreement().value(fake, real) == 3 / 4
    counts = torch.tensor([[0.0, 0.0, 2.0, 2.0]], dtype=torch.float64)
    assert ClassAgreement().replicates(fake, real, counts).item() == 2 / 4


def test_without_labels_there_is_no_agreement(real):
    fake = Features(torch.zeros(4, 2), torch.zeros(4, 2))
    for measure in (ClassAgreement(), IntraFrechetDistance()):
        with pytest.raises(UserError, match="needs the labels of generated images"):
            measure.value(fake, real)
