"""Penalties on D's gradient and weights, and D's normalized by their gradients, solved by hand."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lipbench.discriminators import matrix
from lipbench.exam import bounds
from lipbench.method import Batch, Method
from lipbench.networks import Discriminator

from ._penalties import (
    BETWEEN,
    GRADIENT_PENALTIES,
    NORMALIZATIONS,
    ON_WEIGHTS,
    Exact,
    Quadratic,
    _gn,
    _gran,
    generator,
    images,
    seen_by,
    standard,
    weight_penalty,
)


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


@pytest.mark.parametrize(
    ("name", "values"),
    [("r1", [1.0]), ("r2", [-1.0]), ("js_regularizer", [1.0, -1.0])],
)
def test_penalties_at_images_take_them_as_they_are(make, linear, batch, name, values):
    discriminator = linear([3.0, 4.0])
    given = batch(discriminator, torch.full((3, 1, 1, 2), 1.0), torch.full((3, 1, 1, 2), -1.0))
    seen = seen_by(discriminator, lambda: make(name).penalty(discriminator, given))
    assert [points.unique().tolist() for points in seen] == [[value] for value in values]


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
