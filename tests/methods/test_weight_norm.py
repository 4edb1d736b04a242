"""The method weight_norm, on cases that can be solved by hand."""

from __future__ import annotations

import math

import torch

from lipbench.discriminators import matrix, original

from ._weights import (
    flat,
)


def test_weight_norm_gives_each_output_unit_weights(make, layers):
    discriminator = layers(flat([[3.0, 4.0], [0.0, 2.0]]), torch.tensor([[3.0, 4.0]]))
    wrapped = make("weight_norm").wrap(discriminator)
    torch.testing.assert_close(matrix(wrapped.body.weight), torch.tensor([[0.6, 0.8], [0.0, 1.0]]))
    squares = torch.linalg.svdvals(matrix(wrapped.body.weight)).square().sum()
    assert math.isclose(squares.item(), 2.0, rel_tol=1e-6)  # Eq. 27: the number of outputs


def test_weight_norms_gradient_is_perpendicular_to_the_weight(make, layers):
    """With v = (3, 4) and gradient (1, 0): (1/|v|) (g - <g, w> w) = (.128, -.096)."""
    wrapped = make("weight_norm").wrap(layers(flat([[3.0, 4.0]]), torch.ones(1, 1)))
    matrix(wrapped.body.weight)[0, 0].backward()
    gradient = matrix(original(wrapped.body).grad)
    torch.testing.assert_close(gradient, torch.tensor([[0.128, -0.096]]))


def test_weight_norms_gammas_are_the_rows_norms(make, layers):
    wrapped = make("weight_norm", gamma=True).wrap(
        layers(flat([[3.0, 4.0], [0.0, 2.0]]), torch.tensor([[5.0, 12.0]]))
    )
    body, head = (layer.parametrizations.weight[1].gamma for layer in wrapped.layers())
    torch.testing.assert_close(body.detach().flatten(), torch.tensor([5.0, 2.0]))
    torch.testing.assert_close(head.detach(), torch.tensor([[13.0]]))
