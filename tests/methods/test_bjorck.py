"""The method bjorck, on cases that can be solved by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import linalg

from lipbench.discriminators import matrix, original

from ._convolutions import (
    draw,
    drawn,
)


def test_bjorck_maps_singular_values_by_its_polynomial(make, layers):
    """sqrt(|W|_1 |W|_inf) of diag(1, .5) is 1, so .5 goes to .6875 and then .868774."""
    for rounds, expected in ((1, 0.6875), (2, 0.868774), (3, 0.975306)):
        kernel = torch.tensor([[1.0, 0], [0, 0.5]])[:, :, None, None]
        wrapped = make("bjorck", rounds=rounds).wrap(layers(kernel, torch.ones(1, 2)))
        found = matrix(wrapped.body.weight)
        torch.testing.assert_close(found, torch.diag(torch.tensor([1.0, expected])))


@pytest.mark.parametrize("shape", [(4, 2, 3, 1, 5), (20, 2, 3, 1, 5)])
def test_bjorck_ends_at_the_polar_factor(make, shape):
    wrapped = make("bjorck", rounds=30).wrap(drawn(*shape))
    polar, _ = linalg.polar(matrix(draw(*shape[:2], 3, 3)).numpy())
    found = matrix(wrapped.body.conv.weight).detach() * 3
    torch.testing.assert_close(found, torch.from_numpy(polar), atol=1e-4, rtol=0)


def test_bjorcks_gradient_is_that_of_the_polar_factor(make):
    """By finite differences of scipy's polar factor, in a random direction."""
    wrapped = make("bjorck", rounds=30).wrap(drawn(4, 2, 3, 1, 5))
    incoming, direction = draw(4, 18, seed=1), draw(4, 18, seed=2)
    (matrix(wrapped.body.conv.weight) * incoming).sum().backward()
    found = (matrix(original(wrapped.body.conv).grad) * direction).sum().item()
    start, step = matrix(draw(4, 2, 3, 3)).double().numpy(), 1e-5 * direction.double().numpy()
    change = linalg.polar(start + step)[0] - linalg.polar(start - step)[0]
    expected = float(np.sum(incoming.numpy() * change)) / 2e-5 / 3
    assert math.isclose(found, expected, rel_tol=1e-3)
