"""The method conv_spectral_norm, on cases that can be solved by hand."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from lipbench.discriminators import original

from ._convolutions import (
    SHAPES,
    Convolved,
    draw,
    drawn,
    operator_norms,
)


@pytest.mark.parametrize(
    ("size", "stride", "expected"), [(8, 1, 8.290859), (4, 1, 6.854102), (8, 2, 4.532089)]
)
def test_conv_spectral_norm_divides_by_the_norm_of_the_layer(make, size, stride, expected):
    torch.manual_seed(0)
    discriminator = Convolved(torch.ones(1, 1, 3, 3), size, stride)
    wrapped = make("conv_spectral_norm", power_iterations=100).wrap(discriminator)
    weight = wrapped.body.conv.weight
    torch.testing.assert_close(weight, torch.ones(1, 1, 3, 3) / expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_conv_spectral_norm_gives_every_layer_norm_one(make, shape):
    torch.manual_seed(0)
    wrapped = make("conv_spectral_norm", power_iterations=300).wrap(drawn(*shape))
    for layer in wrapped.layers():
        layer.weight  # noqa: B018 (each access in train mode is an iteration)
    assert list(operator_norms(wrapped)) == pytest.approx([1.0, 1.0], rel=1e-4)


def test_conv_spectral_norms_gradient_is_that_of_the_dense_matrixs_norm(make):
    """d/dK of <G, K / sigma(K)>, with sigma that of the dense matrix, by autograd."""
    torch.manual_seed(0)
    discriminator = drawn(3, 2, 3, 2, 5)
    incoming = draw(3, 2, 3, 3, seed=1)
    wrapped = make("conv_spectral_norm", power_iterations=500).wrap(discriminator)
    (wrapped.body.conv.weight * incoming).sum().backward()

    kernel = draw(3, 2, 3, 3).requires_grad_()
    columns = F.conv2d(torch.eye(50).view(50, 2, 5, 5), kernel, stride=2, padding=1).flatten(1)
    (kernel / torch.linalg.matrix_norm(columns, 2) * incoming).sum().backward()
    found = original(wrapped.body.conv).grad
    torch.testing.assert_close(found, kernel.grad, rtol=1e-3, atol=1e-4)


def test_conv_spectral_norm_does_the_iterations_it_is_asked_for(make):
    torch.manual_seed(0)
    few, many = (
        make("conv_spectral_norm", power_iterations=count).wrap(drawn(5, 2, 3, 1, 6))
        for count in (1, 200)
    )
    errors = [abs(next(operator_norms(wrapped.train())) - 1) for wrapped in (few, many)]
    assert errors[1] <= errors[0]
    for wrapped, rounds in ((few, 1), (many, 200)):
        assert [layer.parametrizations.weight[0].norm.rounds for layer in wrapped.layers()] == [
            rounds,
            rounds,
        ]
