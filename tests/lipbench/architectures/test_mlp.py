"""The MLP: its layers, what ends it, and methods' layers on units in place of channels."""

from __future__ import annotations

import torch
from torch import nn

from lipbench.architectures.mlp import MLP
from lipbench.discriminators import hidden

SMALL = MLP(units=8, layers=2)
POINTS = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))


def sizes(network):
    return [(layer.in_features, layer.out_features) for layer in network.layers()]


def test_both_networks_have_as_many_hidden_layers_as_asked():
    both = MLP(units=8, layers=3, width=0.5, latent_dim=7)
    assert sizes(both.generator((2,))) == [(7, 4), (4, 4), (4, 4), (4, 2)]
    assert sizes(both.discriminator((2,))) == [(2, 4), (4, 4), (4, 4), (4, 1)]
    assert sizes(both.discriminator((3, 4, 4)))[0] == (48, 4)


def test_points_are_made_without_a_bound_and_images_within_it():
    for shape, bounded in (((2,), False), ((1, 4, 4), True)):
        generator = SMALL.generator(shape)
        with torch.no_grad():
            for weight in generator.parameters():
                weight.fill_(1.0)
        samples = generator(100 * torch.ones(3, 2))
        assert samples.shape == (3, *shape)
        assert (samples.abs().max() <= 1) == bounded


def test_the_head_sees_the_last_hidden_layer_and_is_none_itself():
    network = SMALL.discriminator((2,))
    assert network.features(POINTS).shape == (5, 8)
    assert hidden(network) == network.layers()[:-1]


def test_a_methods_normalization_takes_units_for_channels_and_spares_the_first_layer():
    made = []

    def norm(channels):
        made.append(channels)
        return nn.GroupNorm(1, channels)

    network = SMALL.discriminator((2,), norm=norm)
    assert made == [8]  # of two hidden layers
    first = torch.relu(network.body.dense0(POINTS))
    second = nn.functional.layer_norm(network.body.dense1(first), (8,))
    torch.testing.assert_close(network(POINTS), network.head(torch.relu(second)).squeeze(1))


def test_a_methods_activation_stands_after_each_hidden_layer():
    network = SMALL.discriminator((2,), activation=lambda channels: nn.Softplus())
    first = nn.functional.softplus(network.body.dense0(POINTS))
    second = nn.functional.softplus(network.body.dense1(first))
    torch.testing.assert_close(network(POINTS), network.head(second).squeeze(1))
