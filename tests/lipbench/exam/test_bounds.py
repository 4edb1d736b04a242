"""Measured Lipschitz facts, against dense matrices and values known in closed form."""

from __future__ import annotations

import math
from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from lipbench.exam import bounds
from lipbench.method import Claim
from lipbench.networks import Discriminator


class Small(Discriminator):
    """A convolution with stride 2, a rectifier and a dense layer: D(x) = w . relu(conv x)."""

    def __init__(self) -> None:
        super().__init__((1, 4, 4))
        self.body = nn.Sequential(
            OrderedDict(conv=nn.Conv2d(1, 2, 4, stride=2, padding=1), activation=nn.ReLU())
        )
        self.head = nn.Linear(8, 1)


def convolution(kernel: Tensor, stride: int = 1, padding: int = 1) -> nn.Conv2d:
    outputs, inputs, *size = kernel.shape
    layer = nn.Conv2d(inputs, outputs, tuple(size), stride, padding)
    with torch.no_grad():
        layer.weight.copy_(kernel)
    return layer


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def dense(layer: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """Return the layer's matrix, a column for each pixel of the input."""
    layer = layer.double()
    with torch.no_grad():
        columns = [
            (layer(pixel.view(1, *shape)) - layer(torch.zeros_like(pixel).view(1, *shape)))
            for pixel in torch.eye(math.prod(shape), dtype=torch.float64)
        ]
    return torch.stack([column.flatten() for column in columns], dim=1)


@pytest.mark.parametrize(
    ("size", "stride", "expected"),
    [(8, 1, (1 + 2 * math.cos(math.pi / 9)) ** 2), (4, 1, 6.854102), (8, 2, 4.532089)],
)
def test_a_kernel_of_ones_has_the_norm_known_in_closed_form(size, stride, expected):
    layer = convolution(torch.ones(1, 1, 3, 3), stride)
    measured = bounds.sigma_operator(layer, torch.Size((1, size, size)))
    assert math.isclose(measured, expected, rel_tol=1e-6)


def test_a_row_kernel_has_the_norm_of_a_tridiagonal_matrix():
    layer = convolution(torch.tensor([1.0, 2, 1]).view(1, 1, 1, 3), padding=0)
    layer.padding = (0, 1)
    measured = bounds.sigma_operator(layer, torch.Size((1, 1, 4)))
    assert math.isclose(measured, 2 + 2 * math.cos(math.pi / 5), rel_tol=1e-12)


@pytest.mark.parametrize("size", [2, 4, 7, 12])
@pytest.mark.parametrize(("side", "stride"), [(3, 1), (3, 2), (4, 1), (4, 2)])
@pytest.mark.parametrize(("outputs", "inputs"), [(1, 1), (5, 2), (2, 5)])
def test_a_convolutions_norm_is_that_of_its_dense_matrix(size, side, stride, outputs, inputs):
    layer = convolution(draw(outputs, inputs, side, side), stride)
    nn.init.ones_(layer.bias)
    measured = bounds.sigma_operator(layer, torch.Size((inputs, size, size)))
    expected = torch.linalg.matrix_norm(dense(layer, (inputs, size, size)), 2)
    assert math.isclose(measured, expected.item(), rel_tol=1e-9)


@pytest.mark.parametrize(("outputs", "inputs"), [(1, 1), (1, 300), (300, 1), (100, 100), (90, 70)])
def test_a_dense_layers_norm_is_that_of_its_weight(outputs, inputs):
    layer = nn.Linear(inputs, outputs)
    with torch.no_grad():
        layer.weight.copy_(draw(outputs, inputs))
    measured = bounds.sigma_operator(layer, torch.Size((inputs,)))
    expected = torch.linalg.matrix_norm(layer.weight.detach().double(), 2).item()
    assert math.isclose(measured, expected, rel_tol=1e-9)
    assert math.isclose(bounds.sigma_kernel(layer), expected, rel_tol=1e-9)


@pytest.mark.parametrize("size", [4, 12])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_map_with_all_singular_values_equal_can_be_measured(size, value):
    kernel = torch.zeros(2, 2, 3, 3)
    kernel[0, 0, 1, 1] = kernel[1, 1, 1, 1] = value
    measured = bounds.sigma_operator(convolution(kernel), torch.Size((2, size, size)))
    assert math.isclose(measured, value, rel_tol=1e-9, abs_tol=1e-12)


def test_norms_of_the_weight_are_those_of_the_reshaped_kernel():
    layer = convolution(torch.tensor([[3.0, 0], [0, -4]])[:, :, None, None], padding=0)
    assert bounds.sigma_kernel(layer) == pytest.approx(4)
    assert bounds.frobenius_norm(layer) == pytest.approx(5)
    assert bounds.row_norm(layer) == pytest.approx(4)
    assert bounds.largest_weight(layer) == pytest.approx(4)


def test_a_reparametrized_layer_is_measured_as_it_computes_and_left_as_it_is():
    layer = parametrizations.spectral_norm(convolution(draw(3, 2, 3, 3)), n_power_iterations=50)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    bounds.sigma_operator(layer, torch.Size((2, 6, 6)))
    assert bounds.sigma_kernel(layer) == pytest.approx(1, rel=0.05)
    assert layer.training
    for name, value in layer.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_the_input_gradient_is_the_largest_norm_over_the_images():
    discriminator = Small()
    with torch.no_grad():
        discriminator.body.conv.bias.fill_(100.0)  # all rectifiers pass
    images = draw(5, 1, 4, 4)
    matrix = dense(discriminator.body.conv, (1, 4, 4))
    expected = (discriminator.head.weight.double() @ matrix).norm().item()
    assert math.isclose(
        bounds.input_gradient(discriminator.float(), images), expected, rel_tol=1e-6
    )
    with torch.no_grad():
        discriminator.body.conv.bias.fill_(-100.0)
    assert bounds.input_gradient(discriminator, images) == 0


@pytest.mark.parametrize(
    ("claim", "names"),
    [
        (Claim("sigma_operator", 1.0, 0.0), ["body.conv", "head"]),
        (Claim("sigma_kernel", 1.0, 0.0, layers="convolutions"), ["body.conv"]),
        (Claim("input_gradient", 1.0, 0.0), ["D"]),
    ],
)
def test_a_claim_is_measured_on_the_layers_that_it_is_about(claim, names):
    measured = dict(bounds.measured(claim, Small(), draw(2, 1, 4, 4)))
    assert list(measured) == names
    assert all(math.isfinite(value) and value >= 0 for value in measured.values())


def test_the_operators_norm_is_measured_with_the_input_that_the_layer_gets():
    discriminator = Small()
    measured = dict(
        bounds.measured(Claim("sigma_operator", 1.0, 0.0), discriminator, draw(2, 1, 4, 4))
    )
    expected = torch.linalg.matrix_norm(dense(discriminator.body.conv, (1, 4, 4)), 2)
    assert math.isclose(measured["body.conv"], expected.item(), rel_tol=1e-9)
