"""The method frobenius_norm, on cases that can be solved by hand."""

from __future__ import annotations

import pytest
import torch

from lipbench.discriminators import matrix, original

from ._weights import (
    flat,
)


@pytest.mark.parametrize("gamma", [False, True])
def test_frobenius_norm_makes_diag_3_4_unit_with_the_gradient_of_eq_36(make, layers, gamma):
    """(1 / |W|) (G - <G, W_bar> W_bar) for G = E_11 is diag(.128, -.096); gamma = |W| = 5."""
    wrapped = make("frobenius_norm", gamma=gamma).wrap(
        layers(flat([[3.0, 0.0], [0.0, 4.0]]), torch.tensor([[3.0, 4.0]]))
    )
    factor = 5.0 if gamma else 1.0
    weight = matrix(wrapped.body.weight)
    torch.testing.assert_close(weight, factor * torch.diag(torch.tensor([0.6, 0.8])))
    torch.testing.assert_close(wrapped.head.weight, factor * torch.tensor([[0.6, 0.8]]))
    weight[0, 0].backward()
    expected = factor * torch.diag(torch.tensor([0.128, -0.096]))
    torch.testing.assert_close(matrix(original(wrapped.body).grad), expected)
