"""The method sll, on cases that can be solved by hand."""

from __future__ import annotations

import pytest
import torch

from ._convolutions import (
    circular,
    sigma,
)


def test_an_sll_layer_with_weight_two_is_minus_the_magnitude(make):
    layer = make("sll").activation(1)
    with torch.no_grad():
        layer.kernel.zero_()[0, 0, 1, 1] = 2
        layer.q.fill_(1)
    inputs = torch.tensor([0.5, -1.0, 3.0, 0.0]).view(4, 1, 1, 1)
    torch.testing.assert_close(layer(inputs), -inputs.abs(), rtol=1e-5, atol=0)


def test_an_sll_layers_bound_is_that_of_the_weighted_products_of_its_filters(make):
    torch.manual_seed(0)
    layer = make("sll").activation(3)
    torus = circular(layer.kernel.detach(), 1, 7, 1)
    q = layer.q.detach().repeat_interleave(49)
    expected = ((torus @ torus.mT).abs() * q / q[:, None]).sum(1)[::49]
    torch.testing.assert_close(layer.bound().detach(), expected, rtol=1e-4, atol=1e-5)
    assert (layer.q > 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_an_sll_layer_is_1_lipschitz(make, seed):
    """The Jacobian's norm at several points, and two outputs' distance, with random parameters."""
    torch.manual_seed(seed)
    layer = make("sll").activation(2)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn_like(parameter))
    for point in 3 * torch.randn(3, 2, 5, 5):
        jacobian = torch.autograd.functional.jacobian(lambda x: layer(x[None]).flatten(), point)
        assert sigma(jacobian.flatten(1)) <= 1 + 1e-5
    a, b = 3 * torch.randn(2, 64, 2, 5, 5)
    distances = (layer(a) - layer(b)).flatten(1).norm(dim=1)
    assert (distances <= (a - b).flatten(1).norm(dim=1) * (1 + 1e-5)).all()
