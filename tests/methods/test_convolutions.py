"""Methods that bound the convolution as it is, and 1-Lipschitz layers, against dense matrices."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy import linalg
from torch import Tensor, nn
from torch.nn import functional as F

from lipbench.architectures.standard_cnn import StandardDiscriminator
from lipbench.discriminators import input_shapes, matrix, original
from lipbench.errors import UserError
from lipbench.exam import bounds
from lipbench.networks import Discriminator

# Methods that bound each layer's norm by 1 whatever the weights are.
CERTIFIED = (
    ("conv_spectral_norm_fft", {}),
    ("aol", {}),
    ("orthogonal", {"map": "cayley"}),
    ("orthogonal", {"map": "householder"}),
    ("bjorck", {}),
    ("bjorck", {"rounds": 1}),
    ("cayley", {}),
    ("sll", {}),
)

# Outputs, inputs, kernel's side, stride, input's side.
SHAPES = ((5, 2, 3, 1, 6), (2, 5, 3, 1, 5), (3, 2, 4, 2, 6), (20, 3, 4, 2, 8), (2, 2, 3, 1, 2))


class Convolved(Discriminator):
    """A convolution with padding 1 and a dense layer."""

    def __init__(self, kernel: Tensor, size: int, stride: int = 1) -> None:
        outputs, inputs, side, _ = kernel.shape
        super().__init__((inputs, size, size))
        layer = nn.Conv2d(inputs, outputs, side, stride, padding=1)
        self.body = nn.Sequential(OrderedDict(conv=layer))
        self.head = nn.Linear(outputs * ((size + 2 - side) // stride + 1) ** 2, 1)
        with torch.no_grad():
            layer.weight.copy_(kernel)
            self.head.weight.copy_(draw(*self.head.weight.shape))


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def drawn(outputs: int, inputs: int, side: int, stride: int, size: int) -> Convolved:
    return Convolved(draw(outputs, inputs, side, side), size, stride)


def dense(layer: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """Return the layer's matrix, a column for each pixel of the input."""
    with torch.no_grad():
        offset = layer(torch.zeros(1, *shape))
        columns = [
            (layer(pixel.view(1, *shape)) - offset).flatten()
            for pixel in torch.eye(math.prod(shape))
        ]
    return torch.stack(columns, dim=1)


def circular(kernel: Tensor, stride: int, size: int, padding: int) -> Tensor:
    """Return the matrix of the convolution on the torus of size x size pixels."""
    end = kernel.shape[2] - stride - padding

    def forward(images: Tensor) -> Tensor:
        padded = F.pad(images, (padding, end, padding, end), mode="circular")
        return F.conv2d(padded, kernel, stride=stride)

    return dense(forward, (kernel.shape[1], size, size))  # type: ignore[arg-type]


def sigma(weight: Tensor) -> float:
    return torch.linalg.matrix_norm(weight.detach(), 2).item()


def operator_norms(discriminator: Discriminator) -> Iterator[float]:
    for layer, shape in input_shapes(discriminator).items():
        yield bounds.sigma_operator(layer, shape)


@pytest.mark.parametrize(("name", "fields"), CERTIFIED)
@pytest.mark.parametrize("shape", SHAPES)
def test_certified_layers_have_norm_at_most_one_whatever_the_weights(make, name, fields, shape):
    for factor in (1e-2, 1.0, 30.0):
        discriminator = drawn(*shape)
        with torch.no_grad():
            for layer in discriminator.layers():
                layer.weight.mul_(factor)
        wrapped = make(name, **fields).wrap(discriminator)
        assert all(norm <= 1 + 2e-5 for norm in operator_norms(wrapped))


@pytest.mark.parametrize(("name", "fields"), CERTIFIED)
def test_certified_layers_stay_so_when_their_parameters_are_moved(make, name, fields):
    torch.manual_seed(0)
    wrapped = make(name, **fields).wrap(drawn(5, 2, 3, 1, 6))
    with torch.no_grad():
        for parameter in wrapped.parameters():
            parameter.add_(torch.randn_like(parameter))
    assert all(norm <= 1 + 2e-5 for norm in operator_norms(wrapped))


@pytest.mark.parametrize("name", ["aol", "orthogonal", "bjorck", "cayley", "sll"])
def test_a_whole_discriminator_of_them_is_1_lipschitz(make, name):
    torch.manual_seed(0)
    method = make(name)
    hidden = {"activation": method.activation} if name == "sll" else {}
    discriminator = method.wrap(StandardDiscriminator((1, 16, 16), 0.125, **hidden)).eval()
    a, b = draw(2, 8, 1, 16, 16)
    change = (discriminator(a) - discriminator(b)).abs()
    assert (change <= (a - b).flatten(1).norm(dim=1) * (1 + 1e-5)).all()
    assert bounds.input_gradient(discriminator, a) <= 1 + 1e-5


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


def test_bidirectional_spectral_norm_takes_the_mean_of_two_singular_values(make, layers):
    """sigma = (sqrt 2 + 1) / 2 where one output's kernel has two equal pixels on two inputs."""
    torch.manual_seed(0)
    kernel = torch.zeros(1, 2, 1, 2)
    kernel[0, 0, 0, 0] = kernel[0, 1, 0, 1] = 1
    wrapped = make("bidirectional_spectral_norm").wrap(
        layers(kernel.clone(), torch.tensor([[3.0, 4.0]]))
    )
    torch.testing.assert_close(wrapped.body.weight, kernel / 1.2071068)
    torch.testing.assert_close(wrapped.head.weight, torch.tensor([[0.6, 0.8]]))


@pytest.mark.parametrize("shape", SHAPES)
def test_bidirectional_spectral_norm_is_that_of_the_two_reshapings(make, shape):
    torch.manual_seed(0)
    wrapped = make("bidirectional_spectral_norm", scale=1.6).wrap(drawn(*shape))
    for _ in range(200):
        weight = wrapped.body.conv.weight
    both = sigma(matrix(weight)) + sigma(matrix(weight.transpose(0, 1)))
    assert math.isclose(both / 2, 1.6, rel_tol=1e-4)
    assert math.isclose(sigma(wrapped.head.weight), 1.6, rel_tol=1e-5)


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


def test_aol_rescales_a_matrixs_inputs(make, layers):
    """P = [[1, 1], [0, 1]]: the row sums of |P^T P| are 2 and 3."""
    kernel = torch.tensor([[1.0, 1], [0, 1]])[:, :, None, None]
    wrapped = make("aol").wrap(layers(kernel, torch.tensor([[3.0, 4.0]])))
    expected = torch.tensor([[1.0, 1], [0, 1]]) * torch.tensor([1 / 2, 1 / 3]).sqrt()
    torch.testing.assert_close(matrix(wrapped.body.weight), expected)
    torch.testing.assert_close(wrapped.head.weight, torch.tensor([[0.6, 0.8]]))


def test_aol_is_tight_for_a_kernel_of_ones(make):
    wrapped = make("aol").wrap(Convolved(torch.ones(1, 1, 3, 3), 8))
    torch.testing.assert_close(wrapped.body.conv.weight, torch.ones(1, 1, 3, 3) / 9)


def test_aol_rescales_by_the_products_of_all_shifted_filters(make):
    kernel = draw(3, 2, 3, 3)
    wrapped = make("aol").wrap(Convolved(kernel.clone(), 5))
    torus = circular(kernel, 1, 7, 1)  # wide enough for no two shifts to be the same
    sums = (torus.mT @ torus).abs().sum(1)[:: 7 * 7]
    expected = kernel / sums.sqrt()[:, None, None]
    torch.testing.assert_close(wrapped.body.conv.weight, expected)


@pytest.mark.parametrize("name", ["orthogonal", "bjorck"])
@pytest.mark.parametrize(
    ("shape", "divisor"),
    [((4, 2, 3, 1, 5), 3), ((20, 2, 3, 1, 5), 3), ((4, 2, 4, 2, 6), 2), ((3, 2, 3, 2, 5), 2)],
)
def test_orthonormal_kernels_have_equal_singular_values(make, name, shape, divisor):
    wrapped = make(name).wrap(drawn(*shape))
    values = torch.linalg.svdvals(matrix(wrapped.body.conv.weight).detach())
    torch.testing.assert_close(values, torch.full_like(values, 1 / divisor), rtol=1e-3, atol=0)
    assert math.isclose(sigma(wrapped.head.weight), 1.0, rel_tol=1e-5)


def test_the_cayley_map_is_the_one_known_in_fractions(make, layers):
    kernel = torch.tensor([[0.0, 1], [0, 0], [1, 0]])[:, :, None, None]
    wrapped = make("orthogonal").wrap(layers(kernel, torch.ones(1, 3)))
    expected = torch.tensor([[-1.0, -2], [2, 1], [-2, 2]]) / 3
    torch.testing.assert_close(matrix(wrapped.body.weight), expected)
    wrapped = make("orthogonal").wrap(
        layers(torch.tensor([[0.0, 1], [0, 0]])[:, :, None, None], torch.ones(1, 2))
    )
    torch.testing.assert_close(
        matrix(wrapped.body.weight), torch.tensor([[0.0, -1], [1, 0]]), atol=1e-6, rtol=0
    )


def test_the_householder_map_is_a_product_of_reflections(make, layers):
    weight = draw(4, 3)
    wrapped = make("orthogonal", map="householder").wrap(
        layers(weight[:, :, None, None].clone(), torch.ones(1, 4))
    )
    product = torch.eye(4)
    for column in range(3):
        normal = weight[:, column].clone()
        normal[:column], normal[column] = 0, 1
        product = product @ (torch.eye(4) - 2 * normal.outer(normal) / normal.dot(normal))
    torch.testing.assert_close(matrix(wrapped.body.weight), product[:, :3], atol=1e-5, rtol=0)


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


@pytest.mark.parametrize("shape", [*SHAPES, (4, 1, 4, 2, 2), (5, 2, 5, 2, 8)])
def test_cayley_convolutions_keep_norms_of_inputs_or_outputs(make, shape):
    outputs, inputs, _, stride, size = shape
    wrapped = make("cayley").wrap(drawn(*shape))
    (layer, *_) = wrapped.layers()
    found = dense(layer, (inputs, size, size))
    assert len(found) == outputs * (size // stride) ** 2
    gram = found @ found.mT if len(found) < len(found.mT) else found.mT @ found
    torch.testing.assert_close(gram, torch.eye(len(gram)), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "shape",
    [(3, 2, 3, 1, 4), (2, 3, 3, 1, 5), (9, 2, 4, 2, 4), (3, 1, 4, 2, 8), (3, 1, 5, 2, 8)],
)
def test_a_cayley_convolution_is_the_cayley_transform_of_the_dense_circular_matrix(make, shape):
    outputs, inputs, side, stride, size = shape
    kernel = draw(outputs, inputs, side, side)
    wrapped = make("cayley").wrap(Convolved(kernel.clone(), size, stride))
    (layer, *_) = wrapped.layers()
    # Pixels in the order in which a stride takes them as channels.
    order = F.pixel_unshuffle(torch.arange(inputs * size**2.0).view(inputs, size, size), stride)
    order = order.flatten().long()
    centre = (-(-side // stride) - 1) // 2
    dense_weight = circular(kernel, stride, size, centre * stride)[:, order].double().numpy()
    wide = dense_weight.shape[0] < dense_weight.shape[1]
    tall = dense_weight.T if wide else dense_weight
    columns = tall.shape[1]
    u, v, eye = tall[:columns], tall[columns:], np.eye(columns)
    a = u - u.T + v.T @ v
    expected = np.vstack([np.linalg.solve(eye + a, eye - a), -2 * v @ np.linalg.inv(eye + a)])
    found = dense(layer, (inputs, size, size))[:, order].double()
    torch.testing.assert_close(
        found, torch.from_numpy(expected.T if wide else expected), atol=1e-5, rtol=0
    )


def test_a_cayley_convolution_adds_the_bias_and_computes_in_float32_under_autocast(make):
    wrapped = make("cayley").wrap(drawn(3, 2, 3, 1, 4))
    (layer, *_) = wrapped.layers()
    images = draw(2, 2, 4, 4)
    with torch.no_grad():
        expected = layer(images) + 1
        layer.bias.add_(1)
        torch.testing.assert_close(layer(images), expected)
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(layer(images), expected)


def test_cayley_learns_a_scale_that_starts_at_the_weights_norm(make):
    wrapped = make("cayley").wrap(drawn(3, 2, 3, 1, 4))
    for layer, module in zip(
        wrapped.layers(),
        [module for module in wrapped.modules() if hasattr(module, "alpha")],
        strict=True,
    ):
        assert module.alpha.requires_grad
        torch.testing.assert_close(module.alpha, original(layer).norm())
        with torch.no_grad():
            inputs = torch.randn(1, *input_shapes(wrapped)[layer])
            before = layer(inputs)
            original(layer).mul_(7.0)
            torch.testing.assert_close(layer(inputs), before)


def test_an_sll_layer_with_weight_two_is_minus_the_magnitude(make):
    layer = make("sll").activation(1)
    with torch.no_grad():
        layer.kernel.zero_()[0, 0, 1, 1] = 2
        layer.q.fill_(1)
    inputs = torch.tensor([0.5, -1.0, 3.0, 0.0]).view(4, 1, 1, 1)
    torch.testing.assert_close(layer(inputs), -inputs.abs(), rtol=1e-5, atol=0)


def test_an_sll_layers_bound_is_that_of_the_weighted_products_of_its_filters(make):
    torch.manual_seed(0)
    layer = make("sll").activation(3)
    torus = circular(layer.kernel.detach(), 1, 7, 1)
    q = layer.q.detach().repeat_interleave(49)
    expected = ((torus @ torus.mT).abs() * q / q[:, None]).sum(1)[::49]
    torch.testing.assert_close(layer.bound().detach(), expected, rtol=1e-4, atol=1e-5)
    assert (layer.q > 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_an_sll_layer_is_1_lipschitz(make, seed):
    """The Jacobian's norm at several points, and two outputs' distance, with random parameters."""
    torch.manual_seed(seed)
    layer = make("sll").activation(2)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn_like(parameter))
    for point in 3 * torch.randn(3, 2, 5, 5):
        jacobian = torch.autograd.functional.jacobian(lambda x: layer(x[None]).flatten(), point)
        assert sigma(jacobian.flatten(1)) <= 1 + 1e-5
    a, b = 3 * torch.randn(2, 64, 2, 5, 5)
    distances = (layer(a) - layer(b)).flatten(1).norm(dim=1)
    assert (distances <= (a - b).flatten(1).norm(dim=1) * (1 + 1e-5)).all()


def test_group_sort_sorts_neighbouring_channels(make):
    inputs = torch.tensor([3.0, 1, 2, 5]).view(1, 4, 1, 1)
    pairs = make("group_sort").activation(4)(inputs)
    assert pairs.flatten().tolist() == [1, 3, 2, 5]
    whole = make("group_sort", size=4).activation(4)(inputs)
    assert whole.flatten().tolist() == [1, 2, 3, 5]


def test_group_sort_keeps_the_gradients_norm(make):
    inputs = draw(2, 6, 3, 3).requires_grad_()
    incoming = draw(2, 6, 3, 3, seed=1)
    (make("group_sort", size=3).activation(6)(inputs) * incoming).sum().backward()
    assert torch.equal(inputs.grad.flatten().sort().values, incoming.flatten().sort().values)


def test_group_sort_refuses_channels_that_it_cannot_group(make):
    with pytest.raises(UserError, match=r"7 channels in groups of size 2"):
        make("group_sort").activation(7)


def test_group_sort_goes_with_orthonormal_weights(make):
    torch.manual_seed(0)
    discriminator = StandardDiscriminator(
        (1, 16, 16), 0.125, activation=make("group_sort").activation
    )
    wrapped = make("bjorck").wrap(discriminator)
    assert bounds.input_gradient(wrapped, draw(4, 1, 16, 16)) <= 1
