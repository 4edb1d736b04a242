"""The method weight_standardization, on cases that can be solved by hand."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from lipbench.discriminators import convolutions, matrix

from ._weights import (
    flat,
    standard,
    weights,
)


def test_weight_standardization_divides_by_the_unbiased_deviation(make):
    """(1, 3) has mean 2 and unbiased deviation sqrt(2); only where a normalization follows."""
    discriminator = standard()
    layer = convolutions(discriminator)[1]
    layer.weight = nn.Parameter(flat([[1.0, 3.0]]))
    before = weights(discriminator)
    make("weight_standardization").wrap(discriminator)
    root = math.sqrt(0.5)
    torch.testing.assert_close(matrix(layer.weight), torch.tensor([[-root, root]]))
    first, *hidden, head = discriminator.layers()
    assert all(map(parametrize.is_parametrized, hidden))
    assert torch.equal(first.weight, before[0])
    assert torch.equal(head.weight, before[-1])


def test_weight_standardization_gives_each_filter_mean_0_and_deviation_1(make):
    discriminator = standard()
    make("weight_standardization", epsilon=1e-9).wrap(discriminator)
    for weight in weights(discriminator)[1:-1]:
        filters = matrix(weight).double().numpy()
        np.testing.assert_allclose(filters.mean(1), 0, atol=1e-6)
        np.testing.assert_allclose(filters.std(1, ddof=1), 1, rtol=1e-5)


def test_weight_standardizations_epsilon_stands_beside_the_deviation(make):
    discriminator = standard()
    layer = convolutions(discriminator)[1]
    layer.weight = nn.Parameter(flat([[1.0, 3.0], [5.0, 5.0]]))
    make("weight_standardization", epsilon=1.0).wrap(discriminator)
    far = 1 / (math.sqrt(2) + 1)
    expected = torch.tensor([[-far, far], [0.0, 0.0]])
    torch.testing.assert_close(matrix(layer.weight), expected)
