"""What stands between the layers of D and of G, on cases solved by hand."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lipbench.architectures.standard_cnn import StandardDiscriminator, StandardGenerator
from lipbench.discriminators import input_shapes
from lipbench.errors import UserError
from lipbench.streams import Latents

NORMS = ["batch_norm", "layer_norm", "instance_norm", "group_norm", "virtual_batch_norm"]
SHAPES = [(4, 8, 16, 16), (3, 16, 2, 2), (2, 24, 5, 3)]


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def normalized(x: torch.Tensor, dims: tuple[int, ...]) -> torch.Tensor:
    """The textbook's formula, in float64."""
    x = x.double()
    variance = x.var(dims, correction=0, keepdim=True)
    return ((x - x.mean(dims, keepdim=True)) / (variance + 1e-5).sqrt()).float()


def test_batch_norm_normalizes_a_channel_over_the_batch(make):
    layer = make("batch_norm").norm(1)
    activations = torch.tensor([1.0, 3.0])[:, None, None, None]
    expected = torch.tensor([-1.0, 1.0])[:, None, None, None]
    torch.testing.assert_close(layer(activations), expected, atol=1e-4, rtol=0)


def test_batch_norms_running_variance_is_the_unbiased_one(make):
    """Of (1, 3): mean 2, variance 2; a tenth of it beside nine tenths of the start, 0 and 1."""
    layer = make("batch_norm").norm(1)
    layer(torch.tensor([1.0, 3.0])[:, None, None, None])
    assert math.isclose(layer[0].running_mean.item(), 0.2, rel_tol=1e-6)
    assert math.isclose(layer[0].running_var.item(), 0.9 + 0.1 * 2, rel_tol=1e-6)


def test_layer_norm_normalizes_an_image_over_channels_and_pixels(make):
    layer = make("layer_norm").norm(2)
    activations = torch.tensor([[[[1.0]], [[3.0]]], [[[10.0]], [[30.0]]]])
    expected = torch.tensor([[[[-1.0]], [[1.0]]]]).repeat(2, 1, 1, 1)
    torch.testing.assert_close(layer(activations), expected, atol=1e-4, rtol=0)


def test_instance_norm_normalizes_a_channel_over_the_pixels_of_an_image(make):
    layer = make("instance_norm").norm(2)
    activations = torch.tensor([[[[1.0, 3.0]], [[10.0, 30.0]]]])
    expected = torch.tensor([[[[-1.0, 1.0]], [[-1.0, 1.0]]]])
    torch.testing.assert_close(layer(activations), expected, atol=1e-4, rtol=0)


def test_group_norm_normalizes_neighbouring_channels_together(make):
    layer = make("group_norm", groups=2).norm(4)
    activations = torch.tensor([1.0, 3.0, 10.0, 30.0])[None, :, None, None]
    expected = torch.tensor([-1.0, 1.0, -1.0, 1.0])[None, :, None, None]
    torch.testing.assert_close(layer(activations), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ("name", "dims"), [("batch_norm", (0, 2, 3)), ("layer_norm", (1, 2, 3)),
                       ("instance_norm", (2, 3)), ("group_norm", None)],
)  # fmt: skip
def test_each_normalization_is_the_textbooks_over_its_own_dimensions(
    make, name, dims, shape, memory
):
    x = 3 + 2 * noise(*shape)
    found = make(name).norm(shape[1])(x.to(memory_format=memory))
    if dims is None:
        expected = normalized(x.unflatten(1, (8, -1)), (2, 3, 4)).flatten(1, 2)
    else:
        expected = normalized(x, dims)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_one_group_is_layer_norm_and_a_group_a_channel_is_instance_norm(make):
    x = noise(2, 6, 4, 4)
    for groups, name in ((1, "layer_norm"), (6, "instance_norm")):
        one, other = make("group_norm", groups=groups).norm(6), make(name).norm(6)
        torch.testing.assert_close(one(x), other(x))


def test_groups_that_do_not_divide_the_channels_are_refused_with_both_numbers(make):
    with pytest.raises(UserError, match=r"8 groups do not divide a layer's 12 channels"):
        make("group_norm").norm(12)


@pytest.mark.parametrize("width", [0.125, 0.25, 1.0])
def test_the_default_groups_divide_every_hidden_layer_of_the_standard_cnn(make, width):
    StandardDiscriminator((1, 16, 16), width, norm=make("group_norm").norm)


@pytest.mark.parametrize("name", NORMS)
def test_normalizations_have_a_shift_for_each_channel_and_no_gamma(make, name):
    layer = make(name).norm(8)
    assert [tuple(parameter.shape) for parameter in layer.parameters()] == [(8, 1, 1)]
    with torch.no_grad():
        layer[1].beta.fill_(2.0)
    outputs = layer(noise(8, 8, 4, 4))
    assert math.isclose(outputs.mean().item(), 2.0, rel_tol=1e-5)


@pytest.mark.parametrize("name", NORMS)
def test_gamma_multiplies_a_channel_before_beta_is_added(make, name):
    plain, affine = make(name).norm(8), make(name, gamma=True).norm(8)
    x = noise(4, 8, 4, 4)
    torch.testing.assert_close(affine(x), plain(x))  # gamma starts at 1
    assert len(list(affine.parameters())) == 2
    factors = torch.arange(1.0, 9.0)
    with torch.no_grad():
        gamma = affine[0].weight if name == "batch_norm" else affine[1].gamma
        gamma.copy_(factors.view_as(gamma))
        affine[1].beta.fill_(5.0)
    torch.testing.assert_close(affine(x), plain(x) * factors[:, None, None] + 5)


@pytest.mark.parametrize("name", NORMS)
def test_without_gamma_and_beta_nothing_is_learned(make, name):
    assert not list(make(name, beta=False).norm(8).parameters())


def test_batch_norms_gamma_is_where_methods_that_bound_it_look(make):
    layer = make("batch_norm", gamma=True).norm(3)
    (found,) = [module for module in layer.modules() if isinstance(module, nn.BatchNorm2d)]
    assert found.weight.shape == (3,)
    assert found.bias is None


def test_checkpoints_of_the_normalizations_without_gamma_keep_their_names(make):
    assert set(make("batch_norm").norm(3).state_dict()) == {
        "0.running_mean", "0.running_var", "0.num_batches_tracked", "1.beta",
    }  # fmt: skip
    assert set(make("layer_norm").norm(3).state_dict()) == {"1.beta"}


def referenced(make, channels: int, count: int, **fields: bool) -> nn.Sequential:
    """A virtual normalization that takes the first rows of its input as its reference batch."""
    layer = make("virtual_batch_norm", **fields).norm(channels)
    layer[0].count = count
    return layer


def test_virtual_batch_norm_counts_an_image_in_with_the_reference_batch(make):
    """Reference mean 0 and mean square 1, image 4 and 16: mean 2, square 8.5, variance 4.5."""
    layer = referenced(make, 1, count=1)
    activations = torch.tensor([[[[-1.0, 1.0]]], [[[4.0, 4.0]]]])
    outputs = layer(activations)
    torch.testing.assert_close(outputs[0], torch.tensor([[[-1.0, 1.0]]]), atol=1e-4, rtol=0)
    image = torch.full((1, 1, 2), 2 / math.sqrt(4.5))
    torch.testing.assert_close(outputs[1], image, atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_virtual_batch_norm_is_batch_norm_of_the_reference_and_one_image(make, shape):
    reference, images = 3 + noise(*shape), 2 * noise(*shape, seed=1)
    outputs = referenced(make, shape[1], len(reference))(torch.cat([reference, images]))
    expected = normalized(reference, (0, 2, 3))
    torch.testing.assert_close(outputs[: len(reference)], expected, atol=1e-4, rtol=0)
    for image, output in zip(images, outputs[len(reference) :], strict=True):
        both = normalized(torch.cat([reference, image[None]]), (0, 2, 3))
        torch.testing.assert_close(output, both[-1], atol=1e-4, rtol=0)


def virtual(make, prepared: bool = True) -> StandardDiscriminator:
    """A small D with virtual batch normalization, and perhaps a reference batch of 5 images."""
    torch.manual_seed(0)
    method = make("virtual_batch_norm")
    discriminator = method.wrap(StandardDiscriminator((3, 16, 16), 0.125, norm=method.norm))
    if prepared:
        with torch.no_grad():
            method.prepare(discriminator, noise(5, 3, 16, 16, seed=2))
    return discriminator


def test_virtual_batch_norm_gives_an_image_a_logit_that_no_other_image_changes(make):
    discriminator = virtual(make)
    images = noise(6, 3, 16, 16)
    logits = discriminator(images)
    assert logits.shape == (6,)
    for mode in (True, False):
        discriminator.train(mode)
        torch.testing.assert_close(discriminator(images[2:3]), logits[2:3], atol=1e-5, rtol=1e-5)
    assert discriminator.features(images).shape == (6, discriminator.head.in_features)


def test_virtual_batch_norms_logits_depend_on_the_reference_batch(make):
    discriminator = virtual(make)
    images = noise(2, 3, 16, 16)
    before = discriminator(images)
    with torch.no_grad():
        make("virtual_batch_norm").prepare(discriminator, 0.1 * noise(5, 3, 16, 16))
    assert (discriminator(images) - before).abs().min() > 1e-4


def test_virtual_batch_norm_before_its_reference_batch_is_instance_norm(make):
    discriminator = virtual(make, prepared=False)
    assert len(input_shapes(discriminator)) == 8
    twin = StandardDiscriminator((3, 16, 16), 0.125, norm=make("instance_norm").norm)
    twin.load_state_dict(
        {name.replace("body.body", "body"): value for name, value in
         discriminator.state_dict().items() if not name.endswith("reference")}
    )  # fmt: skip
    images = noise(3, 3, 16, 16)
    torch.testing.assert_close(discriminator(images), twin(images), atol=1e-5, rtol=1e-4)


def test_virtual_batch_norms_reference_batch_is_in_the_checkpoint(make):
    first, second = virtual(make), virtual(make)
    with torch.no_grad():
        make("virtual_batch_norm").prepare(first, noise(5, 3, 16, 16, seed=7))
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    images = noise(2, 3, 16, 16)
    assert torch.equal(first(images), second(images))


def test_virtual_batch_norm_back_propagates_through_the_reference_batch(make):
    """With images that D ignores (x = 0 in a channel of its own) only the reference remains."""
    layer = referenced(make, 1, count=1)
    activations = torch.tensor([[[[-1.0, 2.0]]], [[[4.0, 5.0]]]], requires_grad=True)
    layer(activations)[1].square().sum().backward()
    assert activations.grad[0].abs().max() > 0
    small = torch.tensor([[[[-1.0, 2.0]]], [[[4.0, 5.0]]]], dtype=torch.float64)
    assert torch.autograd.gradcheck(layer.double(), small.requires_grad_())
    assert torch.autograd.gradgradcheck(layer, small)


def test_pixel_norm_divides_a_pixel_by_its_root_mean_square(make):
    """(3, 4) over its root mean square, 5 / sqrt(2)."""
    generator = make("pixel_norm").wrap_generator(
        StandardGenerator(Latents(128), (1, 16, 16), 0.125)
    )
    layer = generator.body.norm0
    pixels = torch.tensor([[[[3.0, 0.0]], [[4.0, 0.0]]]])
    expected = torch.tensor([[[[0.848528, 0.0]], [[1.131371, 0.0]]]])
    torch.testing.assert_close(layer(pixels), expected, atol=1e-6, rtol=0)
    x = noise(3, 8, 4, 4)
    torch.testing.assert_close(layer(x), F.normalize(x, dim=1) * math.sqrt(8))


def test_pixel_norm_leaves_no_batch_normalization_in_g_and_all_else_as_it_was(make):
    torch.manual_seed(0)
    plain = StandardGenerator(Latents(128), (1, 16, 16), 0.125)
    generator = make("pixel_norm").wrap_generator(copy.deepcopy(plain))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in generator.modules())
    pairs = list(zip(generator.layers(), plain.layers(), strict=True))
    assert all(torch.equal(a.weight, b.weight) for a, b in pairs)
    latents = noise(3, 128)
    torch.testing.assert_close(generator(latents)[:1], generator(latents[:1]))


def with_stddev(make, channels: int = 2, **fields: int) -> tuple[nn.Module, nn.Conv2d]:
    """D's last convolution with the deviation, and that convolution alone."""
    torch.manual_seed(0)
    discriminator = StandardDiscriminator((3, 16, 16), 0.125)
    plain = copy.deepcopy(discriminator.body.conv6)
    make("minibatch_stddev", **fields).wrap(discriminator)
    return discriminator.body.conv6, plain


def test_minibatch_stddev_of_two_images_0_and_2_is_1(make):
    layer, plain = with_stddev(make)
    x = torch.tensor([0.0, 2.0])[:, None, None, None].expand(2, plain.in_channels, 4, 4)
    with torch.no_grad():
        plain.weight.zero_()
        plain.bias.zero_()
        layer.conv.load_state_dict(plain.state_dict())
    ones = layer.spread(torch.ones(2, 1, 4, 4))
    torch.testing.assert_close(layer(x), ones, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(("batch", "size"), [(8, 4), (4, 4), (6, 3), (10, 2), (7, 1), (1, 1)])
def test_minibatch_stddev_is_one_channel_more_for_the_last_convolution(make, batch, size):
    """Against the convolution of the concatenation, with groups of images i, i + B/size, ..."""
    layer, plain = with_stddev(make)
    x = noise(batch, plain.in_channels, 4, 4)
    channel = torch.empty(batch, 1, 4, 4)
    for start in range(batch // size):
        members = range(start, batch, batch // size)
        group = torch.stack([x[i] for i in members])
        assert len(group) == size
        spread = (group.var(dim=0, correction=0) + 1e-8).sqrt().mean()
        for i in members:
            channel[i] = spread
    kernel = torch.cat([plain.weight, layer.spread.weight], dim=1)
    expected = F.conv2d(torch.cat([x, channel], dim=1), kernel, plain.bias, padding=1)
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


def test_minibatch_stddev_of_one_image_repeated_has_finite_gradients(make):
    layer, plain = with_stddev(make)
    x = noise(1, plain.in_channels, 4, 4).expand(4, -1, -1, -1).clone().requires_grad_()
    layer(x).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(
    ("name", "new"), [("minibatch_stddev", "body.conv6.spread"),
                      ("minibatch_discrimination", "head.closeness")],
)  # fmt: skip
@pytest.mark.parametrize("first", [True, False])
def test_a_new_layer_of_d_is_normalized_by_the_methods_named_after_it(make, name, new, first):
    torch.manual_seed(0)
    discriminator = StandardDiscriminator((1, 16, 16), 0.125)
    drawn = [layer.weight.clone() for layer in discriminator.layers()]
    methods = [make(name), make("spectral_norm", power_iterations=20)]
    for method in methods if first else methods[::-1]:
        discriminator = method.wrap(discriminator)
    discriminator(noise(4, 1, 16, 16)).sum().backward()
    added = discriminator.get_submodule(new)
    assert added in discriminator.layers()
    assert len(discriminator.layers()) == len(drawn) + 1
    sigma = torch.linalg.matrix_norm(added.weight.flatten(1), 2).item()
    assert math.isclose(sigma, 1, abs_tol=1e-3) == first
    others = [layer for layer in discriminator.layers() if layer is not added]
    for layer, weight in zip(others, drawn, strict=True):
        assert torch.equal(layer.parametrizations.weight.original, weight)


def with_closeness(make, points: torch.Tensor) -> nn.Module:
    """A head whose features are its points: T = 1, one kernel of one dimension."""
    discriminator = StandardDiscriminator((1, 16, 16), 0.125)
    discriminator.head = nn.Linear(1, 1)
    make("minibatch_discrimination", kernels=1, dimensions=1).wrap(discriminator)
    head = discriminator.head
    with torch.no_grad():
        head.tensor.fill_(1.0)
        head.closeness.weight.fill_(1.0)
    return head(points) - head.head(points)


def test_minibatch_discrimination_leaves_an_image_itself_out(make):
    """Two points 0 and 1: each has exp(-1); one alone has nothing."""
    found = with_closeness(make, torch.tensor([[0.0], [1.0]]))
    torch.testing.assert_close(found, torch.full((2, 1), 0.367879), atol=1e-6, rtol=0)
    assert with_closeness(make, torch.tensor([[3.0]])).abs().max() < 1e-6


def test_minibatch_discrimination_sums_over_others_the_l1_distance_of_each_kernel(make):
    torch.manual_seed(0)
    discriminator = StandardDiscriminator((1, 16, 16), 0.125)
    plain = discriminator.head
    make("minibatch_discrimination", kernels=7, dimensions=3).wrap(discriminator)
    head, features = discriminator.head, noise(5, plain.in_features)
    points = torch.einsum("bf,fkd->bkd", features, head.tensor)
    expected = plain(features)[:, 0]
    for i in range(5):
        for j in {*range(5)} - {i}:
            close = torch.exp(-(points[i] - points[j]).abs().sum(dim=1))
            expected[i] += close @ head.closeness.weight[0]
    torch.testing.assert_close(head(features)[:, 0], expected, atol=1e-5, rtol=1e-5)


def test_minibatch_discriminations_tensor_starts_as_in_its_code(make):
    """N(0, 0.05^2); after a first batch, the nearest other image is at a mean distance of 2."""
    torch.manual_seed(0)
    discriminator = StandardDiscriminator((1, 16, 16), 0.125)
    method = make("minibatch_discrimination")
    method.wrap(discriminator)
    head, images = discriminator.head, noise(9, 1, 16, 16)
    assert head.tensor.shape == (head.head.in_features, 100, 5)
    assert math.isclose(head.tensor.std().item(), 0.05, rel_tol=0.01)
    with torch.no_grad():
        method.prepare(discriminator, images)
        distances = head.distances(discriminator.features(images))
    others = distances[~torch.eye(9, dtype=torch.bool)].view(9, 8, 100)
    nearest = others.min(dim=1).values.mean(dim=0)
    torch.testing.assert_close(nearest, torch.full((100,), 2.0), atol=1e-3, rtol=0)


@pytest.mark.parametrize("count", [1, 3])
def test_minibatch_discriminations_tensor_stays_where_a_first_batch_has_no_distances(make, count):
    discriminator = StandardDiscriminator((1, 16, 16), 0.125)
    method = make("minibatch_discrimination")
    method.wrap(discriminator)
    before = discriminator.head.tensor.clone()
    with torch.no_grad():
        method.prepare(discriminator, torch.zeros(count, 1, 16, 16))
    assert torch.equal(discriminator.head.tensor, before)


@pytest.mark.parametrize(
    ("name", "new", "beside"), [("minibatch_stddev", "body.conv6.spread", "body.conv6.conv"),
                                ("minibatch_discrimination", "head.closeness", "head.head")],
)  # fmt: skip
def test_a_new_layers_weights_are_drawn_like_those_of_the_layer_beside_it(make, name, new, beside):
    torch.manual_seed(0)
    discriminator = make(name).wrap(StandardDiscriminator((1, 16, 16), 0.5))
    drawn = discriminator.get_submodule(new).weight.std().item()
    assert math.isclose(
        drawn, discriminator.get_submodule(beside).weight.std().item(), rel_tol=0.2
    )
