"""The method conv_spectral_norm_fft, on cases that can be solved by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from lipbench.discriminators import original
from lipbench.exam import bounds

from ._convolutions import (
    SHAPES,
    Convolved,
    circular,
    draw,
    drawn,
    sigma,
)


@pytest.mark.parametrize(
    ("outputs", "inputs", "side", "stride", "size"), [*SHAPES, (2, 3, 3, 2, 5), (2, 1, 3, 3, 7)]
)
def test_the_fft_norm_is_that_on_the_torus_of_the_padded_input(
    make, outputs, inputs, side, stride, size
):
    discriminator = drawn(outputs, inputs, side, stride, size)
    wrapped = make("conv_spectral_norm_fft").wrap(discriminator)
    divisor = (draw(outputs, inputs, side, side) / wrapped.body.conv.weight).median().item()
    torus = -(-(size + 2) // stride) * stride
    padding = min(1, side - stride)  # a shift on the torus changes no norm
    expected = sigma(circular(draw(outputs, inputs, side, side), stride, torus, padding))
    assert math.isclose(divisor, expected, rel_tol=1e-5)
    bound = bounds.sigma_operator(wrapped.body.conv, torch.Size((inputs, size, size)))
    assert bound <= 1 + 1e-12  # rounding, in double precision


@pytest.mark.parametrize(("stride", "size", "expected"), [(1, 8, 9.0), (2, 8, 5.0)])
def test_the_fft_norm_of_a_kernel_of_ones_is_known(make, stride, size, expected):
    wrapped = make("conv_spectral_norm_fft").wrap(Convolved(torch.ones(1, 1, 3, 3), size, stride))
    weight = wrapped.body.conv.weight
    torch.testing.assert_close(weight, torch.ones(1, 1, 3, 3) / expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize(("side", "stride"), [(3, 1), (4, 2)])
def test_the_fft_norms_gradient_is_that_of_the_dense_circular_matrixs_norm(make, side, stride):
    incoming = draw(3, 2, side, side, seed=1)
    wrapped = make("conv_spectral_norm_fft").wrap(drawn(3, 2, side, stride, 4))
    (wrapped.body.conv.weight * incoming).sum().backward()

    kernel = draw(3, 2, side, side).requires_grad_()
    pixels = F.pad(torch.eye(72).view(72, 2, 6, 6), (0, side - stride) * 2, mode="circular")
    norm = torch.linalg.matrix_norm(F.conv2d(pixels, kernel, stride=stride).flatten(1), 2)
    (kernel / norm * incoming).sum().backward()
    found = original(wrapped.body.conv).grad
    torch.testing.assert_close(found, kernel.grad, rtol=1e-3, atol=1e-5)
