"""The method spectral_norm_exact, on cases that can be solved by hand."""

from __future__ import annotations

import torch

from lipbench.discriminators import matrix, original

from ._weights import (
    INCOMING,
    STRETCH,
    flat,
    singular_values,
    standard,
    weights,
)


def test_spectral_norm_exact_gives_every_kernel_the_largest_singular_value_1(make):
    discriminator = standard()
    before = weights(discriminator)
    make("spectral_norm_exact").wrap(discriminator)
    for weight, given in zip(weights(discriminator), before, strict=True):
        expected = given.double() / singular_values(given)[0]
        torch.testing.assert_close(weight.double(), expected, rtol=1e-5, atol=1e-7)


def test_spectral_norm_exact_has_the_gradient_of_eq_11_and_follows_the_weight_at_once(
    make, layers
):
    wrapped = make("spectral_norm_exact").wrap(layers(flat(STRETCH), torch.ones(1, 2)))
    (matrix(wrapped.body.weight) * INCOMING).sum().backward()
    expected = torch.tensor([[-1.0, 1.0], [1.5, 2.0]])
    torch.testing.assert_close(matrix(original(wrapped.body).grad), expected)
    with torch.no_grad():
        original(wrapped.body).copy_(flat([[0.0, 0.0], [5.0, 0.0]]))
    expected = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    torch.testing.assert_close(matrix(wrapped.body.weight), expected)
    assert not list(wrapped.buffers())
