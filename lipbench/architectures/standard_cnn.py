"""The standard CNN of Miyato et al. 2018, Table 3."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le
from torch import Tensor, nn

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

_SIZES = (16, 32, 48)  # 32 and 48 are the paper's (CIFAR-10, STL-10); 16, for digits, our choice
_TABLE = (64, 64, 128, 128, 256, 256, 512)
_CODE = (64, 128, 128, 256, 256, 512, 512)


@dataclass(frozen=True)
class StandardCNN(Architecture):
    """The standard CNN of Miyato et al. 2018, Table 3, for square images.

    D's `widths` are those of the paper's table, or those of the code in circulation under its
    name (github.com/pfnet-research/chainer-gan-lib, also in google/compare_gan), which has twice
    as many weights. That code's `slope` is 0.2, and its G has BN and ReLU after the dense layer
    too, over all of its outputs (`dense_norm`); the table has neither there. A method's
    activation normalization stands after each convolution of D but the first, as in DCGAN (Radford
    et al. 2016); the paper does not say where.
    """

    title = "the standard CNN of Miyato et al., Table 3"
    papers = ("miyato2018",)
    shapes = f"square images of {', '.join(map(str, _SIZES[:-1]))} or {_SIZES[-1]} pixels"
    examples = tuple((3, size, size) for size in _SIZES)
    variants = ({"widths": "code", "slope": 0.2, "dense_norm": True},)

    widths: Literal["table", "code"] = "table"
    slope: Annotated[float, Ge(0), Le(1)] = 0.1  # of D's LeakyReLU
    dense_norm: bool = False

    def takes(self, shape: Shape) -> bool:
        return len(shape) == 3 and shape[1] == shape[2] and shape[1] in _SIZES

    def generator(self, shape: Shape, classes: int = 0) -> Generator:
        return StandardGenerator(self.latents, shape, self.width, self.dense_norm)

    def discriminator(
        self,
        shape: Shape,
        classes: int = 0,
        norm: ChannelLayer = identity,
        activation: ChannelLayer | None = None,
    ) -> Discriminator:
        activation = activation or functools.partial(leaky, slope=self.slope)
        return StandardDiscriminator(shape, self.width, norm, activation, self.channels())

    def channels(self) -> tuple[int, ...]:
        """Return the outputs of D's convolutions at a width of 1."""
        return _TABLE if self.widths == "table" else _CODE


def leaky(channels: int, slope: float = 0.1) -> nn.Module:
    """Return the activation of the paper's discriminators."""
    return nn.LeakyReLU(slope)


class StandardGenerator(Generator):
    """A dense layer, and transposed convolutions that double the size three times."""

    def __init__(
        self, latents: Latents, shape: Shape, width: float, dense_norm: bool = False
    ) -> None:
        super().__init__(latents)
        base, wide = shape[1] // 8, scaled(512, width)
        self.dense = nn.Linear(latents.dim, wide * base * base)
        body: OrderedDict[str, nn.Module] = OrderedDict()
        if dense_norm:
            body["dense_norm"] = nn.BatchNorm1d(wide * base * base)
            body["dense_activation"] = nn.ReLU(inplace=True)
        body["unflatten"] = nn.Unflatten(1, (wide, base, base))
        for index, outputs in enumerate(scaled(wide, width) for wide in (256, 128, 64)):
            body[f"deconv{index}"] = nn.ConvTranspose2d(wide, outputs, 4, stride=2, padding=1)
            body[f"norm{index}"] = nn.BatchNorm2d(outputs)
            body[f"activation{index}"] = nn.ReLU(inplace=True)
            wide = outputs
        body["image"] = nn.Conv2d(wide, shape[0], 3, padding=1)
        self.body = nn.Sequential(body)

    def compute(self, inputs: Tensor) -> Tensor:
        """Return the images."""
        return self.body(self.dense(inputs)).tanh()


class StandardDiscriminator(Discriminator):
    """Convolutions, of which every second one halves the size, and a dense head."""

    def __init__(
        self,
        shape: Shape,
        width: float = 1.0,
        norm: ChannelLayer = identity,
        activation: ChannelLayer = leaky,
        widths: Sequence[int] = _TABLE,
    ) -> None:
        super().__init__(shape)
        channels, size, _ = shape
        body: OrderedDict[str, nn.Module] = OrderedDict()
        for index, wide in enumerate(widths):
            outputs = scaled(wide, width)
            kernel, stride = (4, 2) if index % 2 else (3, 1)
            body[f"conv{index}"] = nn.Conv2d(channels, outputs, kernel, stride, padding=1)
            if index > 0:
                body[f"norm{index}"] = norm(outputs)
            body[f"activation{index}"] = activation(outputs)
            channels = outputs
        self.body = nn.Sequential(body)
        self.head = nn.Linear(channels * (size // 8) ** 2, 1)
