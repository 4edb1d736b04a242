"""Dense layers, for points as they are and for images as vectors."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le
from torch import Tensor, nn

from lipbench.architecture import (
    Architecture,
    ChannelLayer,
    Dim,
    Discriminator,
    Generator,
    Latents,
    Shape,
    identity,
    scaled,
)


@dataclass(frozen=True)
class MLP(Architecture):
    """Hidden dense layers with ReLU, as many and as wide in G as in D.

    3 hidden layers of 512 units and 2 latents are those of Gulrajani et al.'s code for points in
    the plane (github.com/igul222/improved_wgan_training, gan_toy.py); the initialisation is our
    choice. G makes points without a last activation, and images, of which the pixels are outputs,
    with tanh. A method's layers see hidden units as channels of 1 x 1 pixel; its normalization
    stands in each hidden layer of D but the first, as in the standard CNN.
    """

    title = "a multilayer perceptron"
    papers = ("gulrajani2017",)
    shapes = "points of any number of values, and images of any size"
    examples = ((2,), (1, 16, 16))
    initialisation = "xavier_uniform"

    latent_dim: Dim = 2
    layers: Annotated[int, Ge(2), Le(100)] = 3  # hidden ones
    units: Annotated[int, Ge(1), Le(65_536)] = 512  # of each, times the width

    def takes(self, shape: Shape) -> bool:
        return len(shape) in (1, 3)

    def generator(self, shape: Shape, classes: int = 0) -> Generator:
        return DenseGenerator(self.latents, shape, self._hidden())

    def discriminator(
        self,
        shape: Shape,
        classes: int = 0,
        norm: ChannelLayer = identity,
        activation: ChannelLayer | None = None,
    ) -> Discriminator:
        return DenseDiscriminator(shape, self._hidden(), norm, activation)

    def _hidden(self) -> list[int]:
        return [scaled(self.units, self.width)] * self.layers


class DenseGenerator(Generator):
    """Dense layers, and a last one of as many outputs as a sample has values."""

    def __init__(self, latents: Latents, shape: Shape, hidden: list[int]) -> None:
        super().__init__(latents)
        inputs = latents.dim
        body: OrderedDict[str, nn.Module] = OrderedDict()
        for index, outputs in enumerate(hidden):
            body[f"dense{index}"] = nn.Linear(inputs, outputs)
            body[f"activation{index}"] = nn.ReLU(inplace=True)
            inputs = outputs
        body["sample"] = nn.Linear(inputs, math.prod(shape))
        if len(shape) == 3:
            body["image"] = nn.Sequential(nn.Unflatten(1, shape), nn.Tanh())
        self.body = nn.Sequential(body)

    def compute(self, inputs: Tensor) -> Tensor:
        """Return the samples."""
        return self.body(inputs)


class DenseDiscriminator(Discriminator):
    """Dense layers and a dense head."""

    def __init__(
        self,
        shape: Shape,
        hidden: list[int],
        norm: ChannelLayer = identity,
        activation: ChannelLayer | None = None,
    ) -> None:
        super().__init__(shape)
        inputs = math.prod(shape)
        body: OrderedDict[str, nn.Module] = OrderedDict()
        if len(shape) > 1:
            body["flat"] = nn.Flatten()
        for index, outputs in enumerate(hidden):
            body[f"dense{index}"] = nn.Linear(inputs, outputs)
            if index > 0 and norm is not identity:
                body[f"norm{index}"] = per_unit(norm, outputs)
            body[f"activation{index}"] = per_unit(activation, outputs) if activation else nn.ReLU()
            inputs = outputs
        self.body = nn.Sequential(body)
        self.head = nn.Linear(inputs, 1)


def per_unit(layer: Callable[[int], nn.Module], units: int) -> nn.Module:
    """Return a method's layer for channels of images, as one of (B, units) in and out."""
    return nn.Sequential(
        OrderedDict(pixel=nn.Unflatten(1, (units, 1, 1)), layer=layer(units), units=nn.Flatten())
    )
