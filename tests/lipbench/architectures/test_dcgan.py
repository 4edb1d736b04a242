"""DCGAN: the weights of the public code, and what its layers are."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lipbench.architectures.dcgan import DCGAN
from lipbench.discriminators import hidden
from lipbench.method import Method
from lipbench.plugins import Registry

SMALL = DCGAN(width=0.02)


def count(network):
    return sum(weight.numel() for weight in network.parameters())


def channels(layers):
    return [(layer.in_channels, layer.out_channels) for layer in layers]


def test_at_64_pixels_both_networks_have_as_many_weights_as_pytorchs_example():
    batch_norm = Registry("methods")["batch_norm"].load(Method)(gamma=True)
    with torch.device("meta"):
        assert count(DCGAN().generator((3, 64, 64))) == 3_576_704
        assert count(DCGAN().discriminator((3, 64, 64), norm=batch_norm.norm)) == 2_765_568


def test_at_32_pixels_the_layers_are_those_of_the_dcgan_for_cifar10():
    with torch.device("meta"):
        g, d = DCGAN().generator((3, 32, 32)), DCGAN().discriminator((3, 32, 32))
    assert channels(g.layers()) == [(100, 512), (512, 256), (256, 128), (128, 3)]
    assert channels(hidden(d)) == [(3, 128), (128, 256), (256, 512)]


@pytest.mark.parametrize("size", [32, 64])
def test_the_head_is_the_last_convolution_over_the_whole_map(size):
    network = SMALL.discriminator((3, size, size))
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    maps = network.body(images)
    assert maps.shape == (2, 10, 4, 4)
    kernel = network.head.weight.view(1, 10, 4, 4)
    torch.testing.assert_close(network(images), nn.functional.conv2d(maps, kernel).flatten())


def test_a_method_puts_its_normalization_after_each_convolution_of_d_but_the_first():
    made = []

    def norm(channels):
        made.append(channels)
        return nn.Identity()

    DCGAN(width=0.125).discriminator((3, 64, 64), norm=norm)
    assert made == [16, 32, 64]


def test_latents_are_100_uniform_values():
    assert (SMALL.latents.dim, SMALL.latents.law) == (100, "uniform")
