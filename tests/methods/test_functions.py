"""Penalties and activation normalizations, on cases solved by hand."""

from __future__ import annotations

import math

import pytest
import torch

from lipbench.method import Batch


@pytest.mark.parametrize("name", ["wgan_gp", "gan_gp"])
def test_the_gradient_penalty_of_a_linear_discriminator_is_known(make, linear, batch, name):
    """D = w . x has gradient w everywhere: coefficient (|w| - 1)^2 with |(3, 4)| = 5."""
    penalty = make(name).penalty(linear([3.0, 4.0]), batch)
    assert math.isclose(penalty.item(), 160.0, rel_tol=1e-6)
    penalty = make(name, coefficient=1.0).penalty(linear([0.3, 0.4]), batch)
    assert math.isclose(penalty.item(), 0.25, rel_tol=1e-5)


def test_the_gradient_penaltys_norm_is_over_all_of_an_image(make, linear):
    """D = sum of 4 pixels in 2 rows: the norm is 2, and not that of a row."""
    image = torch.zeros(3, 1, 2, 2)
    penalty = make("wgan_gp", coefficient=1.0).penalty(
        linear([1.0, 1.0, 1.0, 1.0]), Batch(image, image)
    )
    assert math.isclose(penalty.item(), 1.0, rel_tol=1e-6)


def test_the_gradient_penaltys_points_lie_between_real_and_generated_images(make, linear):
    seen = []
    discriminator = linear([3.0, 4.0])
    discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    real, fake = torch.full((64, 1, 1, 2), 1.0), torch.full((64, 1, 1, 2), -1.0)
    torch.manual_seed(0)
    make("wgan_gp").penalty(discriminator, Batch(real, fake))
    (points,) = seen
    assert torch.equal(points[..., 0], points[..., 1])  # one mix an image, not one a pixel
    assert -1 <= points.min() < -0.8
    assert 0.8 < points.max() <= 1


def test_a_gradient_penaltys_own_gradient_reaches_the_weights(make, linear, batch):
    """d/dw of 10 (|w| - 1)^2 at (3, 4) is 20 (5 - 1) w / 5 = (48, 64)."""
    discriminator = linear([3.0, 4.0])
    make("wgan_gp").penalty(discriminator, batch).backward()
    torch.testing.assert_close(discriminator.head.weight.grad, torch.tensor([[48.0, 64.0]]))


def test_a_zero_gradient_gives_a_finite_penalty_and_a_finite_gradient(make, linear, batch):
    discriminator = linear([0.0, 0.0])
    penalty = make("wgan_gp").penalty(discriminator, batch)
    penalty.backward()
    assert math.isclose(penalty.item(), 10.0)
    assert discriminator.head.weight.grad.isfinite().all()


def test_batch_norm_normalizes_a_channel_over_the_batch(make):
    layer = make("batch_norm").norm(1)
    activations = torch.tensor([1.0, 3.0])[:, None, None, None]
    expected = torch.tensor([-1.0, 1.0])[:, None, None, None]
    torch.testing.assert_close(layer(activations), expected, atol=1e-4, rtol=0)


def test_layer_norm_normalizes_an_image_over_channels_and_pixels(make):
    layer = make("layer_norm").norm(2)
    activations = torch.tensor([[[[1.0]], [[3.0]]], [[[10.0]], [[30.0]]]])
    expected = torch.tensor([[[[-1.0]], [[1.0]]]]).repeat(2, 1, 1, 1)
    torch.testing.assert_close(layer(activations), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["batch_norm", "layer_norm"])
def test_normalizations_have_a_shift_for_each_channel_and_no_gamma(make, name):
    layer = make(name).norm(5)
    assert [tuple(parameter.shape) for parameter in layer.parameters()] == [(5, 1, 1)]
    with torch.no_grad():
        layer[1].beta.fill_(2.0)
    outputs = layer(torch.randn(8, 5, 4, 4, generator=torch.Generator().manual_seed(0)))
    assert math.isclose(outputs.mean().item(), 2.0, rel_tol=1e-5)
