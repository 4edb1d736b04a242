"""The method r1, on cases that can be solved by hand."""

from __future__ import annotations

import math

import pytest
import torch

from ._penalties import (
    generator,
)


@pytest.mark.parametrize("shape", [(3, 2, 3, 3), (5, 3, 4, 4), (2, 1, 4, 4)])
def test_r1_agrees_with_the_matrix_of_an_affine_discriminator(make, layers, batch, shape):
    """Column by column: D(one pixel) - D(nothing) is an entry of the gradient."""
    draw = generator()
    discriminator = layers(
        torch.randn(shape, generator=draw), torch.randn(1, shape[0], generator=draw)
    )
    nothing = torch.zeros(1, *shape[1:])
    pixels = torch.eye(nothing.numel()).view(-1, *shape[1:])
    with torch.no_grad():
        column = discriminator(pixels) - discriminator(nothing)
    penalty = make("r1", gamma=2.0).penalty(discriminator, batch(discriminator))
    assert math.isclose(penalty.item(), column.square().sum().item(), rel_tol=1e-4)
