"""The method pixel_norm, on cases that can be solved by hand."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn
from torch.nn import functional as F

from lipbench.architectures.standard_cnn import StandardGenerator
from lipbench.streams import Latents

from ._activations import (
    noise,
)


def test_pixel_norm_divides_a_pixel_by_its_root_mean_square(make):
    """(3, 4) over its root mean square, 5 / sqrt(2)."""
    generator = make("pixel_norm").wrap_generator(
        StandardGenerator(Latents(128), (1, 16, 16), 0.125)
    )
    layer = generator.body.norm0
    pixels = torch.tensor([[[[3.0, 0.0]], [[4.0, 0.0]]]])
    expected = torch.tensor([[[[0.848528, 0.0]], [[1.131371, 0.0]]]])
    torch.testing.assert_close(layer(pixels), expected, atol=1e-6, rtol=0)
    x = noise(3, 8, 4, 4)
    torch.testing.assert_close(layer(x), F.normalize(x, dim=1) * math.sqrt(8))


def test_pixel_norm_leaves_no_batch_normalization_in_g_and_all_else_as_it_was(make):
    torch.manual_seed(0)
    plain = StandardGenerator(Latents(128), (1, 16, 16), 0.125)
    generator = make("pixel_norm").wrap_generator(copy.deepcopy(plain))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in generator.modules())
    pairs = list(zip(generator.layers(), plain.layers(), strict=True))
    assert all(torch.equal(a.weight, b.weight) for a, b in pairs)
    latents = noise(3, 128)
    torch.testing.assert_close(generator(latents)[:1], generator(latents[:1]))
