"""Methods that change weights: cases solved by hand, and properties of many shapes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lipbench.discriminators import convolutions, matrix, original

from ._weights import (
    GAMMAS,
    INCOMING,
    STRETCH,
    flat,
    numerical_gradient,
    standard,
    weights,
)


@pytest.mark.parametrize("name", GAMMAS)
def test_with_gamma_d_starts_with_the_weights_it_was_given(make, name):
    discriminator = standard()
    before = weights(discriminator)
    torch.manual_seed(0)
    more = {"power_iterations": 100} if name == "spectral_norm" else {}
    make(name, gamma=True, **more).wrap(discriminator)
    for weight, expected in zip(weights(discriminator), before, strict=True):
        torch.testing.assert_close(weight, expected, rtol=2e-2, atol=1e-6)


@pytest.mark.parametrize("name", GAMMAS)
def test_gamma_is_trained_and_voids_the_claim(make, layers, name):
    torch.manual_seed(0)
    bounded, free = make(name), make(name, gamma=True)
    assert bounded.claims
    assert not free.claims
    counts = [
        len(list(method.wrap(layers(flat(STRETCH), torch.ones(1, 2))).parameters()))
        for method in (bounded, free)
    ]
    assert counts[1] == counts[0] + 2  # a gamma for each of two layers


@pytest.mark.parametrize("name", ["spectral_norm", "spectral_norm_exact"])
def test_spectral_norms_gamma_starts_at_sigma_and_has_its_gradient(make, layers, name):
    """With W = diag(2, 1), gamma = 2: the weight is W, d/dgamma = <G, W / sigma> = 1 + 4 / 2."""
    torch.manual_seed(0)
    wrapped = make(name, gamma=True).wrap(layers(flat(STRETCH), torch.ones(1, 2)))
    gamma = wrapped.body.parametrizations.weight[1].gamma
    torch.testing.assert_close(gamma.detach(), torch.tensor(2.0))
    (matrix(wrapped.body.weight) * INCOMING).sum().backward()
    torch.testing.assert_close(gamma.grad, torch.tensor(3.0), rtol=1e-4, atol=0)


@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (5, 2), (1, 4)])
@pytest.mark.parametrize(
    "name", ["spectral_norm_exact", "weight_norm", "frobenius_norm", "weight_standardization"]
)
def test_reparametrizations_have_the_gradients_of_finite_differences(make, name, shape):
    draw = torch.Generator().manual_seed(0)
    discriminator = standard().double()
    layer = convolutions(discriminator)[1]
    layer.weight = nn.Parameter(torch.randn(*shape, 1, 1, generator=draw, dtype=torch.float64))
    incoming = torch.randn(shape, generator=draw, dtype=torch.float64)
    make(name).wrap(discriminator)
    (matrix(layer.weight) * incoming).sum().backward()
    expected = numerical_gradient(layer, incoming)
    torch.testing.assert_close(original(layer).grad, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["singular_value_clipping", "singular_value_bounding"])
def test_projections_wait_for_their_turn(make, name):
    discriminator = standard()
    before = weights(discriminator)
    method = make(name, every=3)
    with torch.no_grad():
        for step in (0, 1):
            method.project(discriminator, step)
        assert all(map(torch.equal, weights(discriminator), before))
        method.project(discriminator, 2)
    assert not all(map(torch.equal, weights(discriminator), before))
