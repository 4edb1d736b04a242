"""Singular values for training, against dense matrices and values known in closed form."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipbench.operators import Convolution, ConvolutionNorm, MatrixNorm, normalized, overlap


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def geometry(inputs: int, size: int, stride: int = 1, padding: int = 1) -> Convolution:
    return Convolution((stride, stride), (padding, padding), torch.Size((inputs, size, size)))


def dense(kernel: Tensor, convolution: Convolution) -> Tensor:
    """Return the convolution's matrix, a column for each pixel of the input."""
    shape = convolution.input_shape
    columns = [
        F.conv2d(
            pixel.view(1, *shape), kernel, stride=convolution.stride, padding=convolution.padding
        ).flatten()
        for pixel in torch.eye(shape.numel(), dtype=kernel.dtype)
    ]
    return torch.stack(columns, dim=1)


@pytest.mark.parametrize("size", [4, 5, 7, 8])
@pytest.mark.parametrize(("side", "stride"), [(3, 1), (3, 2), (4, 1), (4, 2), (3, 3)])
def test_the_adjoint_is_the_transposed_matrix(size, side, stride):
    kernel = draw(3, 2, side, side)
    convolution = geometry(2, size, stride)
    matrix = dense(kernel, convolution)
    inputs = draw(2, size, size, seed=1)
    outputs = convolution.apply(kernel, inputs)
    torch.testing.assert_close(outputs.flatten(), matrix @ inputs.flatten())
    images = convolution.adjoint(kernel, outputs)
    assert images.shape == inputs.shape
    torch.testing.assert_close(images.flatten(), matrix.mT @ outputs.flatten())


@pytest.mark.parametrize(
    ("size", "stride", "expected"), [(8, 1, 8.290859), (4, 1, 6.854102), (8, 2, 4.532089)]
)
def test_a_kernel_of_ones_reaches_the_norm_known_in_closed_form(size, stride, expected):
    torch.manual_seed(0)
    kernel = torch.ones(1, 1, 3, 3)
    norm = ConvolutionNorm(kernel, geometry(1, size, stride), rounds=200)
    assert math.isclose(norm(kernel).item(), expected, rel_tol=1e-6)


@pytest.mark.parametrize(("size", "side", "stride"), [(6, 3, 1), (7, 3, 2), (6, 4, 2)])
def test_a_convolutions_norm_and_its_gradient_are_those_of_the_dense_matrix(size, side, stride):
    torch.manual_seed(0)
    kernel = draw(3, 2, side, side).double().requires_grad_()
    convolution = geometry(2, size, stride)
    estimate = ConvolutionNorm(kernel.detach(), convolution, rounds=500)(kernel)
    exact = torch.linalg.matrix_norm(dense(kernel, convolution), 2)
    torch.testing.assert_close(estimate, exact, rtol=1e-8, atol=0)
    gradients = [torch.autograd.grad(value, kernel)[0] for value in (estimate, exact)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", [(5, 5), (3, 40), (40, 3), (1, 7), (7, 1)])
def test_a_matrixs_norm_and_its_gradient_are_those_of_its_singular_values(shape):
    torch.manual_seed(0)
    weight = draw(*shape).double().requires_grad_()
    estimate = MatrixNorm(weight.detach(), rounds=500)(weight)
    exact = torch.linalg.matrix_norm(weight, 2)
    torch.testing.assert_close(estimate, exact, rtol=1e-8, atol=0)
    gradients = [torch.autograd.grad(value, weight)[0] for value in (estimate, exact)]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-8)


def test_each_forward_in_training_mode_does_the_rounds_it_is_asked_for():
    weight = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    norm = MatrixNorm(weight)
    estimates = []
    norm.u.copy_(torch.ones(2) / math.sqrt(2))
    for _ in range(3):
        estimates.append(norm(weight).item())
    expected = [1.843909, 1.988428, 1.999268]
    assert estimates == pytest.approx(expected, rel=1e-6)
    thrice = MatrixNorm(weight, rounds=3)
    thrice.u.copy_(torch.ones(2) / math.sqrt(2))
    assert math.isclose(thrice(weight).item(), expected[2], rel_tol=1e-6)


def test_eval_mode_changes_no_buffer_and_repeats_its_result():
    kernel = draw(3, 2, 3, 3)
    norm = ConvolutionNorm(kernel, geometry(2, 5)).eval()
    before = copy.deepcopy(norm.state_dict())
    assert norm(kernel) == norm(kernel)
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())


def test_two_forwards_can_be_back_propagated_through_together():
    weight = draw(4, 3).requires_grad_()
    norm = MatrixNorm(weight.detach())
    (norm(weight) + norm(weight)).backward()
    assert weight.grad is not None
    assert weight.grad.isfinite().all()


def test_a_norm_of_zero_is_zero_and_its_gradient_finite():
    weight = torch.zeros(2, 3, requires_grad=True)
    norm = MatrixNorm(weight.detach())(weight)
    norm.backward()
    assert norm.item() == 0
    assert weight.grad.isfinite().all()


def test_normalized_tensors_have_norm_one_and_zero_stays_zero():
    torch.testing.assert_close(
        normalized(torch.tensor([[3.0], [4.0]])), torch.tensor([[0.6], [0.8]])
    )
    assert not normalized(torch.zeros(2)).any()


@pytest.mark.parametrize(
    ("side", "stride", "expected"), [(3, 1, 9), (4, 2, 4), (3, 2, 4), (4, 4, 1), (1, 1, 1)]
)
def test_overlap_counts_the_outputs_that_a_pixel_takes_part_in(side, stride, expected):
    layer = nn.Conv2d(1, 1, side, stride, padding=1)
    nn.init.ones_(layer.weight)
    nn.init.zeros_(layer.bias)
    pixels = torch.eye(12 * 12).view(-1, 1, 12, 12)
    assert layer(pixels).flatten(1).sum(1).max() == expected
    assert overlap(layer) == expected


@pytest.mark.parametrize(("side", "stride"), [(3, 1), (4, 2), (3, 2)])
def test_overlap_bounds_the_operator_by_the_kernel(side, stride):
    for seed in range(10):
        kernel = draw(2, 3, side, side, seed=seed)
        factor = math.sqrt(overlap(nn.Conv2d(3, 2, side, stride, padding=1)))
        operator = torch.linalg.matrix_norm(dense(kernel, geometry(3, 6, stride)), 2)
        assert operator <= factor * torch.linalg.matrix_norm(kernel.flatten(1), 2)


@pytest.mark.parametrize("other", [{"groups": 2}, {"dilation": 2}, {"padding_mode": "circular"}])
def test_a_geometry_that_is_not_covered_is_refused(other):
    layer = nn.Conv2d(2, 2, 3, padding=1, **other)
    with pytest.raises(ValueError, match="only zero padding"):
        Convolution.of(layer, torch.Size((2, 8, 8)))


def test_a_layers_geometry_is_taken_over():
    layer = nn.Conv2d(2, 3, 4, stride=2, padding=1)
    shape = torch.Size((2, 8, 8))
    assert Convolution.of(layer, shape) == Convolution((2, 2), (1, 1), shape)
