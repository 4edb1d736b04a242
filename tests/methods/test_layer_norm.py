"""The method layer_norm, on cases that can be solved by hand."""

from __future__ import annotations

import torch


def test_layer_norm_normalizes_an_image_over_channels_and_pixels(make):
    layer = make("layer_norm").norm(2)
    activations = torch.tensor([[[[1.0]], [[3.0]]], [[[10.0]], [[30.0]]]])
    expected = torch.tensor([[[[-1.0]], [[1.0]]]]).repeat(2, 1, 1, 1)
    torch.testing.assert_close(layer(activations), expected, atol=1e-4, rtol=0)
