"""Methods that change weights: cases solved by hand, and properties of many shapes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from lipbench.architectures.standard_cnn import StandardDiscriminator, StandardGenerator
from lipbench.discriminators import Around, convolutions, matrix, original
from lipbench.exam.bounds import sigma_kernel
from lipbench.networks import Discriminator, initialise
from lipbench.streams import Latents

INCOMING = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
STRETCH = [[2.0, 0.0], [0.0, 1.0]]


def flat(kernel: list[list[float]]) -> Tensor:
    """Return a matrix as a kernel of 1 x 1 pixels."""
    return torch.tensor(kernel)[:, :, None, None]


def standard(channels: int = 3, norm: bool = False) -> Discriminator:
    """Return a D with kernels wide and tall, of 3 x 3 and 4 x 4 pixels, and a dense head."""
    layers = {"norm": nn.BatchNorm2d} if norm else {}
    discriminator = StandardDiscriminator((channels, 16, 16), 0.5, **layers)
    initialise(discriminator, "xavier_uniform", 0, "discriminator")
    return discriminator


def weights(network: nn.Module) -> list[Tensor]:
    """Return copies of the weights of a network's layers."""
    return [layer.weight.detach().clone() for layer in network.layers()]


def singular_values(weight: Tensor) -> np.ndarray:
    return np.linalg.svd(matrix(weight).detach().double().numpy(), compute_uv=False)


def numerical_gradient(layer: nn.Module, incoming: Tensor, step: float = 1e-3) -> Tensor:
    """Return the gradient of <incoming, weight> by the original, by central differences."""
    parameter, slopes = original(layer), []
    with torch.no_grad():
        for index in range(parameter.numel()):
            values = []
            for move in (step, -2 * step):
                parameter.view(-1)[index] += move
                values.append((matrix(layer.weight) * incoming).sum())
            parameter.view(-1)[index] += step
            slopes.append((values[0] - values[1]) / (2 * step))
    return torch.stack(slopes).view(parameter.shape)


def test_spectral_norm_divides_each_weight_by_its_largest_singular_value(make, layers):
    discriminator = layers(flat([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[3.0, 4.0]]))
    torch.manual_seed(0)
    wrapped = make("spectral_norm").wrap(discriminator)
    for _ in range(30):
        assert wrapped.body.weight is not None  # each access in train mode is an iteration
    expected = torch.tensor([[1.0, 0.0], [0.0, 0.5]])
    torch.testing.assert_close(matrix(wrapped.body.weight), expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(wrapped.head.weight, torch.tensor([[0.6, 0.8]]))


def test_spectral_norm_back_propagates_through_sigma_with_its_vectors_constant(make, layers):
    """Miyato et al. 2018, Eq. 11: (1/sigma) (G - lambda u v^T); by hand for diag(2, 1)."""
    discriminator = layers(flat([[2.0, 0.0], [0.0, 1.0]]), torch.ones(1, 2))
    torch.manual_seed(0)
    wrapped = make("spectral_norm", power_iterations=50).wrap(discriminator)
    incoming = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    (matrix(wrapped.body.weight) * incoming).sum().backward()
    expected = torch.tensor([[-1.0, 1.0], [1.5, 2.0]])
    gradient = matrix(original(wrapped.body).grad)
    torch.testing.assert_close(gradient, expected, atol=1e-4, rtol=0)


def test_spectral_norm_does_the_iterations_it_is_asked_for(make, layers):
    discriminator = layers(flat([[2.0, 0.0], [0.0, 1.0]]), torch.ones(1, 2))
    wrapped = make("spectral_norm", power_iterations=3).wrap(discriminator)
    parametrization = wrapped.body.parametrizations.weight[0]
    assert parametrization.n_power_iterations == 3


def test_weight_norm_gives_each_output_unit_weights(make, layers):
    discriminator = layers(flat([[3.0, 4.0], [0.0, 2.0]]), torch.tensor([[3.0, 4.0]]))
    wrapped = make("weight_norm").wrap(discriminator)
    torch.testing.assert_close(matrix(wrapped.body.weight), torch.tensor([[0.6, 0.8], [0.0, 1.0]]))
    squares = torch.linalg.svdvals(matrix(wrapped.body.weight)).square().sum()
    assert math.isclose(squares.item(), 2.0, rel_tol=1e-6)  # Eq. 27: the number of outputs


def test_weight_norms_gradient_is_perpendicular_to_the_weight(make, layers):
    """With v = (3, 4) and gradient (1, 0): (1/|v|) (g - <g, w> w) = (.128, -.096)."""
    wrapped = make("weight_norm").wrap(layers(flat([[3.0, 4.0]]), torch.ones(1, 1)))
    matrix(wrapped.body.weight)[0, 0].backward()
    gradient = matrix(original(wrapped.body).grad)
    torch.testing.assert_close(gradient, torch.tensor([[0.128, -0.096]]))


GAMMAS = ("spectral_norm", "spectral_norm_exact", "weight_norm", "frobenius_norm")


@pytest.mark.parametrize("name", GAMMAS)
def test_with_gamma_d_starts_with_the_weights_it_was_given(make, name):
    discriminator = standard()
    before = weights(discriminator)
    torch.manual_seed(0)
    more = {"power_iterations": 100} if name == "spectral_norm" else {}
    make(name, gamma=True, **more).wrap(discriminator)
    for weight, expected in zip(weights(discriminator), before, strict=True):
        torch.testing.assert_close(weight, expected, rtol=2e-2, atol=1e-6)


@pytest.mark.parametrize("name", GAMMAS)
def test_gamma_is_trained_and_voids_the_claim(make, layers, name):
    torch.manual_seed(0)
    bounded, free = make(name), make(name, gamma=True)
    assert bounded.claims
    assert not free.claims
    counts = [
        len(list(method.wrap(layers(flat(STRETCH), torch.ones(1, 2))).parameters()))
        for method in (bounded, free)
    ]
    assert counts[1] == counts[0] + 2  # a gamma for each of two layers


@pytest.mark.parametrize("name", ["spectral_norm", "spectral_norm_exact"])
def test_spectral_norms_gamma_starts_at_sigma_and_has_its_gradient(make, layers, name):
    """With W = diag(2, 1), gamma = 2: the weight is W, d/dgamma = <G, W / sigma> = 1 + 4 / 2."""
    torch.manual_seed(0)
    wrapped = make(name, gamma=True).wrap(layers(flat(STRETCH), torch.ones(1, 2)))
    gamma = wrapped.body.parametrizations.weight[1].gamma
    torch.testing.assert_close(gamma.detach(), torch.tensor(2.0))
    (matrix(wrapped.body.weight) * INCOMING).sum().backward()
    torch.testing.assert_close(gamma.grad, torch.tensor(3.0), rtol=1e-4, atol=0)


def test_weight_norms_gammas_are_the_rows_norms(make, layers):
    wrapped = make("weight_norm", gamma=True).wrap(
        layers(flat([[3.0, 4.0], [0.0, 2.0]]), torch.tensor([[5.0, 12.0]]))
    )
    body, head = (layer.parametrizations.weight[1].gamma for layer in wrapped.layers())
    torch.testing.assert_close(body.detach().flatten(), torch.tensor([5.0, 2.0]))
    torch.testing.assert_close(head.detach(), torch.tensor([[13.0]]))


@pytest.mark.parametrize("gamma", [False, True])
def test_frobenius_norm_makes_diag_3_4_unit_with_the_gradient_of_eq_36(make, layers, gamma):
    """(1 / |W|) (G - <G, W_bar> W_bar) for G = E_11 is diag(.128, -.096); gamma = |W| = 5."""
    wrapped = make("frobenius_norm", gamma=gamma).wrap(
        layers(flat([[3.0, 0.0], [0.0, 4.0]]), torch.tensor([[3.0, 4.0]]))
    )
    factor = 5.0 if gamma else 1.0
    weight = matrix(wrapped.body.weight)
    torch.testing.assert_close(weight, factor * torch.diag(torch.tensor([0.6, 0.8])))
    torch.testing.assert_close(wrapped.head.weight, factor * torch.tensor([[0.6, 0.8]]))
    weight[0, 0].backward()
    expected = factor * torch.diag(torch.tensor([0.128, -0.096]))
    torch.testing.assert_close(matrix(original(wrapped.body).grad), expected)


def test_spectral_norm_is_torchs_own_and_nothing_more(make, layers):
    wrapped = make("spectral_norm").wrap(layers(flat(STRETCH), torch.ones(1, 2)))
    reference = parametrizations.spectral_norm(nn.Conv2d(2, 2, 1))
    (mine,), (theirs,) = (layer.parametrizations.weight for layer in (wrapped.body, reference))
    assert type(mine) is type(theirs)


def test_spectral_norm_exact_gives_every_kernel_the_largest_singular_value_1(make):
    discriminator = standard()
    before = weights(discriminator)
    make("spectral_norm_exact").wrap(discriminator)
    for weight, given in zip(weights(discriminator), before, strict=True):
        expected = given.double() / singular_values(given)[0]
        torch.testing.assert_close(weight.double(), expected, rtol=1e-5, atol=1e-7)


def test_spectral_norm_exact_has_the_gradient_of_eq_11_and_follows_the_weight_at_once(
    make, layers
):
    wrapped = make("spectral_norm_exact").wrap(layers(flat(STRETCH), torch.ones(1, 2)))
    (matrix(wrapped.body.weight) * INCOMING).sum().backward()
    expected = torch.tensor([[-1.0, 1.0], [1.5, 2.0]])
    torch.testing.assert_close(matrix(original(wrapped.body).grad), expected)
    with torch.no_grad():
        original(wrapped.body).copy_(flat([[0.0, 0.0], [5.0, 0.0]]))
    expected = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    torch.testing.assert_close(matrix(wrapped.body.weight), expected)
    assert not list(wrapped.buffers())


@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (5, 2), (1, 4)])
@pytest.mark.parametrize(
    "name", ["spectral_norm_exact", "weight_norm", "frobenius_norm", "weight_standardization"]
)
def test_reparametrizations_have_the_gradients_of_finite_differences(make, name, shape):
    draw = torch.Generator().manual_seed(0)
    discriminator = standard().double()
    layer = convolutions(discriminator)[1]
    layer.weight = nn.Parameter(torch.randn(*shape, 1, 1, generator=draw, dtype=torch.float64))
    incoming = torch.randn(shape, generator=draw, dtype=torch.float64)
    make(name).wrap(discriminator)
    (matrix(layer.weight) * incoming).sum().backward()
    expected = numerical_gradient(layer, incoming)
    torch.testing.assert_close(original(layer).grad, expected, rtol=1e-4, atol=1e-5)


def test_spectral_norm_generator_normalizes_each_layer_of_g_and_leaves_d_alone(make):
    torch.manual_seed(0)
    method = make("spectral_norm_generator", power_iterations=100)
    generator = method.wrap_generator(StandardGenerator(Latents(128), (3, 16, 16), 0.25))
    discriminator = standard()
    assert method.wrap(discriminator) is discriminator
    assert not any(map(parametrize.is_parametrized, discriminator.layers()))
    for layer in generator.layers():
        rows = layer.weight.detach()
        if isinstance(layer, nn.ConvTranspose2d):
            rows = rows.transpose(0, 1)
        assert len(rows) == (layer.bias.numel())
        assert math.isclose(singular_values(rows)[0], 1.0, rel_tol=1e-3)
    assert generator(torch.randn(2, 128)).shape == (2, 3, 16, 16)


def test_singular_value_constraint_scales_the_spectrum_3_1_to_1_and_a_third(make, layers):
    discriminator = layers(flat([[0.0, 3.0], [1.0, 0.0]]), torch.tensor([[3.0, 4.0]]))
    wrapped = make("singular_value_constraint").wrap(discriminator)
    expected = torch.tensor([[0.0, 1.0], [1 / 3, 0.0]])
    torch.testing.assert_close(matrix(wrapped.body.weight), expected)
    torch.testing.assert_close(wrapped.head.weight, torch.tensor([[0.6, 0.8]]))


def test_singular_value_constraint_starts_at_a_multiple_of_the_common_draw(make):
    discriminator = standard()
    before = weights(discriminator)
    make("singular_value_constraint", bound=3.0).wrap(discriminator)
    for weight, given in zip(weights(discriminator), before, strict=True):
        expected = 3 * given / singular_values(given)[0]
        torch.testing.assert_close(weight, expected.float(), rtol=1e-4, atol=1e-5)


def test_singular_value_constraint_holds_wherever_its_parameters_go(make):
    discriminator = standard()
    make("singular_value_constraint", bound=2.0).wrap(discriminator)
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in discriminator.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=draw))
    for layer in discriminator.layers():
        factors = layer.parametrizations.weight
        spectrum = factors.original1.detach().abs().double()
        expected = np.sort((2 * spectrum / spectrum.max()).numpy())[::-1]
        np.testing.assert_allclose(singular_values(layer.weight), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (5, 2)])
def test_singular_value_constraints_gradients_are_those_of_finite_differences(make, layers, shape):
    draw = torch.Generator().manual_seed(0)
    kernel = torch.randn(*shape, 1, 1, generator=draw)
    discriminator = layers(kernel, torch.ones(1, 2)).double()
    make("singular_value_constraint").wrap(discriminator)
    factors = discriminator.body.parametrizations.weight
    originals = [factors.original0, factors.original1, factors.original2]
    with torch.no_grad():
        for parameter in originals:
            parameter.add_(torch.rand(parameter.shape, generator=draw))
    assert torch.autograd.gradcheck(factors[0], originals)


def test_weight_clipping_clamps_convolutions_and_nothing_else(make, layers):
    discriminator = layers(flat([[0.5, -0.5], [0.005, 0.0]]), torch.tensor([[7.0, -7.0]]))
    discriminator.body.bias.data.fill_(3.0)
    with torch.no_grad():
        make("weight_clipping", bound=0.01).project(discriminator, 0)
    expected = torch.tensor([[0.01, -0.01], [0.005, 0.0]])
    torch.testing.assert_close(matrix(discriminator.body.weight), expected)
    torch.testing.assert_close(discriminator.head.weight, torch.tensor([[7.0, -7.0]]))
    assert (discriminator.body.bias == 3.0).all()


def test_weight_clipping_reaches_the_parameter_under_a_parametrization(make, layers):
    discriminator = make("weight_norm").wrap(layers(flat([[3.0, 4.0]]), torch.ones(1, 1)))
    with torch.no_grad():
        make("weight_clipping", bound=0.01).project(discriminator, 0)
    assert original(discriminator.body).abs().max() <= 0.01


@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (5, 2)])
def test_singular_value_clipping_changes_only_the_values_above_the_bound(make, layers, shape):
    u, _, vh = torch.linalg.svd(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    values = torch.tensor([3.0, 0.5, 0.1])[: min(shape)]
    u, vh = u[:, : len(values)], vh[: len(values)]
    discriminator = layers((u * values @ vh)[:, :, None, None], torch.tensor([[3.0, 4.0]]))
    with torch.no_grad():
        make("singular_value_clipping").project(discriminator, 0)
    expected = u * values.clamp(max=1) @ vh
    torch.testing.assert_close(matrix(discriminator.body.weight), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(discriminator.head.weight, torch.tensor([[0.6, 0.8]]))


def test_singular_value_clipping_leaves_a_weight_within_the_bound_exactly_as_it_is(make, layers):
    kernel = flat([[0.3, 0.1], [-0.2, 0.4]])
    discriminator = layers(kernel.clone(), torch.ones(1, 2) / 2)
    with torch.no_grad():
        make("singular_value_clipping").project(discriminator, 0)
    assert torch.equal(discriminator.body.weight, kernel)


def test_singular_value_clipping_clamps_the_gains_of_batch_normalization(make):
    """TGAN: gamma in [0.01 std, std], with std the root of the running variance, 2 here."""
    discriminator = standard(norm=True)
    norm = discriminator.body.norm1
    gains = torch.tensor([-1.0, 0.01, 0.5, 7.0])
    with torch.no_grad():
        norm.running_var.fill_(4.0)
        norm.weight[:4] = gains
        make("singular_value_clipping", clip_batch_norm=False).project(discriminator, 0)
        assert torch.equal(norm.weight[:4], gains)
        make("singular_value_clipping").project(discriminator, 0)
    torch.testing.assert_close(norm.weight[:4].detach(), torch.tensor([0.02, 0.02, 0.5, 2.0]))


def test_singular_value_clipping_leaves_a_batch_normalization_without_gains_alone(make):
    discriminator = standard()
    discriminator.body.norm1 = nn.BatchNorm2d(32, affine=False)
    with torch.no_grad():
        make("singular_value_clipping").project(discriminator, 0)
    assert discriminator.body.norm1.weight is None


@pytest.mark.parametrize("name", ["singular_value_clipping", "singular_value_bounding"])
def test_projections_wait_for_their_turn(make, name):
    discriminator = standard()
    before = weights(discriminator)
    method = make(name, every=3)
    with torch.no_grad():
        for step in (0, 1):
            method.project(discriminator, step)
        assert all(map(torch.equal, weights(discriminator), before))
        method.project(discriminator, 2)
    assert not all(map(torch.equal, weights(discriminator), before))


def test_singular_value_bounding_moves_values_into_the_band(make, layers):
    discriminator = layers(flat([[0.0, 0.5], [-3.0, 0.0]]), torch.tensor([[0.06, 0.08]]))
    with torch.no_grad():
        make("singular_value_bounding", epsilon=0.5).project(discriminator, 0)
    expected = torch.tensor([[0.0, 2 / 3], [-1.5, 0.0]])
    torch.testing.assert_close(matrix(discriminator.body.weight), expected)
    torch.testing.assert_close(discriminator.head.weight, torch.tensor([[0.4, 1.6 / 3]]))


def test_singular_value_bounding_keeps_the_singular_vectors_of_every_shape(make):
    discriminator = standard()
    before = weights(discriminator)
    with torch.no_grad():
        make("singular_value_bounding").project(discriminator, 0)
    for weight, given in zip(weights(discriminator), before, strict=True):
        u, values, vh = np.linalg.svd(matrix(given).double().numpy(), full_matrices=False)
        expected = (u * values.clip(1 / 1.05, 1.05)) @ vh
        np.testing.assert_allclose(matrix(weight), expected, atol=1e-5)


def test_singular_value_bounding_raises_a_singular_value_of_zero(make, layers):
    discriminator = layers(flat([[1.0, 1.0], [1.0, 1.0]]), torch.ones(1, 2))
    with torch.no_grad():
        make("singular_value_bounding").project(discriminator, 0)
    found = singular_values(discriminator.body.weight)
    np.testing.assert_allclose(found, [1.05, 1 / 1.05], rtol=1e-5)


def test_spectral_norm_regularization_of_diag_3_1_is_45_thousandths(make, layers, batch, prepared):
    """coefficient / 2 * 3^2, with the gradient coefficient * 3 u v^T; the head adds 0.5^2."""
    torch.manual_seed(0)
    method = make("spectral_norm_regularization", coefficient=0.01)
    head = torch.tensor([[0.3, 0.4]])
    discriminator = prepared(method, layers(flat([[3.0, 0.0], [0.0, 1.0]]), head))
    penalty = method.penalty(discriminator, batch(discriminator))
    assert math.isclose(penalty.item(), 0.045 + 0.00125, rel_tol=1e-4)
    penalty.backward()
    expected = torch.tensor([[0.03, 0.0], [0.0, 0.0]])
    torch.testing.assert_close(matrix(discriminator.body.weight.grad), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(discriminator.head.weight.grad, 0.01 * head)


def test_spectral_norm_regularization_sums_all_layers_and_is_found_in_a_wrapped_d(
    make, batch, prepared
):
    torch.manual_seed(0)
    method = make("spectral_norm_regularization", coefficient=2.0, power_iterations=200)
    discriminator = Around(prepared(method, standard()))
    penalty = method.penalty(discriminator, batch(discriminator.inner))
    expected = sum(singular_values(weight)[0] ** 2 for weight in weights(discriminator))
    assert math.isclose(penalty.item(), expected, rel_tol=1e-3)


def test_spectral_norm_regularization_follows_the_weights_it_is_given(
    make, layers, batch, prepared
):
    torch.manual_seed(0)
    method = make("spectral_norm_regularization", coefficient=2.0)
    discriminator = prepared(method, layers(flat(STRETCH), torch.zeros(1, 2)))
    with torch.no_grad():
        discriminator.body.weight.copy_(flat([[1.0, 0.0], [0.0, 4.0]]))
    sizes = [method.penalty(discriminator, batch(discriminator)).item() for _ in range(20)]
    assert sizes[0] < 15
    assert math.isclose(sizes[-1], 16.0, rel_tol=1e-4)


def test_weight_standardization_divides_by_the_unbiased_deviation(make):
    """(1, 3) has mean 2 and unbiased deviation sqrt(2); only where a normalization follows."""
    discriminator = standard()
    layer = convolutions(discriminator)[1]
    layer.weight = nn.Parameter(flat([[1.0, 3.0]]))
    before = weights(discriminator)
    make("weight_standardization").wrap(discriminator)
    root = math.sqrt(0.5)
    torch.testing.assert_close(matrix(layer.weight), torch.tensor([[-root, root]]))
    first, *hidden, head = discriminator.layers()
    assert all(map(parametrize.is_parametrized, hidden))
    assert torch.equal(first.weight, before[0])
    assert torch.equal(head.weight, before[-1])


def test_weight_standardization_gives_each_filter_mean_0_and_deviation_1(make):
    discriminator = standard()
    make("weight_standardization", epsilon=1e-9).wrap(discriminator)
    for weight in weights(discriminator)[1:-1]:
        filters = matrix(weight).double().numpy()
        np.testing.assert_allclose(filters.mean(1), 0, atol=1e-6)
        np.testing.assert_allclose(filters.std(1, ddof=1), 1, rtol=1e-5)


def test_weight_standardizations_epsilon_stands_beside_the_deviation(make):
    discriminator = standard()
    layer = convolutions(discriminator)[1]
    layer.weight = nn.Parameter(flat([[1.0, 3.0], [5.0, 5.0]]))
    make("weight_standardization", epsilon=1.0).wrap(discriminator)
    far = 1 / (math.sqrt(2) + 1)
    expected = torch.tensor([[-far, far], [0.0, 0.0]])
    torch.testing.assert_close(matrix(layer.weight), expected)


def test_equalized_learning_rate_scales_unit_weights_by_gain_and_fan_in(make):
    """A 3 x 3 kernel of 16 channels has the factor sqrt(2 / 144) = .117851."""
    discriminator = StandardDiscriminator((16, 16, 16), 0.125)
    initialise(discriminator, "normal_0.02", 0, "discriminator")
    before = weights(discriminator)
    make("equalized_learning_rate").wrap(discriminator)
    first, *_, head = discriminator.layers()
    torch.testing.assert_close(first.weight, original(first) * 0.117851, rtol=1e-5, atol=0)
    factor = 1 / math.sqrt(head.in_features)
    torch.testing.assert_close(head.weight, original(head) * factor)
    for layer, given in zip(discriminator.layers(), before, strict=True):
        assert math.isclose(original(layer).std().item(), 1.0, rel_tol=1e-5)
        torch.testing.assert_close(original(layer).detach(), given / given.std())


def test_equalized_learning_rate_scales_gradients_and_takes_another_gain(make, layers):
    discriminator = layers(flat([[3.0, 4.0]]), torch.tensor([[1.0, 2.0]]))
    make("equalized_learning_rate", gain=3.0).wrap(discriminator)
    (discriminator.body.weight.sum() + discriminator.head.weight.sum()).backward()
    root = math.sqrt(2)
    assert torch.allclose(original(discriminator.body).grad, torch.tensor(3 / root))
    assert torch.allclose(original(discriminator.head).grad, torch.tensor(1 / root))


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


def convolution_matrix(layer: nn.Conv2d, shape: tuple[int, ...]) -> np.ndarray:
    """Return a convolution without its bias as a matrix, from the images of all unit inputs."""
    units = torch.eye(math.prod(shape), dtype=torch.float64).view(-1, *shape)
    kernel = layer.weight.detach().double()
    columns = nn.functional.conv2d(units, kernel, stride=layer.stride, padding=layer.padding)
    return columns.flatten(1).T.numpy()


class Convolution(Discriminator):
    """One convolution, with the mean of what it gives as the logit."""

    def __init__(self, layer: nn.Conv2d, size: int) -> None:
        super().__init__((layer.in_channels, size, size))
        self.body = layer
        self.head = nn.Flatten()

    def compute(self, inputs: Tensor) -> Tensor:
        return self.body(inputs).flatten(1).mean(1)


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


def test_orthonormal_starts_at_the_polar_factor_of_the_common_draw(make, layers):
    draw = torch.randn(3, 3, generator=torch.Generator().manual_seed(1))
    discriminator = layers(draw[:, :, None, None], torch.tensor([[3.0, 4.0]]))
    make("orthonormal").wrap(discriminator)
    weight = matrix(discriminator.body.weight)
    torch.testing.assert_close(weight @ weight.T, torch.eye(3), atol=1e-5, rtol=0)
    stretch = weight.T @ draw  # of W = Q S, symmetric and positive
    torch.testing.assert_close(stretch, stretch.T, atol=1e-5, rtol=0)
    assert torch.linalg.eigvalsh(stretch).min() > 0


def test_orthonormal_weights_cost_nothing_and_diag_2_1_costs_9(make, layers, batch):
    free = layers(flat([[0.0, 1.0], [-1.0, 0.0]]), torch.tensor([[0.6, 0.8]]))
    method = make("orthonormal", coefficient=1.0)
    assert math.isclose(method.penalty(free, batch(free)).item(), 0.0, abs_tol=1e-6)
    stretched = layers(flat([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.6, 0.8]]))
    assert math.isclose(method.penalty(stretched, batch(stretched)).item(), 9.0, rel_tol=1e-6)


@pytest.mark.parametrize("kernel", [[[1.0, 0, 1], [0, 1, 0]], [[1.0, 0], [0, 1], [1, 0]]])
def test_orthonormal_measures_the_smaller_gram_matrix_so_zero_can_be_reached(
    make, layers, batch, kernel
):
    discriminator = layers(flat(kernel), torch.tensor([[1.0, 0, 0]])[:, : len(kernel)])
    penalty = make("orthonormal", coefficient=1.0).penalty(discriminator, batch(discriminator))
    assert math.isclose(penalty.item(), 1.0, rel_tol=1e-6)


def test_no_control_leaves_a_discriminator_alone(make, layers):
    discriminator = layers(flat([[2.0]]), torch.ones(1, 1))
    assert make("none").wrap(discriminator) is discriminator
    assert not parametrize.is_parametrized(discriminator.body)
