"""Penalties on D's input gradient, on cases solved by hand."""

from __future__ import annotations

import math

import pytest
import torch


@pytest.mark.parametrize("name", ["wgan_gp", "gan_gp"])
def test_the_gradient_penalty_of_a_linear_discriminator_is_known(make, linear, batch, name):
    """D = w . x has gradient w everywhere: coefficient (|w| - 1)^2 with |(3, 4)| = 5."""
    discriminator = linear([3.0, 4.0])
    penalty = make(name).penalty(discriminator, batch(discriminator))
    assert math.isclose(penalty.item(), 160.0, rel_tol=1e-6)
    discriminator = linear([0.3, 0.4])
    penalty = make(name, coefficient=1.0).penalty(discriminator, batch(discriminator))
    assert math.isclose(penalty.item(), 0.25, rel_tol=1e-5)


def test_the_gradient_penaltys_norm_is_over_all_of_an_image(make, linear, batch):
    """D = sum of 4 pixels in 2 rows: the norm is 2, and not that of a row."""
    image = torch.zeros(3, 1, 2, 2)
    discriminator = linear([1.0, 1.0, 1.0, 1.0])
    one = make("wgan_gp", coefficient=1.0)
    penalty = one.penalty(discriminator, batch(discriminator, image, image))
    assert math.isclose(penalty.item(), 1.0, rel_tol=1e-6)


def test_the_gradient_penaltys_points_lie_between_real_and_generated_images(make, linear, batch):
    seen = []
    discriminator = linear([3.0, 4.0])
    given = batch(discriminator, torch.full((64, 1, 1, 2), 1.0), torch.full((64, 1, 1, 2), -1.0))
    discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    torch.manual_seed(0)
    make("wgan_gp").penalty(discriminator, given)
    (points,) = seen
    assert torch.equal(points[..., 0], points[..., 1])  # one mix an image, not one a pixel
    assert -1 <= points.min() < -0.8
    assert 0.8 < points.max() <= 1


def test_a_gradient_penaltys_own_gradient_reaches_the_weights(make, linear, batch):
    """d/dw of 10 (|w| - 1)^2 at (3, 4) is 20 (5 - 1) w / 5 = (48, 64)."""
    discriminator = linear([3.0, 4.0])
    make("wgan_gp").penalty(discriminator, batch(discriminator)).backward()
    torch.testing.assert_close(discriminator.head.weight.grad, torch.tensor([[48.0, 64.0]]))


def test_a_zero_gradient_gives_a_finite_penalty_and_a_finite_gradient(make, linear, batch):
    discriminator = linear([0.0, 0.0])
    penalty = make("wgan_gp").penalty(discriminator, batch(discriminator))
    penalty.backward()
    assert math.isclose(penalty.item(), 10.0)
    assert discriminator.head.weight.grad.isfinite().all()
