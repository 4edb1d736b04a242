"""What is said of a layer: of its weight in use, of the trained one, of the method's estimate."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from lipbench.architectures.standard_cnn import StandardDiscriminator
from lipbench.audit import layers
from lipbench.errors import UserError
from lipbench.method import Method
from lipbench.operators import MatrixNorm
from lipbench.plugins import Registry
from lipbench.rest import in_float64


def facts(layer, *shape):
    (found,) = layers.measured(in_float64(layer), torch.zeros(1, *shape, dtype=torch.float64))
    return found


@pytest.fixture(scope="module")
def wrapped():
    """Return a function from a method's name to a small D with it, its weights moved since."""
    registry = Registry("methods")

    def wrapped(name):
        torch.manual_seed(0)
        discriminator = StandardDiscriminator((3, 16, 16), 0.125)
        discriminator = registry[name].load(Method)().wrap(discriminator).train()
        with torch.no_grad():
            for weight in discriminator.parameters():
                weight.add_(0.05 * torch.randn_like(weight))
        found = layers.measured(
            in_float64(discriminator), torch.zeros(1, 3, 16, 16, dtype=torch.float64)
        )
        return discriminator, {layer.name: layer for layer in found}

    return wrapped


def test_a_plain_layer_has_the_singular_values_of_its_kernel(filled):
    layer = filled(nn.Conv2d(2, 3, 3, padding=1))
    found = facts(layer, 2, 5, 6)
    expected = torch.linalg.svdvals(layer.weight.detach().double().flatten(1))
    assert found.spectrum_kernel == pytest.approx(expected.tolist())
    assert found.sigma_kernel == pytest.approx(expected[0].item())
    assert (found.name, found.kind) == ("", "Conv2d")
    assert (found.shape, found.input_shape) == ([3, 2, 3, 3], [2, 5, 6])
    assert found.sigma_original is None
    assert found.sigma_estimate is None


def test_spectral_norm_shows_its_original_weight_and_its_lagging_estimate(filled):
    layer = parametrizations.spectral_norm(filled(nn.Conv2d(2, 3, 3)))
    chain = layer.parametrizations.weight
    with torch.no_grad():
        chain.original.add_(torch.linspace(-1, 1, chain.original.numel()).view(3, 2, 3, 3))
    found = facts(layer, 2, 5, 5)
    matrix = chain.original.detach().flatten(1)
    estimate = (chain[0]._u @ matrix @ chain[0]._v).item()
    exact = torch.linalg.matrix_norm(matrix, 2).item()
    assert estimate < 0.99 * exact  # so the two cannot be taken for each other
    assert found.kind == "Conv2d"
    assert found.sigma_original == pytest.approx(exact)
    assert found.sigma_estimate == pytest.approx(estimate)
    assert found.sigma_kernel == pytest.approx(exact / estimate)


def test_weight_norm_shows_the_direction_as_its_original(filled):
    layer = parametrizations.weight_norm(filled(nn.Linear(4, 3)))
    found = facts(layer, 4)
    direction = layer.parametrizations.weight.original1
    with torch.no_grad():
        direction.mul_(2)  # which changes no weight
    moved = facts(layer, 4)
    assert moved.sigma_kernel == pytest.approx(found.sigma_kernel)
    assert moved.sigma_original == pytest.approx(2 * found.sigma_original)


def test_the_hooks_of_older_torch_show_the_same(filled):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        layer = nn.utils.spectral_norm(filled(nn.Linear(5, 3)))
    layer(torch.ones(1, 5))  # its weight is now part of a graph, which a deepcopy would refuse
    found = facts(layer, 5)
    matrix = layer.weight_orig.detach()
    assert found.sigma_original == pytest.approx(torch.linalg.matrix_norm(matrix, 2).item())
    assert found.sigma_estimate == pytest.approx((layer.weight_u @ matrix @ layer.weight_v).item())
    assert found.sigma_kernel == pytest.approx(found.sigma_original / found.sigma_estimate)
    assert found.sigma_operator == pytest.approx(found.sigma_kernel)


@pytest.mark.parametrize("name", ["bidirectional_spectral_norm", "fantastic_four"])
def test_of_several_power_iterations_the_one_on_the_same_matrix_is_the_estimate(wrapped, name):
    discriminator, found = wrapped(name)
    layer = discriminator.body.conv2
    original = layer.parametrizations.weight.original.detach()
    norm = layer.parametrizations.weight[0].norm
    iteration = norm.by_outputs if name.startswith("bidirectional") else norm.norms[2]
    estimate = (iteration.u @ original.flatten(1) @ iteration.v).item()
    assert found["body.conv2"].sigma_estimate == pytest.approx(estimate)
    assert estimate < found["body.conv2"].sigma_original


def test_an_iteration_on_the_convolution_estimates_no_kernels_singular_value(wrapped):
    _, found = wrapped("conv_spectral_norm")
    assert found["body.conv1"].sigma_estimate is None
    assert found["body.conv1"].sigma_original is not None
    assert found["head"].sigma_estimate is not None


def test_an_iteration_on_another_matrix_of_the_same_shape_is_no_estimate(filled):
    class OfTranspose(nn.Module):
        def __init__(self, weight):
            super().__init__()
            self.norm = MatrixNorm(weight.mT)

        def forward(self, weight):
            return weight / self.norm(weight.mT)

    layer = filled(nn.Linear(4, 4))
    of_transpose = OfTranspose(layer.weight.detach())
    parametrize.register_parametrization(layer, "weight", of_transpose)
    found = facts(layer, 4)
    assert found.sigma_original is not None
    assert found.sigma_estimate is None


def test_factors_of_a_weight_are_no_original_of_it(wrapped):
    _, found = wrapped("singular_value_constraint")
    for layer in found.values():
        assert layer.sigma_original is None
        assert layer.sigma_kernel == pytest.approx(1, rel=1e-5)


def test_of_a_layer_that_does_not_use_its_weight_nothing_is_said_of_weights(wrapped):
    _, found = wrapped("cayley")
    layer = found["body.conv1"]
    assert layer.sigma_operator == pytest.approx(1, rel=1e-5)
    assert layer.sigma_kernel is layer.sigma_original is layer.spectrum_kernel is None
    assert layer.effective_rank is layer.stable_rank is layer.spectrum_circular is None
    assert found["head"].sigma_kernel == pytest.approx(1, rel=1e-5)


def test_a_convolution_with_a_forward_of_its_own_is_not_taken_for_affine():
    class Squared(nn.Conv2d):
        def forward(self, inputs):
            return super().forward(inputs).square()

    assert not layers.is_affine(Squared(1, 1, 1))


def test_a_module_that_wrongly_says_to_be_affine_is_refused():
    class Squared(nn.Linear):
        affine_map = True

        def forward(self, inputs):
            return super().forward(inputs).square()

    with pytest.raises(UserError, match=r"\(Squared\) is taken for an affine map"):
        facts(nn.Sequential(nn.Flatten(), Squared(4, 1)), 1, 2, 2)


def test_norms_of_single_layers_leave_them_as_they_are(filled):
    layer = parametrize.register_parametrization(filled(nn.Linear(4, 3)), "weight", nn.Tanh())
    before = layer.parametrizations.weight.original.clone()
    weight = layer.weight.detach().double()
    expected = torch.linalg.matrix_norm(weight, 2).item()
    assert math.isclose(layers.sigma_operator(layer, torch.Size((4,))), expected, rel_tol=1e-6)
    assert math.isclose(layers.sigma_kernel(layer), expected, rel_tol=1e-6)
    assert torch.equal(layer.parametrizations.weight.original, before)
    assert parametrize.is_parametrized(layer, "weight")
    assert torch.equal(layer.weight, before.tanh())
    assert layer.training
