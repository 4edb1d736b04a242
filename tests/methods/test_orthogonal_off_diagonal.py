"""The method orthogonal_off_diagonal, on cases that can be solved by hand."""

from __future__ import annotations

import math

import pytest
import torch

from lipbench.discriminators import matrix

from ._penalties import (
    SHAPES,
    random_kernel,
    weight_penalty,
)


def test_the_off_diagonal_penalty_has_its_formulas_gradient(make, layers):
    """By hand, R = 2 and the gradient 4 (W W^T * (1 - I)) W, of which BigGAN's code adds half."""
    kernel = torch.tensor([[1.0, 1.0], [0.0, 1.0]])[:, :, None, None]
    found, slope = weight_penalty(make, layers, "orthogonal_off_diagonal", kernel)
    assert math.isclose(found, 2.0, rel_tol=1e-6)
    torch.testing.assert_close(matrix(slope), torch.tensor([[0.0, 4.0], [4.0, 4.0]]))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_off_diagonal_penalty_agrees_with_loops_over_pairs_of_outputs(make, layers, shape):
    kernel = random_kernel(shape)
    rows = kernel.flatten(1).double().numpy()
    expected = sum((a @ b) ** 2 for i, a in enumerate(rows) for j, b in enumerate(rows) if i != j)
    found, _ = weight_penalty(make, layers, "orthogonal_off_diagonal", kernel)
    assert math.isclose(found, expected, rel_tol=1e-4)


def test_the_off_diagonal_penalty_leaves_norms_free(make, layers):
    kernel = torch.tensor([[0.0, 7.0], [0.1, 0.0]])[:, :, None, None]
    found, slope = weight_penalty(make, layers, "orthogonal_off_diagonal", kernel)
    assert found == 0
    assert not slope.any()
