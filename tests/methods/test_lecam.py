"""The method lecam, on cases that can be solved by hand."""

from __future__ import annotations

import math

from ._training_side import logits


def test_lecam_is_the_squared_distance_beyond_the_others_average(make, linear):
    """Averages 1 and -1; D(x) = 2 and D(G(z)) = -2: 3^2 + 3^2 = 18; D(x) = -2 is within."""
    method = make("lecam", coefficient=1.0, decay=1.0, start=0)
    discriminator = method.wrap(linear([1.0]))
    assert method.penalty(discriminator, logits([1.0], [-1.0], step=0)).item() == 0.0
    given = logits([2.0], [-2.0], step=1)
    penalty = method.penalty(discriminator, given)
    assert penalty.item() == 18.0
    penalty.backward()
    assert given.real_logits.grad.item() == 6.0
    assert given.fake_logits.grad.item() == -6.0
    assert method.penalty(discriminator, logits([-2.0], [2.0], step=2)).item() == 0.0


def test_lecams_averages_move_first_by_a_tenth_of_this_updates_means(make, linear):
    """From 1 and -1 by means 2 and -3: 1.1 and -1.2, so .3 ((2 + 1.2)^2 + (1.1 + 3)^2)."""
    method = make("lecam", start=0)
    discriminator = method.wrap(linear([1.0]))
    method.penalty(discriminator, logits([0.0, 2.0], [-1.0, -1.0], step=0))
    penalty = method.penalty(discriminator, logits([2.0, 2.0], [-3.0, -3.0], step=1))
    assert math.isclose(penalty.item(), 0.3 * (3.2**2 + 4.1**2), rel_tol=1e-5)
    state = discriminator.state_dict()
    assert math.isclose(state["anchors.real"].item(), 1.1, rel_tol=1e-5)
    assert math.isclose(state["anchors.fake"].item(), -1.2, rel_tol=1e-5)


def test_lecams_averages_are_the_last_means_until_its_start(make, linear):
    method = make("lecam")
    discriminator = method.wrap(linear([1.0]))
    for step, value in ((0, 5.0), (1000, 7.0)):
        penalty = method.penalty(discriminator, logits([value], [-value], step=step))
        assert penalty.item() == 0.0
        assert discriminator.state_dict()["anchors.real"].item() == value
    assert method.penalty(discriminator, logits([7.0], [-7.0], step=1001)).item() > 0


def test_lecam_averages_at_updates_that_its_laziness_leaves_out(make, linear):
    method = make("lecam", coefficient=1.0, decay=0.5, start=0, every=4)
    discriminator = method.wrap(linear([1.0]))
    for step, value in ((0, 0.0), (1, 8.0), (2, 8.0), (3, 8.0)):
        assert method.penalty(discriminator, logits([value], [0.0], step=step)).item() == 0.0
    assert discriminator.state_dict()["anchors.real"].item() == 7.0
    penalty = method.penalty(discriminator, logits([7.0], [0.0], step=4))
    assert penalty.item() == 4 * (7.0**2 + 7.0**2)
