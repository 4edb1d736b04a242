"""The standard CNN: the two widths of D in circulation, and what the public code adds."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lipbench.architectures.standard_cnn import StandardCNN
from lipbench.networks import initialise

IMAGES = (3, 32, 32)


def count(network):
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize(
    ("widths", "size", "weights"),
    [("table", 32, 2_935_873), ("table", 48, 2_946_113), ("code", 32, 5_860_865)],
)
def test_d_has_as_many_weights_as_its_widths_say(widths, size, weights):
    with torch.device("meta"):
        assert count(StandardCNN(widths=widths).discriminator((3, size, size))) == weights


def test_the_ranks_of_the_tables_convolutions_are_the_axes_of_the_papers_figure_3():
    with torch.device("meta"):
        layers = StandardCNN().discriminator(IMAGES).layers()[:-1]
    assert [min(layer.weight.flatten(1).shape) for layer in layers] == [
        27, 64, 128, 128, 256, 256, 512,
    ]  # fmt: skip


def test_the_slope_is_that_of_every_activation_of_d():
    network = StandardCNN(width=0.05, slope=0.2).discriminator(IMAGES)
    slopes = [m.negative_slope for m in network.modules() if isinstance(m, nn.LeakyReLU)]
    assert slopes == [0.2] * 7


def test_the_defaults_are_those_of_the_table_and_draw_the_weights_they_always_drew():
    network = StandardCNN(width=0.125).generator(IMAGES)
    initialise(network, "xavier_uniform", 0, "generator")
    assert [name for name, _ in network.body.named_children()][:2] == ["unflatten", "deconv0"]
    assert network.dense.weight[0, :3].tolist() == pytest.approx(
        [0.007251, 0.009281, 0.031686], abs=1e-6
    )


def test_the_dense_norm_is_of_each_output_of_the_dense_layer_over_the_batch():
    network = StandardCNN(width=0.125, dense_norm=True).generator(IMAGES)
    latents = torch.randn(64, 128, generator=torch.Generator().manual_seed(0))
    normalized = network.body.dense_norm(network.dense(latents))
    assert normalized.shape == (64, 64 * 4 * 4)
    torch.testing.assert_close(normalized.mean(0), torch.zeros(1024), atol=1e-5, rtol=0)
    assert isinstance(network.body.dense_activation, nn.ReLU)
