"""The method fantastic_four, on cases that can be solved by hand."""

from __future__ import annotations

import math

import pytest
import torch

from ._convolutions import (
    SHAPES,
    Convolved,
    drawn,
    operator_norms,
    sigma,
)


def test_the_fantastic_four_of_a_kernel_of_ones_is_nine(make):
    torch.manual_seed(0)
    wrapped = make("fantastic_four").wrap(Convolved(torch.ones(1, 1, 3, 3), 8))
    torch.testing.assert_close(wrapped.body.conv.weight, torch.ones(1, 1, 3, 3) / 9)


@pytest.mark.parametrize("shape", SHAPES)
def test_fantastic_four_divides_by_the_least_of_the_four_bounds(make, shape):
    torch.manual_seed(0)
    wrapped = make("fantastic_four").wrap(drawn(*shape))
    for _ in range(300):
        weight = wrapped.body.conv.weight
    outputs, inputs, side, _ = weight.shape
    four = [
        weight.permute(0, 2, 1, 3).reshape(outputs * side, inputs * side),
        weight.permute(0, 3, 1, 2).reshape(outputs * side, inputs * side),
        weight.reshape(outputs, -1),
        weight.transpose(0, 1).reshape(inputs, -1),
    ]
    assert math.isclose(side * min(map(sigma, four)), 1.0, rel_tol=1e-4)
    assert all(norm <= 1 + 1e-4 for norm in operator_norms(wrapped))
