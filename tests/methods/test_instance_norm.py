"""The method instance_norm, on cases that can be solved by hand."""

from __future__ import annotations

import torch


def test_instance_norm_normalizes_a_channel_over_the_pixels_of_an_image(make):
    layer = make("instance_norm").norm(2)
    activations = torch.tensor([[[[1.0, 3.0]], [[10.0, 30.0]]]])
    expected = torch.tensor([[[[-1.0, 1.0]], [[-1.0, 1.0]]]])
    torch.testing.assert_close(layer(activations), expected, atol=1e-4, rtol=0)
