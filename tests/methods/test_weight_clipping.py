"""The method weight_clipping, on cases that can be solved by hand."""

from __future__ import annotations

import torch

from lipbench.discriminators import matrix, original

from ._weights import (
    flat,
)


def test_weight_clipping_clamps_convolutions_and_nothing_else(make, layers):
    discriminator = layers(flat([[0.5, -0.5], [0.005, 0.0]]), torch.tensor([[7.0, -7.0]]))
    discriminator.body.bias.data.fill_(3.0)
    with torch.no_grad():
        make("weight_clipping", bound=0.01).project(discriminator, 0)
    expected = torch.tensor([[0.01, -0.01], [0.005, 0.0]])
    torch.testing.assert_close(matrix(discriminator.body.weight), expected)
    torch.testing.assert_close(discriminator.head.weight, torch.tensor([[7.0, -7.0]]))
    assert (discriminator.body.bias == 3.0).all()


def test_weight_clipping_reaches_the_parameter_under_a_parametrization(make, layers):
    discriminator = make("weight_norm").wrap(layers(flat([[3.0, 4.0]]), torch.ones(1, 1)))
    with torch.no_grad():
        make("weight_clipping", bound=0.01).project(discriminator, 0)
    assert original(discriminator.body).abs().max() <= 0.01
