"""The method spectral_norm_generator, on cases that can be solved by hand."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.utils import parametrize

from lipbench.architectures.standard_cnn import StandardGenerator
from lipbench.streams import Latents

from ._weights import (
    singular_values,
    standard,
)


def test_spectral_norm_generator_normalizes_each_layer_of_g_and_leaves_d_alone(make):
    torch.manual_seed(0)
    method = make("spectral_norm_generator", power_iterations=100)
    generator = method.wrap_generator(StandardGenerator(Latents(128), (3, 16, 16), 0.25))
    discriminator = standard()
    assert method.wrap(discriminator) is discriminator
    assert not any(map(parametrize.is_parametrized, discriminator.layers()))
    for layer in generator.layers():
        rows = layer.weight.detach()
        if isinstance(layer, nn.ConvTranspose2d):
            rows = rows.transpose(0, 1)
        assert len(rows) == (layer.bias.numel())
        assert math.isclose(singular_values(rows)[0], 1.0, rel_tol=1e-3)
    assert generator(torch.randn(2, 128)).shape == (2, 3, 16, 16)
