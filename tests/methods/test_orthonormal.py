"""The method orthonormal, on cases that can be solved by hand."""

from __future__ import annotations

import math

import pytest
import torch

from lipbench.discriminators import matrix

from ._weights import flat


def test_orthonormal_starts_at_the_polar_factor_of_the_common_draw(make, layers):
    draw = torch.randn(3, 3, generator=torch.Generator().manual_seed(1))
    discriminator = layers(draw[:, :, None, None], torch.tensor([[3.0, 4.0]]))
    make("orthonormal").wrap(discriminator)
    weight = matrix(discriminator.body.weight)
    torch.testing.assert_close(weight @ weight.T, torch.eye(3), atol=1e-5, rtol=0)
    stretch = weight.T @ draw  # of W = Q S, symmetric and positive
    torch.testing.assert_close(stretch, stretch.T, atol=1e-5, rtol=0)
    assert torch.linalg.eigvalsh(stretch).min() > 0


def test_orthonormal_weights_cost_nothing_and_diag_2_1_costs_9(make, layers, batch):
    free = layers(flat([[0.0, 1.0], [-1.0, 0.0]]), torch.tensor([[0.6, 0.8]]))
    method = make("orthonormal", coefficient=1.0)
    assert math.isclose(method.penalty(free, batch(free)).item(), 0.0, abs_tol=1e-6)
    stretched = layers(flat([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.6, 0.8]]))
    assert math.isclose(method.penalty(stretched, batch(stretched)).item(), 9.0, rel_tol=1e-6)


@pytest.mark.parametrize("kernel", [[[1.0, 0, 1], [0, 1, 0]], [[1.0, 0], [0, 1], [1, 0]]])
def test_orthonormal_measures_the_smaller_gram_matrix_so_zero_can_be_reached(
    make, layers, batch, kernel
):
    discriminator = layers(flat(kernel), torch.tensor([[1.0, 0, 0]])[:, : len(kernel)])
    penalty = make("orthonormal", coefficient=1.0).penalty(discriminator, batch(discriminator))
    assert math.isclose(penalty.item(), 1.0, rel_tol=1e-6)
