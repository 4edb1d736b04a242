"""Architectures drawn at random, as in the robustness study of Gulrajani et al. 2017."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, TypeVar

import torch
from annotated_types import Ge
from torch import Tensor, nn

from lipbench import streams
from lipbench.architecture import (
    Architecture,
    ChannelLayer,
    Discriminator,
    Generator,
    Latents,
    Shape,
    identity,
    scaled,
)

Option = TypeVar("Option")


class ShiftedSoftplus(nn.Module):
    """softplus(2x + 2) / 2 - 1, a smooth function between x and -1."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return a tensor of the same shape."""
        return nn.functional.softplus(2 * inputs + 2) / 2 - 1


# Gulrajani et al. 2017, the table of what their 200 random architectures are drawn from.
NONLINEARITIES: tuple[Callable[[], nn.Module], ...] = (
    nn.ReLU,
    lambda: nn.LeakyReLU(0.2),
    ShiftedSoftplus,
    nn.Tanh,
)
DEPTHS = (4, 8, 12, 20)
BASES = (32, 64, 128)


@dataclass(frozen=True)
class Drawn:
    """What was drawn for one network."""

    nonlinearity: Callable[[], nn.Module]
    depth: int  # layers with weights
    normalized: bool
    base: int  # channels of the layer next to the image

    def stages(self, width: float) -> list[tuple[int, int]]:
        """Return channels, and how many further layers follow, from most channels to fewest."""
        further = self.depth - DEPTHS[0]
        return [
            (scaled(self.base * factor, width), (further + 2 - index) // 3)
            for index, factor in enumerate((4, 2, 1))
        ]


@dataclass(frozen=True)
class Random(Architecture):
    """A pair of the set that Gulrajani et al. 2017 drew 200 architectures from, by a seed `draw`.

    Each network has a nonlinearity (ReLU, LeakyReLU, softplus(2x + 2) / 2 - 1, tanh), a depth (4,
    8, 12 or 20), BN or not (layer normalization in D, as theirs has for a gradient penalty) and a
    base number of filters (32, 64, 128), all drawn independently. Depth 4 is the DCGAN of their
    code for 32 pixels (github.com/igul222/improved_wgan_training, gan_cifar.py). Where the further
    layers stand is not published: 3 x 3 convolutions that keep size and channels, in turn on maps
    of 4, 8 and 16 pixels (our choice), as are the slope 0.2 and the initialisation. A method's
    activation or normalization takes the place of the one drawn for D.
    """

    title = "a random architecture of Gulrajani et al."
    papers = ("gulrajani2017",)
    shapes = "square images of 32 pixels"
    examples = ((3, 32, 32),)
    variants = ({"draw": 1}, {"draw": 2})
    initialisation = "xavier_uniform"

    draw: Annotated[int, Ge(0)] = 0

    def takes(self, shape: Shape) -> bool:
        return len(shape) == 3 and shape[1:] == (32, 32)

    def generator(self, shape: Shape, classes: int = 0) -> Generator:
        of_g, _ = drawn(self.draw)
        return RandomGenerator(self.latents, shape, of_g, self.width)

    def discriminator(
        self,
        shape: Shape,
        classes: int = 0,
        norm: ChannelLayer = identity,
        activation: ChannelLayer | None = None,
    ) -> Discriminator:
        _, of_d = drawn(self.draw)
        if norm is identity and of_d.normalized:
            norm = layer_norm
        return RandomDiscriminator(
            shape, of_d, self.width, norm, activation or (lambda channels: of_d.nonlinearity())
        )


def drawn(seed: int) -> tuple[Drawn, Drawn]:
    """Return what is drawn for G and for D, a function of the seed."""
    source = streams.generator(seed, "random architecture")

    def one(options: tuple[Option, ...]) -> Option:
        index = torch.randint(len(options), (), generator=source, device="cpu")
        return options[int(index)]

    def network() -> Drawn:
        return Drawn(one(NONLINEARITIES), one(DEPTHS), one((False, True)), one(BASES))

    return network(), network()


def layer_norm(channels: int) -> nn.Module:
    """Return layer normalization over channels and pixels, with a gain and shift a channel."""
    return nn.GroupNorm(1, channels)


class RandomGenerator(Generator):
    """A dense layer, transposed convolutions that double the size, and further layers between."""

    def __init__(self, latents: Latents, shape: Shape, what: Drawn, width: float) -> None:
        super().__init__(latents)
        norm: ChannelLayer = nn.BatchNorm2d if what.normalized else identity
        body: OrderedDict[str, nn.Module] = OrderedDict()
        inputs = latents.dim
        for index, (outputs, further) in enumerate(what.stages(width)):
            if index:
                body[f"deconv{index}"] = doubling(inputs, outputs)
            else:
                body["dense"] = nn.Linear(inputs, outputs * 4 * 4)
                body["unflatten"] = nn.Unflatten(1, (outputs, 4, 4))
            body[f"norm{index}"] = norm(outputs)
            body[f"activation{index}"] = what.nonlinearity()
            body.update(
                keeping(index, outputs, further, norm, lambda channels: what.nonlinearity())
            )
            inputs = outputs
        body["image"] = doubling(inputs, shape[0])
        self.body = nn.Sequential(body)

    def compute(self, inputs: Tensor) -> Tensor:
        """Return the images."""
        return self.body(inputs).tanh()


class RandomDiscriminator(Discriminator):
    """Convolutions that halve the size, further layers between, and a dense head."""

    def __init__(
        self,
        shape: Shape,
        what: Drawn,
        width: float,
        norm: ChannelLayer,
        activation: ChannelLayer,
    ) -> None:
        super().__init__(shape)
        body: OrderedDict[str, nn.Module] = OrderedDict()
        inputs = shape[0]
        for index, (outputs, further) in enumerate(reversed(what.stages(width))):
            body[f"conv{index}"] = nn.Conv2d(inputs, outputs, 5, stride=2, padding=2)
            if index:
                body[f"norm{index}"] = norm(outputs)
            body[f"activation{index}"] = activation(outputs)
            body.update(keeping(index, outputs, further, norm, activation))
            inputs = outputs
        self.body = nn.Sequential(body)
        self.head = nn.Linear(inputs * 4 * 4, 1)


def doubling(inputs: int, outputs: int) -> nn.Module:
    """Return a transposed convolution of 5 x 5 that doubles the size."""
    return nn.ConvTranspose2d(inputs, outputs, 5, stride=2, padding=2, output_padding=1)


def keeping(
    stage: int, channels: int, count: int, norm: ChannelLayer, activation: ChannelLayer
) -> Iterator[tuple[str, nn.Module]]:
    """Yield the further layers of a stage, with their names."""
    for index in range(count):
        yield f"conv{stage}_{index}", nn.Conv2d(channels, channels, 3, padding=1)
        yield f"norm{stage}_{index}", norm(channels)
        yield f"activation{stage}_{index}", activation(channels)
