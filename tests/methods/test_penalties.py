"""Penalties on D's gradient and weights, and D's normalized by their gradients, solved by hand."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lipbench.architectures.standard_cnn import StandardDiscriminator
from lipbench.discriminators import gradient, matrix
from lipbench.exam import bounds
from lipbench.method import Batch, Method
from lipbench.networks import Discriminator, Generator
from lipbench.streams import Latents

BETWEEN = ["wgan_gp", "gan_gp", "wgan_lp", "zero_centered_gp", "max_gradient_penalty"]
GRADIENT_PENALTIES = [*BETWEEN, "dragan", "r1", "r2", "js_regularizer", "jacobian_regularization"]
ON_WEIGHTS = ["orthonormal", "orthogonal_brock", "orthogonal_off_diagonal", "srip"]
NORMALIZATIONS = ["gradient_normalization", "gran"]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def standard(
    size: int = 16, channels: int = 1, kind: type[StandardDiscriminator] = StandardDiscriminator
) -> StandardDiscriminator:
    """Return the standard CNN, strides 1 and 2, with weights large enough to matter."""
    discriminator = kind((channels, size, size), 0.125)
    draw = generator()
    with torch.no_grad():
        for layer in discriminator.layers():
            nn.init.xavier_uniform_(layer.weight, gain=1.5, generator=draw)
            layer.bias.normal_(0, 0.1, generator=draw)
    return discriminator


def images(count: int = 2, size: int = 16, channels: int = 1, seed: int = 1) -> Tensor:
    return torch.rand(count, channels, size, size, generator=generator(seed)) * 2 - 1


def seen_by(discriminator: Discriminator, penalty: Callable[[], Tensor]) -> list[Tensor]:
    """Return the images that a penalty passes through D."""
    seen: list[Tensor] = []
    handle = discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    penalty()
    handle.remove()
    return [inputs.detach() for inputs in seen]


class Exact(StandardDiscriminator):
    """The standard CNN, with logits in the precision of its weights."""

    def forward(self, inputs: Tensor) -> Tensor:
        return self.compute(inputs)


class Quadratic(Discriminator):
    """D(x) = scale * |x|^2 / 2, with gradient scale * x."""

    def __init__(self) -> None:
        super().__init__((1, 1, 2))
        self.scale = nn.Parameter(torch.ones(()))

    def compute(self, inputs: Tensor) -> Tensor:
        return self.scale * inputs.flatten(1).square().sum(1) / 2


class Scaling(Generator):
    """G(z) = gain * z: its local gain is the same everywhere."""

    def __init__(self, gain: float) -> None:
        super().__init__(Latents(128))
        self.gain = nn.Parameter(torch.tensor(gain))

    def compute(self, inputs: Tensor) -> Tensor:
        return (self.gain * inputs).view(-1, 1, 8, 16)


@pytest.mark.parametrize("name", ["wgan_gp", "gan_gp"])
def test_the_gradient_penalty_of_a_linear_discriminator_is_known(make, linear, batch, name):
    """D = w . x has gradient w everywhere: coefficient (|w| - 1)^2 with |(3, 4)| = 5."""
    discriminator = linear([3.0, 4.0])
    penalty = make(name).penalty(discriminator, batch(discriminator))
    assert math.isclose(penalty.item(), 160.0, rel_tol=1e-6)
    discriminator = linear([0.3, 0.4])
    penalty = make(name, coefficient=1.0).penalty(discriminator, batch(discriminator))
    assert math.isclose(penalty.item(), 0.25, rel_tol=1e-5)


@pytest.mark.parametrize(
    ("name", "of_five", "of_half"),
    [
        ("wgan_lp", 160.0, 0.0),
        ("dragan", 160.0, 2.5),
        ("r1", 125.0, 1.25),
        ("r2", 125.0, 1.25),
        ("zero_centered_gp", 250.0, 2.5),
        ("max_gradient_penalty", 2.5, 0.025),
        ("jacobian_regularization", 125.0, 1.25),
    ],
)
def test_penalties_of_gradients_of_norm_5_and_a_half_are_known(
    make, linear, batch, name, of_five, of_half
):
    for weights, expected in (([3.0, 4.0], of_five), ([0.3, 0.4], of_half)):
        discriminator = linear(weights)
        penalty = make(name).penalty(discriminator, batch(discriminator))
        assert math.isclose(penalty.item(), expected, rel_tol=1e-5, abs_tol=1e-9)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("wgan_gp", [48.0, 64.0]),  # 20 (5 - 1) w / 5
        ("wgan_lp", [48.0, 64.0]),
        ("dragan", [48.0, 64.0]),
        ("r1", [30.0, 40.0]),  # 10 w
        ("r2", [30.0, 40.0]),
        ("zero_centered_gp", [60.0, 80.0]),  # 20 w
        ("max_gradient_penalty", [0.6, 0.8]),  # 0.2 w
        ("jacobian_regularization", [30.0, 40.0]),
    ],
)
def test_a_gradient_penaltys_own_gradient_reaches_the_weights(make, linear, batch, name, expected):
    discriminator = linear([3.0, 4.0])
    make(name).penalty(discriminator, batch(discriminator)).backward()
    torch.testing.assert_close(discriminator.head.weight.grad, torch.tensor([expected]))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("wgan_gp", 10.0),
        ("wgan_lp", 10.0),
        ("dragan", 10.0),
        ("r1", 20.0),
        ("r2", 20.0),
        ("zero_centered_gp", 40.0),
        ("max_gradient_penalty", 0.4),
        ("jacobian_regularization", 20.0),
        ("js_regularizer", 2.0),  # at logits of 0
    ],
)
def test_the_gradients_norm_is_over_all_of_an_image(make, linear, batch, name, expected):
    """D = sum of 4 pixels in 2 rows: the norm is 2, and not that of a row."""
    image = torch.zeros(3, 1, 2, 2)
    discriminator = linear([1.0, 1.0, 1.0, 1.0])
    penalty = make(name).penalty(discriminator, batch(discriminator, image, image))
    assert math.isclose(penalty.item(), expected, rel_tol=1e-6)


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


@pytest.mark.parametrize("name", GRADIENT_PENALTIES)
@pytest.mark.parametrize("where", ["body.conv0.weight", "body.conv3.weight", "head.weight"])
def test_a_penaltys_gradient_is_that_of_finite_differences(make, name, where):
    """On D of strides 1 and 2, along a random direction of one layer's weights, in float64."""
    discriminator = standard(kind=Exact).double()
    weight = discriminator.get_parameter(where)
    real, fake = images(seed=1).double(), images(seed=2).double()
    method = make(name)

    def term() -> Tensor:
        torch.manual_seed(0)
        return method.penalty(discriminator, Batch.of(discriminator, real, fake))

    discriminator.head.weight.data *= 50  # slopes above 1, so that WGAN-LP takes part
    term().backward()
    direction = torch.randn(weight.shape, generator=generator(3), dtype=torch.float64)
    step = 1e-6 * weight.detach().norm() / direction.norm() * direction
    weight.data += step
    above = term().item()
    weight.data -= 2 * step
    below = term().item()
    found = 2 * (weight.grad * step).sum().item()
    assert found != 0
    assert math.isclose(found, above - below, rel_tol=1e-4)


def test_the_js_regularizer_weighs_gradients_by_how_wrong_d_is(make, linear, batch):
    """At logits 0 and gradients of norm 2: gamma / 2 (.25 * 4 + .25 * 4) = 2."""
    discriminator = linear([2.0, 0.0])
    zero = torch.zeros(3, 1, 1, 2)
    method = make("js_regularizer", annealed=False)
    penalty = method.penalty(discriminator, batch(discriminator, zero, zero))
    assert math.isclose(penalty.item(), 2.0, rel_tol=1e-6)
    real, fake = torch.tensor([[[[1.0, 0.0]]]]), torch.tensor([[[[-1.5, 0.0]]]])
    penalty = method.penalty(discriminator, batch(discriminator, real, fake))
    of_real = (1 - 1 / (1 + math.exp(-2))) ** 2
    of_fake = (1 / (1 + math.exp(3))) ** 2
    assert math.isclose(penalty.item(), 4 * (of_real + of_fake), rel_tol=1e-5)


def test_the_js_regularizer_differentiates_its_weights_too(make, linear, batch):
    """d/dw of w^2 ((1-p)^2 + p^2), p = sigmoid(w), where both images are 1."""
    w = 0.7
    discriminator = linear([w])
    image = torch.ones(1, 1, 1, 1)
    make("js_regularizer", annealed=False).penalty(
        discriminator, batch(discriminator, image, image)
    ).backward()
    p = 1 / (1 + math.exp(-w))
    expected = 2 * w * ((1 - p) ** 2 + p**2) + w**2 * 2 * p * (1 - p) * (2 * p - 1)
    assert math.isclose(discriminator.head.weight.grad.item(), expected, rel_tol=1e-5)


def test_the_js_regularizer_anneals_to_a_hundredth(make, linear, batch):
    discriminator = linear([2.0, 0.0])
    zero = torch.zeros(3, 1, 1, 2)

    def penalty(progress: float, **fields: object) -> float:
        given = batch(discriminator, zero, zero, progress=progress)
        return make("js_regularizer", **fields).penalty(discriminator, given).item()

    found = [penalty(progress) for progress in (0.0, 0.5, 1.0)]
    assert found == pytest.approx([2.0, 0.2, 0.02])
    assert penalty(0.5, annealed=False) == pytest.approx(2.0)


def test_a_one_sided_penalty_takes_each_images_own_norm(make):
    """D = |x|^2 / 2: norms 3 and .5 give (2^2 + 0) / 2, not the penalty of their mean."""
    discriminator = Quadratic()
    points = torch.tensor([[3.0, 0.0], [0.3, 0.4]]).view(2, 1, 1, 2)
    given = Batch.of(discriminator, points, points)
    found = make("wgan_lp", coefficient=1.0).penalty(discriminator, given).item()
    assert math.isclose(found, 2.0, rel_tol=1e-5)
    found = make("max_gradient_penalty", coefficient=1.0).penalty(discriminator, given).item()
    assert math.isclose(found, 9.0, rel_tol=1e-5)
    found = make("zero_centered_gp", coefficient=1.0).penalty(discriminator, given).item()
    assert math.isclose(found, 9.25 / 2, rel_tol=1e-5)


@pytest.mark.parametrize("name", BETWEEN)
def test_the_gradient_penaltys_points_lie_between_real_and_generated_images(
    make, linear, batch, name
):
    discriminator = linear([3.0, 4.0])
    given = batch(discriminator, torch.full((64, 1, 1, 2), 1.0), torch.full((64, 1, 1, 2), -1.0))
    torch.manual_seed(0)
    (points,) = seen_by(discriminator, lambda: make(name).penalty(discriminator, given))
    assert torch.equal(points[..., 0], points[..., 1])  # one mix an image, not one a pixel
    assert -1 <= points.min() < -0.8
    assert 0.8 < points.max() <= 1


def test_dragans_points_lie_on_one_side_of_real_images(make, linear, batch):
    """real + a * .5 std * u, a and u in [0, 1]: std, of 64 times -1 and 3, is 2."""
    discriminator = linear([1.0] * 50)
    real = torch.tensor([-1.0, 3.0]).repeat(32).view(64, 1, 1, 1).repeat(1, 1, 1, 50)
    given = batch(discriminator, real, torch.full_like(real, 100.0))
    torch.manual_seed(0)
    (points,) = seen_by(discriminator, lambda: make("dragan").penalty(discriminator, given))
    noise = points - real
    assert noise.min() >= 0
    assert 0.9 < noise.max() <= 1
    assert math.isclose(noise.mean().item(), 0.25, abs_tol=0.05)  # of a uniform a times u
    largest = noise.amax(dim=(1, 2, 3))  # nearly a, for each image
    assert largest.min() < 0.2
    assert largest.max() > 0.8


def test_dragans_noise_has_the_whole_batchs_deviation(make, linear, batch):
    """Of the pixels -1 and 3 of one image: 2, so the noise reaches .5 * 2."""
    discriminator = linear([1.0, 1.0])
    given = batch(discriminator, torch.tensor([[[[-1.0, 3.0]]]]), torch.zeros(1, 1, 1, 2))
    torch.manual_seed(0)
    seen = [
        seen_by(discriminator, lambda: make("dragan").penalty(discriminator, given))[0]
        for _ in range(200)
    ]
    noise = torch.cat(seen) - given.real
    assert noise.min() >= 0
    assert 0.9 < noise.max() <= 1


@pytest.mark.parametrize(
    ("name", "values"),
    [("r1", [1.0]), ("r2", [-1.0]), ("js_regularizer", [1.0, -1.0])],
)
def test_penalties_at_images_take_them_as_they_are(make, linear, batch, name, values):
    discriminator = linear([3.0, 4.0])
    given = batch(discriminator, torch.full((3, 1, 1, 2), 1.0), torch.full((3, 1, 1, 2), -1.0))
    seen = seen_by(discriminator, lambda: make(name).penalty(discriminator, given))
    assert [points.unique().tolist() for points in seen] == [[value] for value in values]


def test_jacobian_regularization_is_the_mean_of_r1_and_r2(make):
    discriminator = standard()
    given = Batch.of(discriminator, images(seed=1), images(seed=2))
    found = make("jacobian_regularization").penalty(discriminator, given).item()
    parts = [make(name).penalty(discriminator, given).item() for name in ("r1", "r2")]
    assert not math.isclose(*parts, rel_tol=1e-2)
    assert math.isclose(found, sum(parts) / 2, rel_tol=1e-5)


@pytest.mark.parametrize("name", GRADIENT_PENALTIES)
@pytest.mark.parametrize("network", ["linear", "standard"])
def test_a_zero_gradient_gives_a_finite_penalty_and_a_finite_gradient(
    make, linear, batch, name, network
):
    discriminator = linear([0.0, 0.0]) if network == "linear" else standard()
    with torch.no_grad():
        for weight in discriminator.parameters():
            weight.zero_()
    penalty = make(name).penalty(discriminator, batch(discriminator))
    penalty.backward()
    assert penalty.item() == (10.0 if name in {"wgan_gp", "gan_gp", "dragan"} else 0.0)
    assert all(
        weight.grad is None or weight.grad.isfinite().all()
        for weight in discriminator.parameters()
    )


@pytest.mark.parametrize("name", GRADIENT_PENALTIES)
def test_no_penalty_flows_into_the_generator(make, name):
    discriminator = standard()
    real, fake = images(seed=1).requires_grad_(), images(seed=2).requires_grad_()
    make(name).penalty(discriminator, Batch.of(discriminator, real, fake)).backward()
    assert real.grad is None
    assert fake.grad is None
    assert discriminator.body.conv0.weight.grad is not None


def test_a_lazy_penalty_is_k_times_the_term_at_each_kth_update(make, linear, batch):
    discriminator = linear([3.0, 4.0])
    lazy, eager = make("r1", every=3), make("r1")
    given = batch(discriminator)
    found = [lazy.penalty(discriminator, replace(given, step=step)).item() for step in range(7)]
    assert found == [375.0, 0.0, 0.0, 375.0, 0.0, 0.0, 375.0]
    each = [eager.penalty(discriminator, replace(given, step=step)).item() for step in range(6)]
    assert sum(found[:6]) == sum(each)


def test_a_lazy_penalty_adds_to_an_eager_one_and_differentiates_with_it(make, linear, batch):
    """At step 0: 4 * 10 w of R1 and 20 w of 0-GP. At step 1, which skips R1, the latter alone."""
    for step, expected in ((0, [180.0, 240.0]), (1, [60.0, 80.0])):
        discriminator = linear([3.0, 4.0])
        given = batch(discriminator, step=step)
        methods = make("r1", every=4), make("zero_centered_gp")
        sum(method.penalty(discriminator, given) for method in methods).backward()
        torch.testing.assert_close(discriminator.head.weight.grad, torch.tensor([expected]))


def test_a_gradient_penalty_differentiates_through_spectral_norm(make, linear, batch):
    """SN makes w . x of unit gradient: its R1 is gamma / 2, and nothing moves w."""
    torch.manual_seed(0)
    discriminator = make("spectral_norm").wrap(linear([3.0, 4.0]))
    penalty = make("r1").penalty(discriminator, batch(discriminator))
    penalty.backward()
    assert math.isclose(penalty.item(), 5.0, rel_tol=1e-5)
    raw = discriminator.head.parametrizations.weight.original
    torch.testing.assert_close(raw.grad, torch.zeros(1, 2), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("gain", "cost"), [(0.5, 0.25), (22.0, 4.0), (5.0, 0.0), (0.0, 1.0)])
def test_jacobian_clamping_costs_only_gains_out_of_its_bounds(make, linear, batch, gain, cost):
    network, discriminator = Scaling(gain), linear([0.0] * 128)
    fake = network(torch.randn(64, 128, generator=generator()))
    given = batch(discriminator, fake=fake, real=fake.detach())
    loss = torch.tensor(7.0)
    for fields in ({}, {"distance": 1e-2}, {"coefficient": 2.0}):
        method = make("jacobian_clamping", **fields)
        found = method.generator_loss(loss, network, discriminator, given)
        expected = 7.0 + fields.get("coefficient", 1.0) * cost
        assert math.isclose(found.item(), expected, rel_tol=1e-3)


def test_jacobian_clamping_steps_its_distance_from_latents_of_its_own(make, linear, batch):
    network, discriminator = Scaling(5.0), linear([0.0] * 128)
    given = batch(discriminator, fake=torch.randn(64, 1, 8, 16, generator=generator()))
    seen: list[Tensor] = []
    network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    torch.manual_seed(0)
    make("jacobian_clamping", distance=0.5).generator_loss(
        torch.zeros(()), network, discriminator, given
    )
    latents, moved = seen[0].chunk(2)
    torch.testing.assert_close((moved - latents).norm(dim=1), torch.full((64,), 0.5))
    assert latents.shape == (64, 128)
    assert math.isclose(latents.std().item(), 1.0, rel_tol=0.05)


@pytest.mark.parametrize(("gain", "slope"), [(0.5, -1.0), (22.0, 4.0), (5.0, 0.0), (0.0, 0.0)])
def test_jacobian_clamping_pulls_the_generator_and_not_d(make, linear, batch, gain, slope):
    """d/da of (1 - a)^2 and (a - 20)^2; a gain of 0 has no direction to move in."""
    network, discriminator = Scaling(gain), linear([0.0] * 128)
    given = batch(discriminator, fake=torch.randn(64, 1, 8, 16, generator=generator()))
    make("jacobian_clamping").generator_loss(
        torch.zeros(()), network, discriminator, given
    ).backward()
    assert math.isclose(network.gain.grad.item(), slope, rel_tol=1e-4, abs_tol=1e-6)
    assert discriminator.head.weight.grad is None


def weight_penalty(make, layers, name: str, kernel: Tensor, **fields: object) -> tuple:
    """Return the penalty of a kernel and a head that costs nothing, and the kernel's gradient."""
    head = torch.zeros(1, len(kernel))
    head[0, 0] = 1
    discriminator = layers(kernel, head)
    given = Batch.of(discriminator, *torch.zeros(2, 1, *discriminator.sample_shape))
    penalty = make(name, coefficient=1.0, **fields).penalty(discriminator, given)
    penalty.backward()
    return penalty.item(), discriminator.body.weight.grad


SHAPES = [(4, 3, 3, 3), (8, 2, 4, 4), (20, 1, 3, 3), (3, 40, 1, 1), (6, 6, 1, 1)]


def random_kernel(shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape, generator=generator(), dtype=torch.float32) / math.sqrt(shape[1])


def test_brocks_penalty_sums_magnitudes_of_each_filters_own_gram_matrix(make, layers):
    """diag(2, 1): |4 - 1| = 3, whose gradient is 2 * 2 at the 2."""
    found, slope = weight_penalty(
        make, layers, "orthogonal_brock", torch.tensor([[[[2.0, 0.0], [0.0, 1.0]]]])
    )
    assert math.isclose(found, 3.0, rel_tol=1e-6)
    torch.testing.assert_close(slope, torch.tensor([[[[4.0, 0.0], [0.0, 0.0]]]]))
    twice, _ = weight_penalty(make, layers, "orthogonal_brock", torch.eye(2).expand(5, 1, 2, 2))
    assert twice == 0  # equal filters, each with orthonormal rows


@pytest.mark.parametrize("shape", SHAPES)
def test_brocks_penalty_agrees_with_loops_over_filters(make, layers, shape):
    kernel = random_kernel(shape)
    expected = 0.0
    for filter_ in kernel.numpy():
        rows = filter_.transpose(1, 0, 2).reshape(shape[2], -1)  # of a row: inputs and columns
        expected += np.abs(rows @ rows.T - np.eye(shape[2])).sum()
    found, _ = weight_penalty(make, layers, "orthogonal_brock", kernel)
    assert math.isclose(found, expected, rel_tol=1e-4)


def test_brocks_penalty_leaves_the_dense_layer_alone_and_has_its_codes_constant(
    make, layers, batch
):
    kernel = torch.tensor([[[[2.0, 0.0], [0.0, 1.0]]]])
    for size in (1.0, 9.0):
        discriminator = layers(kernel, torch.full((1, 1), size))
        penalty = make("orthogonal_brock").penalty(discriminator, batch(discriminator))
        assert math.isclose(penalty.item(), 3e-3, rel_tol=1e-5)


def test_the_off_diagonal_penalty_has_its_formulas_gradient(make, layers):
    """By hand, R = 2 and the gradient 4 (W W^T * (1 - I)) W, of which BigGAN's code adds half."""
    kernel = torch.tensor([[1.0, 1.0], [0.0, 1.0]])[:, :, None, None]
    found, slope = weight_penalty(make, layers, "orthogonal_off_diagonal", kernel)
    assert math.isclose(found, 2.0, rel_tol=1e-6)
    torch.testing.assert_close(matrix(slope), torch.tensor([[0.0, 4.0], [4.0, 4.0]]))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_off_diagonal_penalty_agrees_with_loops_over_pairs_of_outputs(make, layers, shape):
    kernel = random_kernel(shape)
    rows = kernel.flatten(1).double().numpy()
    expected = sum((a @ b) ** 2 for i, a in enumerate(rows) for j, b in enumerate(rows) if i != j)
    found, _ = weight_penalty(make, layers, "orthogonal_off_diagonal", kernel)
    assert math.isclose(found, expected, rel_tol=1e-4)


def test_the_off_diagonal_penalty_leaves_norms_free(make, layers):
    kernel = torch.tensor([[0.0, 7.0], [0.1, 0.0]])[:, :, None, None]
    found, slope = weight_penalty(make, layers, "orthogonal_off_diagonal", kernel)
    assert found == 0
    assert not slope.any()


@pytest.mark.parametrize(
    ("values", "sigma", "slope"),
    [([2.0, 1.0], 3.0, [4.0, 0.0]), ([0.5, 1.0], 0.75, [-1.0, 0.0])],
)
def test_srip_is_the_largest_defect_and_not_its_square(make, layers, values, sigma, slope):
    """s^2 - 1 = 3 of diag(2, 1), with gradient 2 s; 1 - s^2 of diag(.5, 1), with -2 s."""
    torch.manual_seed(0)
    kernel = torch.tensor(values).diag()[:, :, None, None]
    found, gradients = weight_penalty(make, layers, "srip", kernel, power_iterations=30)
    assert math.isclose(found, sigma, rel_tol=1e-5)
    torch.testing.assert_close(matrix(gradients), torch.tensor(slope).diag(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_srip_agrees_with_the_svd_and_never_exceeds_it(make, layers, shape):
    kernel = random_kernel(shape)
    values = np.linalg.svd(kernel.flatten(1).double().numpy(), compute_uv=False)
    expected = np.abs(values**2 - 1).max()
    torch.manual_seed(0)
    found, _ = weight_penalty(make, layers, "srip", kernel, power_iterations=500)
    assert math.isclose(found, expected, rel_tol=1e-3)
    one, _ = weight_penalty(make, layers, "srip", kernel)
    assert 0.2 * expected < one <= expected * (1 + 1e-5)


@pytest.mark.parametrize("name", ON_WEIGHTS)
@pytest.mark.parametrize("zero", [True, False])
def test_weight_penalties_have_finite_gradients_at_nothing_and_at_their_aim(
    make, layers, name, zero
):
    kernel = torch.zeros(2, 2, 1, 1) if zero else torch.eye(2)[:, :, None, None]
    found, slope = weight_penalty(make, layers, name, kernel)
    assert math.isfinite(found)
    assert slope.isfinite().all()
    if not zero and name != "orthogonal_brock":
        assert found == 0


@pytest.mark.parametrize("name", ON_WEIGHTS)
def test_weight_penalties_see_the_weights_that_d_computes_with(make, name):
    discriminator = standard()
    given = Batch.of(discriminator, images(seed=1), images(seed=2))
    wrapped = make("weight_norm").wrap(copy.deepcopy(discriminator))
    torch.manual_seed(0)
    expected = make(name).penalty(wrapped, given).item()
    with torch.no_grad():
        for layer in discriminator.layers():
            layer.weight /= (
                matrix(layer.weight).norm(dim=1).view(-1, *[1] * (layer.weight.dim() - 1))
            )
    torch.manual_seed(0)
    assert math.isclose(make(name).penalty(discriminator, given).item(), expected, rel_tol=1e-4)


def test_gradient_normalization_of_a_linear_discriminator_is_known(make, linear):
    """f = 3 x + 4 y at (1, .5): f = |grad f| = 5, so 5 / (5 + 5), with gradient (5 / 10)^2."""
    wrapped = make("gradient_normalization").wrap(linear([3.0, 4.0]))
    point = torch.tensor([[[[1.0, 0.5]]], [[[-1.0, -0.5]]]])
    logits, gradients = gradient(wrapped, point)
    torch.testing.assert_close(logits, torch.tensor([0.5, -0.5]))
    torch.testing.assert_close(gradients.flatten(1).norm(dim=1), torch.tensor([0.25, 0.25]))


def test_gran_of_a_linear_discriminator_is_known(make, linear):
    point = torch.tensor([[[[1.0, 0.5]]]])
    for epsilon, expected in ((1e-9, 1.0), (25.0, 0.5)):
        wrapped = make("gran", epsilon=epsilon).wrap(linear([3.0, 4.0]))
        logits, gradients = gradient(wrapped, point)
        assert math.isclose(logits.item(), expected, rel_tol=1e-5)
        assert math.isclose(gradients.norm().item(), expected, rel_tol=1e-5)


def test_the_weights_gradient_goes_through_the_gradients_norm(make, linear):
    """f / (n + |f|) at f = n = 5: ((n + f) x - f (w / n + x)) / (n + f)^2 = (5 x - w) / 100."""
    wrapped = make("gradient_normalization").wrap(linear([3.0, 4.0]))
    wrapped(torch.tensor([[[[1.0, 0.5]]]])).sum().backward()
    torch.testing.assert_close(wrapped.head.weight.grad, torch.tensor([[0.02, -0.015]]))


def _gn(n: float) -> float:
    """Return f / (n + f) for f = n^2 / 2, of D = |x|^2 / 2."""
    return n / (2 + n)


def _gran(n: float) -> float:
    return n**3 / 2 / (n**2 + 0.1)


@pytest.mark.parametrize(("name", "formula"), [("gradient_normalization", _gn), ("gran", _gran)])
def test_the_images_gradient_goes_through_the_gradients_norm(make, name, formula):
    """As in G's update: the images are another network's, and D's weights are frozen."""
    wrapped = make(name).wrap(Quadratic()).requires_grad_(False)
    factor = torch.tensor(2.0, requires_grad=True)
    point = factor * torch.tensor([[[[0.6, 0.8]]]])  # of norm 2
    logit = wrapped(point)
    logit.sum().backward()
    assert math.isclose(logit.item(), formula(2.0), rel_tol=1e-5)
    slope = (formula(2.001) - formula(1.999)) / 0.002
    assert math.isclose(factor.grad.item(), slope, rel_tol=1e-3)


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_a_normalized_logit_needs_no_graph_and_leaves_its_images_alone(make, name):
    wrapped = make(name).wrap(standard())
    points = images()
    expected = wrapped(points)
    assert expected.requires_grad
    assert not points.requires_grad
    for training in (True, False):
        wrapped.train(training)
        with torch.no_grad():
            found = wrapped(points)
            assert not torch.is_grad_enabled()
            of_leaf = wrapped(points.clone().requires_grad_())
        for logits in (found, of_leaf):
            assert not logits.requires_grad
            assert torch.equal(logits, expected.detach())
    assert points.grad is None
    leaf = points.clone().requires_grad_()
    wrapped(leaf).sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.shape == leaf.shape


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_each_image_is_normalized_by_its_own_gradient(make, name):
    wrapped = make(name).wrap(standard())
    points = images(count=5)
    alone = torch.cat([wrapped(points[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(wrapped(points), alone)
    assert wrapped.features(points).shape == wrapped.inner.features(points).shape


def test_gradient_normalization_does_not_see_the_scale_of_d(make):
    wrapped = make("gradient_normalization").wrap(standard())
    points = images()
    before = wrapped(points)
    with torch.no_grad():
        wrapped.head.weight *= 100
        wrapped.head.bias *= 100
    torch.testing.assert_close(wrapped(points), before)


@pytest.mark.parametrize("name", NORMALIZATIONS)
@pytest.mark.parametrize(("size", "channels"), [(16, 1), (32, 3), (48, 3)])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_claimed_input_gradient_holds_at_every_scale(make, name, size, channels, scale):
    method = make(name)
    wrapped = method.wrap(standard(size, channels))
    with torch.no_grad():
        wrapped.head.weight *= scale
    (claim,) = method.claims
    ((_, found),) = bounds.measured(claim, wrapped, images(4, size, channels))
    assert 0 < found <= claim.bound * (1 + claim.tolerance)
    if scale == 1e3 and name == "gran":
        assert found > 0.99  # the bound is reached


@pytest.mark.parametrize("name", NORMALIZATIONS)
@pytest.mark.parametrize("penalty", [None, "r1", "wgan_gp"])
def test_a_discriminator_that_is_zero_has_normalized_logits_0_and_finite_gradients(
    make, name, penalty
):
    wrapped: Discriminator = make(name).wrap(standard())
    with torch.no_grad():
        for weight in wrapped.parameters():
            weight.zero_()
    given = Batch.of(wrapped, images(seed=1), images(seed=2))
    assert not given.real_logits.any()
    total = given.fake_logits.mean() - given.real_logits.mean()
    if penalty is not None:
        total = total + make(penalty).penalty(wrapped, given)
    total.backward()
    assert all(w.grad is None or w.grad.isfinite().all() for w in wrapped.parameters())


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_a_penalty_on_a_normalized_logit_is_finite_where_a_curved_d_is_flat(make, name):
    wrapped = make(name).wrap(Quadratic())
    points = torch.tensor([[[[0.0, 0.0]]], [[[0.6, 0.8]]]])
    for scale in (1.0, 0.0):
        wrapped.inner.scale.data.fill_(scale)
        wrapped.zero_grad()
        penalty = make("r1").penalty(wrapped, Batch.of(wrapped, points, points))
        penalty.backward()
        assert penalty.isfinite()
        assert wrapped.inner.scale.grad.isfinite()


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_a_normalized_logit_is_close_and_float32_under_bfloat16(make, name):
    method: Method = make(name)
    full, low = method.wrap(standard()), standard()
    low.autocast_dtype = torch.bfloat16
    low = method.wrap(low)
    points = images().requires_grad_()
    found = low(points)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, full(points), rtol=0.1, atol=0.02)
    (slope,) = torch.autograd.grad(found.sum(), points, create_graph=True)
    slope.square().sum().backward()
    assert all(w.grad.isfinite().all() for w in low.parameters() if w.grad is not None)
