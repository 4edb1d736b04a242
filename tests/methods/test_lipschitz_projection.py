"""The method lipschitz_projection, on cases that can be solved by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from lipbench.discriminators import Around

from ._weights import (
    Convolution,
    convolution_matrix,
    standard,
    weights,
)


def test_lipschitz_projection_divides_a_kernel_of_ones_by_the_norm_of_its_convolution(
    make, prepared
):
    """Zero-padded on 8 x 8 pixels, 3 x 3 ones have the norm (1 + 2 cos(pi / 9))^2 = 8.290859."""
    torch.manual_seed(0)
    discriminator = Convolution(nn.Conv2d(1, 1, 3, padding=1), 8)
    nn.init.ones_(discriminator.body.weight)
    method = make("lipschitz_projection", power_iterations=50)
    prepared(method, discriminator)
    with torch.no_grad():
        method.project(discriminator, 0)
    expected = torch.full((1, 1, 3, 3), 1 / 8.290859)
    torch.testing.assert_close(discriminator.body.weight.detach(), expected, rtol=1e-4, atol=0)


@pytest.mark.parametrize(("side", "stride", "size"), [(3, 1, 6), (3, 2, 7), (4, 2, 6), (4, 1, 5)])
def test_lipschitz_projection_bounds_the_convolution_as_a_matrix(
    make, side, stride, size, prepared
):
    torch.manual_seed(0)
    discriminator = Convolution(nn.Conv2d(2, 5, side, stride, padding=1), size)
    method = make("lipschitz_projection", bound=0.25, power_iterations=400)
    prepared(method, discriminator)
    before = convolution_matrix(discriminator.body, (2, size, size))
    with torch.no_grad():
        method.project(discriminator, 0)
    after = convolution_matrix(discriminator.body, (2, size, size))
    scale = 0.25 / np.linalg.norm(before, 2)
    assert scale < 1
    np.testing.assert_allclose(after, scale * before, rtol=1e-3)


def test_lipschitz_projection_leaves_layers_within_the_bound_exactly_as_they_are(make, prepared):
    torch.manual_seed(0)
    discriminator = standard()
    before = weights(discriminator)
    method = make("lipschitz_projection", bound=100.0)
    prepared(method, discriminator)
    with torch.no_grad():
        method.project(Around(discriminator), 0)
    assert all(map(torch.equal, weights(discriminator), before))


def test_lipschitz_projection_shrinks_the_gains_of_batch_normalization(make, prepared):
    """gamma / sqrt(variance) is at most 6 / 2 and so 3 times the bound of 1."""
    torch.manual_seed(0)
    discriminator = standard(norm=True)
    norm = discriminator.body.norm1
    method = make("lipschitz_projection")
    prepared(method, discriminator)
    with torch.no_grad():
        norm.weight[:2] = torch.tensor([-6.0, 3.0])
        norm.running_var.fill_(4.0)
        method.project(discriminator, 0)
        torch.testing.assert_close(norm.weight[:2], torch.tensor([-2.0, 1.0]))
        method.project(discriminator, 1)
    torch.testing.assert_close(norm.weight[:2].detach(), torch.tensor([-2.0, 1.0]))


def test_lipschitz_projection_projects_dense_layers_and_comes_closer_at_each_step(
    make, layers, prepared
):
    torch.manual_seed(0)
    discriminator = layers(torch.zeros(1, 1, 1, 1), torch.zeros(2, 1))
    discriminator.head = nn.Linear(1, 2)
    method = make("lipschitz_projection", power_iterations=1)
    prepared(method, discriminator)
    with torch.no_grad():
        discriminator.head.weight.copy_(torch.tensor([[3.0], [4.0]]))
        for step in range(3):
            method.project(discriminator, step)
    torch.testing.assert_close(discriminator.head.weight, torch.tensor([[0.6], [0.8]]))
