"""The method orthogonal_brock, on cases that can be solved by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ._penalties import (
    SHAPES,
    random_kernel,
    weight_penalty,
)


def test_brocks_penalty_sums_magnitudes_of_each_filters_own_gram_matrix(make, layers):
    """diag(2, 1): |4 - 1| = 3, whose gradient is 2 * 2 at the 2."""
    found, slope = weight_penalty(
        make, layers, "orthogonal_brock", torch.tensor([[[[2.0, 0.0], [0.0, 1.0]]]])
    )
    assert math.isclose(found, 3.0, rel_tol=1e-6)
    torch.testing.assert_close(slope, torch.tensor([[[[4.0, 0.0], [0.0, 0.0]]]]))
    twice, _ = weight_penalty(make, layers, "orthogonal_brock", torch.eye(2).expand(5, 1, 2, 2))
    assert twice == 0  # equal filters, each with orthonormal rows


@pytest.mark.parametrize("shape", SHAPES)
def test_brocks_penalty_agrees_with_loops_over_filters(make, layers, shape):
    kernel = random_kernel(shape)
    expected = 0.0
    for filter_ in kernel.numpy():
        rows = filter_.transpose(1, 0, 2).reshape(shape[2], -1)  # of a row: inputs and columns
        expected += np.abs(rows @ rows.T - np.eye(shape[2])).sum()
    found, _ = weight_penalty(make, layers, "orthogonal_brock", kernel)
    assert math.isclose(found, expected, rel_tol=1e-4)


def test_brocks_penalty_leaves_the_dense_layer_alone_and_has_its_codes_constant(
    make, layers, batch
):
    kernel = torch.tensor([[[[2.0, 0.0], [0.0, 1.0]]]])
    for size in (1.0, 9.0):
        discriminator = layers(kernel, torch.full((1, 1), size))
        penalty = make("orthogonal_brock").penalty(discriminator, batch(discriminator))
        assert math.isclose(penalty.item(), 3e-3, rel_tol=1e-5)
