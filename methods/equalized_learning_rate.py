"""Equalized learning rate (Karras et al., Progressive Growing of GANs, ICLR 2018)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipbench.discriminators import Discriminator, matrix, original
from lipbench.method import Method, Positive, Trait


class EqualizedLearningRate(Method):
    """Train weights of deviation 1, and compute with them times gain / sqrt(fan-in).

    So that Adam's steps are of the same relative size in each layer. The gain is sqrt(2), that of
    He's initializer, and 1 for the final dense layer; biases are not scaled; all as in the
    authors' code (github.com/tkarras/progressive_growing_of_gans). The weights start at the ones
    that any method starts with, rescaled, so that runs stay paired. Only D's, where the paper has
    it in G too. It bounds nothing.
    """

    label = "EqLR"
    papers = ("karras2018",)
    traits = frozenset({Trait.REPARAMETRIZES, Trait.BOUNDS_NOTHING})

    gain: Positive = math.sqrt(2)

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        for layer in discriminator.layers():
            weight = original(layer)
            with torch.no_grad():
                weight.div_(weight.std())
            gain = 1.0 if isinstance(layer, nn.Linear) else self.gain
            module = Multiplied(gain / math.sqrt(matrix(weight).shape[1]))
            parametrize.register_parametrization(layer, "weight", module)
        return discriminator


class Multiplied(nn.Module):
    """Multiply a weight by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight, multiplied."""
        return weight * self.factor
