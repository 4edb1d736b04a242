"""The method singular_value_bounding, on cases that can be solved by hand."""

from __future__ import annotations

import numpy as np
import torch

from lipbench.discriminators import matrix

from ._weights import (
    flat,
    singular_values,
    standard,
    weights,
)


def test_singular_value_bounding_moves_values_into_the_band(make, layers):
    discriminator = layers(flat([[0.0, 0.5], [-3.0, 0.0]]), torch.tensor([[0.06, 0.08]]))
    with torch.no_grad():
        make("singular_value_bounding", epsilon=0.5).project(discriminator, 0)
    expected = torch.tensor([[0.0, 2 / 3], [-1.5, 0.0]])
    torch.testing.assert_close(matrix(discriminator.body.weight), expected)
    torch.testing.assert_close(discriminator.head.weight, torch.tensor([[0.4, 1.6 / 3]]))


def test_singular_value_bounding_keeps_the_singular_vectors_of_every_shape(make):
    discriminator = standard()
    before = weights(discriminator)
    with torch.no_grad():
        make("singular_value_bounding").project(discriminator, 0)
    for weight, given in zip(weights(discriminator), before, strict=True):
        u, values, vh = np.linalg.svd(matrix(given).double().numpy(), full_matrices=False)
        expected = (u * values.clip(1 / 1.05, 1.05)) @ vh
        np.testing.assert_allclose(matrix(weight), expected, atol=1e-5)


def test_singular_value_bounding_raises_a_singular_value_of_zero(make, layers):
    discriminator = layers(flat([[1.0, 1.0], [1.0, 1.0]]), torch.ones(1, 2))
    with torch.no_grad():
        make("singular_value_bounding").project(discriminator, 0)
    found = singular_values(discriminator.body.weight)
    np.testing.assert_allclose(found, [1.05, 1 / 1.05], rtol=1e-5)
