"""Random architectures: what is drawn, and the networks that it makes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from lipbench.architectures.random import (
    BASES,
    DEPTHS,
    NONLINEARITIES,
    Drawn,
    Random,
    RandomDiscriminator,
    RandomGenerator,
    ShiftedSoftplus,
    drawn,
)
from lipbench.architectures.standard_cnn import leaky
from lipbench.discriminators import hidden
from lipbench.streams import Latents

IMAGES = (3, 32, 32)


def channels(layers):
    return [(layer.in_channels, layer.out_channels) for layer in layers]


def test_200_draws_have_all_that_the_table_has_and_no_two_networks_of_one_draw_are_tied():
    draws = [drawn(seed) for seed in range(200)]
    for network in zip(*draws, strict=True):
        assert {each.nonlinearity for each in network} == set(NONLINEARITIES)
        assert {each.depth for each in network} == set(DEPTHS)
        assert {each.normalized for each in network} == {False, True}
        assert {each.base for each in network} == set(BASES)
    assert len(set(draws)) > 150


def test_a_draw_is_the_same_each_time():
    assert drawn(7) == drawn(7)
    assert drawn(0) != drawn(1)
    with torch.device("meta"):
        assert drawn(7) == drawn(7)


def test_depth_4_with_128_filters_is_the_dcgan_of_the_code():
    what = Drawn(nn.ReLU, 4, True, 128)
    with torch.device("meta"):
        g = RandomGenerator(Latents(128), IMAGES, what, 1.0)
        d = RandomDiscriminator(IMAGES, what, 1.0, nn.BatchNorm2d, leaky)
    assert g.layers()[0].out_features == 512 * 4 * 4
    assert channels(g.layers()[1:]) == [(512, 256), (256, 128), (128, 3)]
    assert channels(hidden(d)) == [(3, 128), (128, 256), (256, 512)]
    norms = [name for name, m in d.body.named_children() if isinstance(m, nn.BatchNorm2d)]
    assert norms == ["norm1", "norm2"]


@pytest.mark.parametrize("depth", DEPTHS)
def test_each_network_has_as_many_layers_as_its_depth(depth):
    what = Drawn(nn.Tanh, depth, False, 32)
    with torch.device("meta"):
        assert len(RandomGenerator(Latents(128), IMAGES, what, 0.1).layers()) == depth
        made = RandomDiscriminator(IMAGES, what, 0.1, nn.BatchNorm2d, leaky)
        assert len(made.layers()) == depth


def test_the_shifted_softplus_is_nearly_x_far_up_and_minus_1_far_down():
    values = ShiftedSoftplus()(torch.tensor([20.0, -20.0, -1.0]))
    assert values.tolist() == pytest.approx([20.0, -1.0, math.log(2) / 2 - 1])


def test_d_has_the_layer_normalization_that_was_drawn_unless_a_method_has_another():
    seed = next(seed for seed in range(99) if drawn(seed)[1].normalized)
    architecture = Random(width=0.05, draw=seed)
    own = [type(m) for m in architecture.discriminator(IMAGES).modules()]
    other = [type(m) for m in architecture.discriminator(IMAGES, norm=nn.BatchNorm2d).modules()]
    assert nn.GroupNorm in own
    assert nn.GroupNorm not in other
    assert nn.BatchNorm2d in other
