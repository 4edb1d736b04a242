"""What stands between the layers of D and of G, on cases solved by hand."""

from __future__ import annotations

import math

import pytest
import torch

from lipbench.architectures.standard_cnn import StandardDiscriminator

from ._activations import (
    NORMS,
    SHAPES,
    noise,
    normalized,
)


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


def test_checkpoints_of_the_normalizations_without_gamma_keep_their_names(make):
    assert set(make("batch_norm").norm(3).state_dict()) == {
        "0.running_mean", "0.running_var", "0.num_batches_tracked", "1.beta",
    }  # fmt: skip
    assert set(make("layer_norm").norm(3).state_dict()) == {"1.beta"}


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
