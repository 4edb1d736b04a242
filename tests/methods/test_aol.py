"""The method aol, on cases that can be solved by hand."""

from __future__ import annotations

import torch

from lipbench.discriminators import matrix

from ._convolutions import (
    Convolved,
    circular,
    draw,
)


def test_aol_rescales_a_matrixs_inputs(make, layers):
    """P = [[1, 1], [0, 1]]: the row sums of |P^T P| are 2 and 3."""
    kernel = torch.tensor([[1.0, 1], [0, 1]])[:, :, None, None]
    wrapped = make("aol").wrap(layers(kernel, torch.tensor([[3.0, 4.0]])))
    expected = torch.tensor([[1.0, 1], [0, 1]]) * torch.tensor([1 / 2, 1 / 3]).sqrt()
    torch.testing.assert_close(matrix(wrapped.body.weight), expected)
    torch.testing.assert_close(wrapped.head.weight, torch.tensor([[0.6, 0.8]]))


def test_aol_is_tight_for_a_kernel_of_ones(make):
    wrapped = make("aol").wrap(Convolved(torch.ones(1, 1, 3, 3), 8))
    torch.testing.assert_close(wrapped.body.conv.weight, torch.ones(1, 1, 3, 3) / 9)


def test_aol_rescales_by_the_products_of_all_shifted_filters(make):
    kernel = draw(3, 2, 3, 3)
    wrapped = make("aol").wrap(Convolved(kernel.clone(), 5))
    torus = circular(kernel, 1, 7, 1)  # wide enough for no two shifts to be the same
    sums = (torus.mT @ torus).abs().sum(1)[:: 7 * 7]
    expected = kernel / sums.sqrt()[:, None, None]
    torch.testing.assert_close(wrapped.body.conv.weight, expected)
