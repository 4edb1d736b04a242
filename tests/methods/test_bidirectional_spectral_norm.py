"""The method bidirectional_spectral_norm, on cases that can be solved by hand."""

from __future__ import annotations

import math

import pytest
import torch

from lipbench.discriminators import matrix

from ._convolutions import (
    SHAPES,
    drawn,
    sigma,
)


def test_bidirectional_spectral_norm_takes_the_mean_of_two_singular_values(make, layers):
    """sigma = (sqrt 2 + 1) / 2 where one output's kernel has two equal pixels on two inputs."""
    torch.manual_seed(0)
    kernel = torch.zeros(1, 2, 1, 2)
    kernel[0, 0, 0, 0] = kernel[0, 1, 0, 1] = 1
    wrapped = make("bidirectional_spectral_norm").wrap(
        layers(kernel.clone(), torch.tensor([[3.0, 4.0]]))
    )
    torch.testing.assert_close(wrapped.body.weight, kernel / 1.2071068)
    torch.testing.assert_close(wrapped.head.weight, torch.tensor([[0.6, 0.8]]))


@pytest.mark.parametrize("shape", SHAPES)
def test_bidirectional_spectral_norm_is_that_of_the_two_reshapings(make, shape):
    torch.manual_seed(0)
    wrapped = make("bidirectional_spectral_norm", scale=1.6).wrap(drawn(*shape))
    for _ in range(200):
        weight = wrapped.body.conv.weight
    both = sigma(matrix(weight)) + sigma(matrix(weight.transpose(0, 1)))
    assert math.isclose(both / 2, 1.6, rel_tol=1e-4)
    assert math.isclose(sigma(wrapped.head.weight), 1.6, rel_tol=1e-5)
