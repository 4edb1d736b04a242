"""What stands between D's layers, on cases solved by hand."""

from __future__ import annotations

import math

import pytest
import torch


def test_batch_norm_normalizes_a_channel_over_the_batch(make):
    layer = make("batch_norm").norm(1)
    activations = torch.tensor([1.0, 3.0])[:, None, None, None]
    expected = torch.tensor([-1.0, 1.0])[:, None, None, None]
    torch.testing.assert_close(layer(activations), expected, atol=1e-4, rtol=0)


def test_layer_norm_normalizes_an_image_over_channels_and_pixels(make):
    layer = make("layer_norm").norm(2)
    activations = torch.tensor([[[[1.0]], [[3.0]]], [[[10.0]], [[30.0]]]])
    expected = torch.tensor([[[[-1.0]], [[1.0]]]]).repeat(2, 1, 1, 1)
    torch.testing.assert_close(layer(activations), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["batch_norm", "layer_norm"])
def test_normalizations_have_a_shift_for_each_channel_and_no_gamma(make, name):
    layer = make(name).norm(5)
    assert [tuple(parameter.shape) for parameter in layer.parameters()] == [(5, 1, 1)]
    with torch.no_grad():
        layer[1].beta.fill_(2.0)
    outputs = layer(torch.randn(8, 5, 4, 4, generator=torch.Generator().manual_seed(0)))
    assert math.isclose(outputs.mean().item(), 2.0, rel_tol=1e-5)
