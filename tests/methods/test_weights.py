"""Methods that change weights, on matrices small enough to solve by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.utils import parametrize

from lipbench.discriminators import matrix, original


def flat(kernel: list[list[float]]) -> torch.Tensor:
    """Return a matrix as a kernel of 1 x 1 pixels."""
    return torch.tensor(kernel)[:, :, None, None]


def sigma(weight: torch.Tensor) -> float:
    return float(torch.linalg.matrix_norm(matrix(weight), 2))


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
