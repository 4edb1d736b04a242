"""The method equalized_learning_rate, on cases that can be solved by hand."""

from __future__ import annotations

import math

import torch

from lipbench.architectures.standard_cnn import StandardDiscriminator
from lipbench.discriminators import original
from lipbench.networks import initialise

from ._weights import (
    flat,
    weights,
)


def test_equalized_learning_rate_scales_unit_weights_by_gain_and_fan_in(make):
    """A 3 x 3 kernel of 16 channels has the factor sqrt(2 / 144) = .117851."""
    discriminator = StandardDiscriminator((16, 16, 16), 0.125)
    initialise(discriminator, "normal_0.02", 0, "discriminator")
    before = weights(discriminator)
    make("equalized_learning_rate").wrap(discriminator)
    first, *_, head = discriminator.layers()
    torch.testing.assert_close(first.weight, original(first) * 0.117851, rtol=1e-5, atol=0)
    factor = 1 / math.sqrt(head.in_features)
    torch.testing.assert_close(head.weight, original(head) * factor)
    for layer, given in zip(discriminator.layers(), before, strict=True):
        assert math.isclose(original(layer).std().item(), 1.0, rel_tol=1e-5)
        torch.testing.assert_close(original(layer).detach(), given / given.std())


def test_equalized_learning_rate_scales_gradients_and_takes_another_gain(make, layers):
    discriminator = layers(flat([[3.0, 4.0]]), torch.tensor([[1.0, 2.0]]))
    make("equalized_learning_rate", gain=3.0).wrap(discriminator)
    (discriminator.body.weight.sum() + discriminator.head.weight.sum()).backward()
    root = math.sqrt(2)
    assert torch.allclose(original(discriminator.body).grad, torch.tensor(3 / root))
    assert torch.allclose(original(discriminator.head).grad, torch.tensor(1 / root))
