"""The standard CNN whose last convolution of D alone is wider or narrower."""

from __future__ import annotations

import pytest
import torch

from lipbench.architectures.standard_cnn import StandardCNN
from lipbench.architectures.wide_end_cnn import WideEndCNN

IMAGES = (3, 48, 48)


def shapes(network):
    return {name: tuple(weight.shape) for name, weight in network.named_parameters()}


@pytest.mark.parametrize("last", [0.5, 1, 2, 4, 6, 8])
def test_the_last_convolution_and_the_head_alone_follow_the_factor(last):
    with torch.device("meta"):
        standard = shapes(StandardCNN().discriminator(IMAGES))
        found = shapes(WideEndCNN(last=last).discriminator(IMAGES))
    outputs = int(512 * last)
    assert found.pop("body.conv6.weight") == (outputs, 256, 3, 3)
    assert found.pop("body.conv6.bias") == (outputs,)
    assert found.pop("head.weight") == (1, outputs * 6 * 6)
    assert found == {name: standard[name] for name in found}
    assert len(found) == len(standard) - 3


def test_the_width_is_of_all_layers_besides():
    network = WideEndCNN(width=0.125, last=2).discriminator(IMAGES)
    assert [layer.weight.shape[0] for layer in network.layers()] == [
        8, 8, 16, 16, 32, 32, 128, 1,
    ]  # fmt: skip


def test_a_factor_of_1_is_the_standard_cnn():
    with torch.device("meta"):
        assert shapes(WideEndCNN().discriminator(IMAGES)) == shapes(
            StandardCNN().discriminator(IMAGES)
        )
        assert shapes(WideEndCNN(last=8).generator(IMAGES)) == shapes(
            StandardCNN().generator(IMAGES)
        )
