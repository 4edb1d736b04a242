"""Self-attention (Zhang et al. 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """Maps x to gamma o + x, where o at a pixel is a mean of values over pixels.

    o_j = v(sum over i of softmax_i(f(x_i) . g(x_j)) h(x_i)) (section 3); f, g, h and v are 1 x 1
    convolutions, f and g with 1/8 of the channels. gamma starts at 0, so the layer starts as the
    identity. As in the authors' code (github.com/brain-research/self-attention-gan, non_local.py),
    h has half of the channels, f and h are the maximum of 2 x 2 pixels, and there are no biases.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        eighth, half = max(1, channels // 8), max(1, channels // 2)
        self.f = nn.Conv2d(channels, eighth, 1, bias=False)
        self.g = nn.Conv2d(channels, eighth, 1, bias=False)
        self.h = nn.Conv2d(channels, half, 1, bias=False)
        self.v = nn.Conv2d(half, channels, 1, bias=False)
        self.pool = nn.MaxPool2d(2)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps (B, C, H, W) of maps of that shape."""
        keys = self.pool(self.f(maps)).flatten(2)  # (B, C/8, HW/4)
        queries = self.g(maps).flatten(2)  # (B, C/8, HW)
        values = self.pool(self.h(maps)).flatten(2)  # (B, C/2, HW/4)
        weights = (keys.transpose(1, 2) @ queries).softmax(1)  # (B, HW/4, HW)
        attended = (values @ weights).unflatten(2, maps.shape[2:])
        return maps + self.gamma * self.v(attended)
