"""The method srip, on cases that can be solved by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from lipbench.discriminators import matrix

from ._penalties import (
    SHAPES,
    random_kernel,
    weight_penalty,
)


@pytest.mark.parametrize(
    ("values", "sigma", "slope"),
    [([2.0, 1.0], 3.0, [4.0, 0.0]), ([0.5, 1.0], 0.75, [-1.0, 0.0])],
)
def test_srip_is_the_largest_defect_and_not_its_square(make, layers, values, sigma, slope):
    """s^2 - 1 = 3 of diag(2, 1), with gradient 2 s; 1 - s^2 of diag(.5, 1), with -2 s."""
    torch.manual_seed(0)
    kernel = torch.tensor(values).diag()[:, :, None, None]
    found, gradients = weight_penalty(make, layers, "srip", kernel, power_iterations=30)
    assert math.isclose(found, sigma, rel_tol=1e-5)
    torch.testing.assert_close(matrix(gradients), torch.tensor(slope).diag(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_srip_agrees_with_the_svd_and_never_exceeds_it(make, layers, shape):
    kernel = random_kernel(shape)
    values = np.linalg.svd(kernel.flatten(1).double().numpy(), compute_uv=False)
    expected = np.abs(values**2 - 1).max()
    torch.manual_seed(0)
    found, _ = weight_penalty(make, layers, "srip", kernel, power_iterations=500)
    assert math.isclose(found, expected, rel_tol=1e-3)
    one, _ = weight_penalty(make, layers, "srip", kernel)
    assert 0.2 * expected < one <= expected * (1 + 1e-5)
