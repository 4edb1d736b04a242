"""Saturated and dead units, counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lipbench.audit.facts import Saturation
from lipbench.audit.saturation import saturation
from lipbench.rest import at_rest


def rows(*rows):
    """Return images (N, 1, 1, W) of these rows."""
    return torch.tensor(rows).view(len(rows), 1, 1, -1)


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.LeakyReLU(0.1), nn.ReLU(inplace=True)])
def test_the_negative_side_of_a_rectifier_is_saturated(activation):
    network = at_rest(nn.Sequential(activation))
    images = [rows([1.0, -1.0, -1.0, 2.0]), rows([1.0, 1.0, -1.0, -2.0], [3.0, 1.0, -1.0, 1.0])]
    (found,) = saturation(network, images)
    assert found == Saturation("0", share=pytest.approx(5 / 12), dead=1 / 4)


def test_the_tails_of_a_sigmoid_are_those_with_half_its_largest_slope():
    # The slope is 1/4 at 0, and half of that where s (1 - s) = 1/8, at 1.7627.
    network = at_rest(nn.Sequential(nn.Sigmoid()))
    (found,) = saturation(network, [rows([0.0, 1.7, -1.7, 1.8, -1.8])])
    assert found.share == pytest.approx(2 / 5)


def test_the_largest_slope_is_that_of_all_images_and_not_of_the_first_ones():
    network = at_rest(nn.Sequential(nn.Sigmoid()))
    (found,) = saturation(network, [rows([6.0, 3.0]), rows([0.0, 0.0])])
    assert (found.share, found.dead) == (0.5, 0.0)


def test_a_leaky_rectifier_of_slope_one_half_is_saturated_and_of_more_is_not():
    images = [rows([1.0, -1.0])]
    for slope, share in ((0.5, 0.5), (0.51, 0.0)):
        (found,) = saturation(at_rest(nn.Sequential(nn.LeakyReLU(slope))), images)
        assert found.share == share


def test_a_module_used_again_is_another_layer():
    class Again(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, images):
            return self.relu(1 - self.relu(images))

    found = saturation(at_rest(Again()), [rows([-1.0, 0.5, 2.0])])
    assert [layer.name for layer in found] == ["relu", "relu#2"]
    assert [layer.share for layer in found] == pytest.approx([1 / 3, 1 / 3])


def test_many_images_are_counted_batch_by_batch():
    images = torch.ones(150, 1, 1, 2)
    images[:, :, :, 1] = -1
    images[149, :, :, 1] = 1
    (found,) = saturation(at_rest(nn.Sequential(nn.ReLU())), [images])
    assert (found.share, found.dead) == (pytest.approx(149 / 300), 0.0)
