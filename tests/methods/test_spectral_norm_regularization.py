"""The method spectral_norm_regularization, on cases that can be solved by hand."""

from __future__ import annotations

import math

import torch

from lipbench.discriminators import Around, matrix

from ._weights import (
    STRETCH,
    flat,
    singular_values,
    standard,
    weights,
)


def test_spectral_norm_regularization_of_diag_3_1_is_45_thousandths(make, layers, batch, prepared):
    """coefficient / 2 * 3^2, with the gradient coefficient * 3 u v^T; the head adds 0.5^2."""
    torch.manual_seed(0)
    method = make("spectral_norm_regularization", coefficient=0.01)
    head = torch.tensor([[0.3, 0.4]])
    discriminator = prepared(method, layers(flat([[3.0, 0.0], [0.0, 1.0]]), head))
    penalty = method.penalty(discriminator, batch(discriminator))
    assert math.isclose(penalty.item(), 0.045 + 0.00125, rel_tol=1e-4)
    penalty.backward()
    expected = torch.tensor([[0.03, 0.0], [0.0, 0.0]])
    torch.testing.assert_close(matrix(discriminator.body.weight.grad), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(discriminator.head.weight.grad, 0.01 * head)


def test_spectral_norm_regularization_sums_all_layers_and_is_found_in_a_wrapped_d(
    make, batch, prepared
):
    torch.manual_seed(0)
    method = make("spectral_norm_regularization", coefficient=2.0, power_iterations=200)
    discriminator = Around(prepared(method, standard()))
    penalty = method.penalty(discriminator, batch(discriminator.inner))
    expected = sum(singular_values(weight)[0] ** 2 for weight in weights(discriminator))
    assert math.isclose(penalty.item(), expected, rel_tol=1e-3)


def test_spectral_norm_regularization_follows_the_weights_it_is_given(
    make, layers, batch, prepared
):
    torch.manual_seed(0)
    method = make("spectral_norm_regularization", coefficient=2.0)
    discriminator = prepared(method, layers(flat(STRETCH), torch.zeros(1, 2)))
    with torch.no_grad():
        discriminator.body.weight.copy_(flat([[1.0, 0.0], [0.0, 4.0]]))
    sizes = [method.penalty(discriminator, batch(discriminator)).item() for _ in range(20)]
    assert sizes[0] < 15
    assert math.isclose(sizes[-1], 16.0, rel_tol=1e-4)
