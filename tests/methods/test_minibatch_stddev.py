"""The method minibatch_stddev, on cases that can be solved by hand."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ._activations import (
    noise,
    with_stddev,
)


def test_minibatch_stddev_of_two_images_0_and_2_is_1(make):
    layer, plain = with_stddev(make)
    x = torch.tensor([0.0, 2.0])[:, None, None, None].expand(2, plain.in_channels, 4, 4)
    with torch.no_grad():
        plain.weight.zero_()
        plain.bias.zero_()
        layer.conv.load_state_dict(plain.state_dict())
    ones = layer.spread(torch.ones(2, 1, 4, 4))
    torch.testing.assert_close(layer(x), ones, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(("batch", "size"), [(8, 4), (4, 4), (6, 3), (10, 2), (7, 1), (1, 1)])
def test_minibatch_stddev_is_one_channel_more_for_the_last_convolution(make, batch, size):
    """Against the convolution of the concatenation, with groups of images i, i + B/size, ..."""
    layer, plain = with_stddev(make)
    x = noise(batch, plain.in_channels, 4, 4)
    channel = torch.empty(batch, 1, 4, 4)
    for start in range(batch // size):
        members = range(start, batch, batch // size)
        group = torch.stack([x[i] for i in members])
        assert len(group) == size
        spread = (group.var(dim=0, correction=0) + 1e-8).sqrt().mean()
        for i in members:
            channel[i] = spread
    kernel = torch.cat([plain.weight, layer.spread.weight], dim=1)
    expected = F.conv2d(torch.cat([x, channel], dim=1), kernel, plain.bias, padding=1)
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


def test_minibatch_stddev_of_one_image_repeated_has_finite_gradients(make):
    layer, plain = with_stddev(make)
    x = noise(1, plain.in_channels, 4, 4).expand(4, -1, -1, -1).clone().requires_grad_()
    layer(x).sum().backward()
    assert x.grad.isfinite().all()
