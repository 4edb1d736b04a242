"""Generators and discriminators of residual blocks (Gulrajani et al. 2017; Miyato et al. 2018)."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from lipbench.architecture import ChannelLayer, Discriminator, Generator, Latents, Shape, scaled

from ._attention import SelfAttention
from ._conditional import ConditionalBatchNorm, LabelMaps, ProjectionHead

ROOT_2 = math.sqrt(2)  # the gain of 3 x 3 convolutions in Miyato et al.'s code


@dataclass(frozen=True)
class BlockMaps:
    """The feature maps of both networks at full width, for one size of images."""

    generator: tuple[int, ...]  # of the dense layer, then of each block, which doubles the size
    discriminator: tuple[int, ...]  # of each block
    halvings: int  # how many blocks of D, from the first on, halve the size

    def scaled(self, generator: float, discriminator: float) -> BlockMaps:
        """Return it with these factors on the feature maps of each network."""
        return BlockMaps(
            tuple(scaled(channels, generator) for channels in self.generator),
            tuple(scaled(channels, discriminator) for channels in self.discriminator),
            self.halvings,
        )

    def sizes(self, image: int) -> list[int]:
        """Return the sides in pixels of maps that blocks of both networks make, for an image's."""
        of_g = [image // 2**index for index in range(len(self.generator) - 1)]
        of_d = [image // 2 ** (index + 1) for index in range(self.halvings)]
        return [size for size in of_g if size in of_d]


# Miyato et al. 2018, Tables 4 to 6; 64 pixels: their later code, see `resnet`; 16: our choice.
BLOCK_MAPS = {
    16: BlockMaps((256, 256, 256), (128, 128, 128, 128), 2),
    32: BlockMaps((256, 256, 256, 256), (128, 128, 128, 128), 2),
    48: BlockMaps((512, 256, 128, 64), (64, 128, 256, 512, 1024), 4),
    64: BlockMaps((1024, 512, 256, 128, 64), (64, 128, 256, 512, 1024), 5),
    128: BlockMaps((1024, 1024, 512, 256, 128, 64), (64, 128, 256, 512, 1024, 1024), 5),
}


def convolution(inputs: int, outputs: int, gain: float) -> nn.Conv2d:
    """Return a 3 x 3 convolution that keeps the size, with a gain on its initial weight."""
    layer = nn.Conv2d(inputs, outputs, 3, padding=1)
    layer.gain = gain  # type: ignore[assignment]
    return layer


class UpBlock(nn.Module):
    """norm, ReLU, double the size, convolution, norm, ReLU, convolution; and a shortcut.

    The shortcut doubles the size (nearest pixels) and is a 1 x 1 convolution. `given` is what
    norms get besides their inputs.
    """

    def __init__(self, inputs: int, outputs: int, norm: ChannelLayer, gain: float) -> None:
        super().__init__()
        self.norm0, self.norm1 = norm(inputs), norm(outputs)
        self.up = nn.Upsample(scale_factor=2)
        self.activation = nn.ReLU(inplace=True)
        self.conv0 = convolution(inputs, outputs, gain)
        self.conv1 = convolution(outputs, outputs, gain)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, inputs: Tensor, *given: Tensor) -> Tensor:
        """Return maps (B, outputs, 2H, 2W) of maps (B, inputs, H, W)."""
        maps = self.conv0(self.up(self.activation(self.norm0(inputs, *given))))
        maps = self.conv1(self.activation(self.norm1(maps, *given)))
        return maps + self.up(self.shortcut(inputs))  # as the shortcut of the doubled inputs


class FirstBlock(nn.Module):
    """D's first block: convolution, activation, convolution, halve the size; and a shortcut.

    The shortcut halves the size (mean of 2 x 2) and is a 1 x 1 convolution. No normalization
    stands here, as in Gulrajani et al.'s code.
    """

    def __init__(self, inputs: int, outputs: int, activation: ChannelLayer, gain: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            OrderedDict(
                conv0=convolution(inputs, outputs, gain),
                activation=activation(outputs),
                conv1=convolution(outputs, outputs, gain),
                down=nn.AvgPool2d(2),
            )
        )
        self.shortcut = nn.Sequential(
            OrderedDict(down=nn.AvgPool2d(2), conv=nn.Conv2d(inputs, outputs, 1))
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return maps (B, outputs, H/2, W/2) of images (B, inputs, H, W)."""
        return self.body(inputs) + self.shortcut(inputs)


class DownBlock(nn.Module):
    """norm, activation, convolution, norm, activation, convolution, perhaps halve; a shortcut.

    The shortcut is a 1 x 1 convolution, or nothing where neither size nor channels change. Between
    the convolutions there are as many maps as at the input, or, where it is `wide`, the output.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        halve: bool,
        norm: ChannelLayer,
        activation: ChannelLayer,
        gain: float,
        wide: bool,
    ) -> None:
        super().__init__()
        between = outputs if wide else inputs
        self.body = nn.Sequential(
            OrderedDict(
                norm0=norm(inputs),
                activation0=activation(inputs),
                conv0=convolution(inputs, between, gain),
                norm1=norm(between),
                activation1=activation(between),
                conv1=convolution(between, outputs, gain),
            )
        )
        changes = halve or inputs != outputs
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if changes else nn.Identity()
        self.down = nn.AvgPool2d(2) if halve else nn.Identity()

    def forward(self, inputs: Tensor) -> Tensor:
        """Return maps (B, outputs, H, W), or (B, outputs, H/2, W/2), of maps (B, inputs, H, W)."""
        return self.down(self.body(inputs) + self.shortcut(inputs))


class SumPool(nn.Module):
    """The sum of each feature map over its pixels."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return features (B, C) of maps (B, C, H, W)."""
        return maps.sum((2, 3))


class ResidualGenerator(Generator):
    """A dense layer, blocks that double the size, and norm, ReLU, convolution, tanh.

    `norm` is of the blocks; the last norm is plain BN. Self-attention, if any, stands after the
    block that makes maps of `attention` pixels.
    """

    def __init__(
        self,
        latents: Latents,
        shape: Shape,
        channels: Sequence[int],
        norm: ChannelLayer,
        gain: float = 1.0,
        attention: int | None = None,
        dense_inputs: int | None = None,
    ) -> None:
        super().__init__(latents)
        size = shape[1] // 2 ** (len(channels) - 1)
        inputs, *rest = channels
        self.dense = nn.Sequential(
            nn.Linear(dense_inputs or latents.dim, inputs * size * size),
            nn.Unflatten(1, (inputs, size, size)),
        )
        self.blocks = nn.Sequential()
        for index, outputs in enumerate(rest):
            self.blocks.add_module(f"block{index}", UpBlock(inputs, outputs, norm, gain))
            inputs, size = outputs, 2 * size
            if size == attention:
                self.blocks.add_module("attention", SelfAttention(inputs))
        self.image = nn.Sequential(
            OrderedDict(
                norm=nn.BatchNorm2d(inputs),
                activation=nn.ReLU(inplace=True),
                conv=nn.Conv2d(inputs, shape[0], 3, padding=1),
            )
        )

    def compute(self, inputs: Tensor) -> Tensor:
        """Return the images."""
        return self.image(self.blocks(self.dense(inputs))).tanh()


class ResidualDiscriminator(Discriminator):
    """Blocks, an activation, the sum over pixels, and a head made from the number of features.

    `labels` adds maps to those of the third block. Self-attention, if any, stands after the first
    block that makes maps of `attention` pixels.
    """

    def __init__(
        self,
        shape: Shape,
        maps: BlockMaps,
        head: Callable[[int], nn.Module],
        norm: ChannelLayer,
        activation: ChannelLayer,
        gain: float = 1.0,
        wide: bool = False,
        attention: int | None = None,
        labels: LabelMaps | None = None,
    ) -> None:
        super().__init__(shape)
        inputs, size, _ = shape
        self.body = nn.Sequential()
        for index, outputs in enumerate(maps.discriminator):
            halve = index < maps.halvings
            block = (
                DownBlock(inputs, outputs, halve, norm, activation, gain, wide)
                if index
                else FirstBlock(inputs, outputs, activation, gain)
            )
            self.body.add_module(f"block{index}", block)
            inputs, size = outputs, size // 2 if halve else size
            if size == attention:
                self.body.add_module("attention", SelfAttention(inputs))
                attention = None
            if index == 2 and labels:
                self.body.add_module("labels", labels)
                inputs += labels.channels
        self.body.add_module("activation", activation(inputs))
        self.body.add_module("pool", SumPool())
        self.head = head(inputs)


def relu(channels: int) -> nn.Module:
    """Return the activation of residual networks; not in place, since shortcuts need the input."""
    return nn.ReLU()


def batch_norm(classes: int) -> ChannelLayer:
    """Return G's normalization: conditional where there are classes."""
    return lambda channels: (
        ConditionalBatchNorm(channels, classes) if classes else nn.BatchNorm2d(channels)
    )


def dense_head(classes: int, bias: bool) -> Callable[[int], nn.Module]:
    """Return D's head, made from a number of features: with a projection of labels, if any."""
    return lambda features: (
        ProjectionHead(features, classes, bias) if classes else nn.Linear(features, 1, bias=bias)
    )
