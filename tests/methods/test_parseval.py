"""The method parseval, on cases that can be solved by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lipbench.discriminators import matrix
from lipbench.exam.bounds import sigma_kernel

from ._weights import (
    singular_values,
    standard,
    weights,
)


@pytest.mark.parametrize(("value", "expected"), [(2.0, 1.4), (1.0, 1.0), (0.5, 0.5375)])
@pytest.mark.parametrize("shape", [(2, 2), (2, 5), (5, 2)])
def test_parseval_moves_each_singular_value_toward_1(make, layers, value, expected, shape):
    u, _, vh = torch.linalg.svd(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    u, vh = u[:, :2], vh[:2]
    kernel = u * torch.tensor([value, 1.0]) @ vh
    discriminator = layers(kernel[:, :, None, None], torch.tensor([[0.0, value]]))
    with torch.no_grad():
        make("parseval", coefficient=0.1).project(discriminator, 0)
    moved = u * torch.tensor([expected, 1.0]) @ vh
    torch.testing.assert_close(matrix(discriminator.body.weight.detach()), moved)
    torch.testing.assert_close(discriminator.head.weight, torch.tensor([[0.0, expected]]))


def test_parseval_ends_at_orthonormal_weights(make):
    discriminator = standard()
    with torch.no_grad():
        for layer in discriminator.layers():
            layer.weight.div_(sigma_kernel(layer))
        method = make("parseval", coefficient=0.5)
        for step in range(60):
            method.project(discriminator, step)
    for weight in weights(discriminator):
        np.testing.assert_allclose(singular_values(weight), 1, rtol=1e-4)
