"""The method singular_value_constraint, on cases that can be solved by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lipbench.discriminators import matrix

from ._weights import (
    flat,
    singular_values,
    standard,
    weights,
)


def test_singular_value_constraint_scales_the_spectrum_3_1_to_1_and_a_third(make, layers):
    discriminator = layers(flat([[0.0, 3.0], [1.0, 0.0]]), torch.tensor([[3.0, 4.0]]))
    wrapped = make("singular_value_constraint").wrap(discriminator)
    expected = torch.tensor([[0.0, 1.0], [1 / 3, 0.0]])
    torch.testing.assert_close(matrix(wrapped.body.weight), expected)
    torch.testing.assert_close(wrapped.head.weight, torch.tensor([[0.6, 0.8]]))


def test_singular_value_constraint_starts_at_a_multiple_of_the_common_draw(make):
    discriminator = standard()
    before = weights(discriminator)
    make("singular_value_constraint", bound=3.0).wrap(discriminator)
    for weight, given in zip(weights(discriminator), before, strict=True):
        expected = 3 * given / singular_values(given)[0]
        torch.testing.assert_close(weight, expected.float(), rtol=1e-4, atol=1e-5)


def test_singular_value_constraint_holds_wherever_its_parameters_go(make):
    discriminator = standard()
    make("singular_value_constraint", bound=2.0).wrap(discriminator)
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in discriminator.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=draw))
    for layer in discriminator.layers():
        factors = layer.parametrizations.weight
        spectrum = factors.original1.detach().abs().double()
        expected = np.sort((2 * spectrum / spectrum.max()).numpy())[::-1]
        np.testing.assert_allclose(singular_values(layer.weight), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (5, 2)])
def test_singular_value_constraints_gradients_are_those_of_finite_differences(make, layers, shape):
    draw = torch.Generator().manual_seed(0)
    kernel = torch.randn(*shape, 1, 1, generator=draw)
    discriminator = layers(kernel, torch.ones(1, 2)).double()
    make("singular_value_constraint").wrap(discriminator)
    factors = discriminator.body.parametrizations.weight
    originals = [factors.original0, factors.original1, factors.original2]
    with torch.no_grad():
        for parameter in originals:
            parameter.add_(torch.rand(parameter.shape, generator=draw))
    assert torch.autograd.gradcheck(factors[0], originals)
