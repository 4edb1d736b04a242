"""BigGAN for small images (Brock et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lipbench.architecture import (
    Architecture,
    ChannelLayer,
    Dim,
    Discriminator,
    Generator,
    Labelled,
    Latents,
    Shape,
    identity,
    scaled,
)

from ._residual import (
    BlockMaps,
    ResidualDiscriminator,
    ResidualGenerator,
    dense_head,
    relu,
)

_BLOCK_MAPS = BlockMaps((256, 256, 256, 256), (256, 256, 256, 256), 2)


@dataclass(frozen=True)
class BigGANSmall(Architecture):
    """BigGAN (Brock et al. 2019) for images of 32 pixels.

    Blocks, 256 feature maps throughout and no attention are those of the authors' code for
    CIFAR-10 (github.com/ajbrock/BigGAN-PyTorch, 64 times 4 maps). Latents are split into equal
    parts, one for the dense layer and one for each block of G; the first takes what is left over
    (our choice). A block's BN layers have gains and shifts that are linear in its part and in an
    embedding of the label, which all blocks share (`embedding` values, times the width). D has a
    projection of the label. Weights start orthogonal.

    Spectral normalization of both networks, an average of G's weights and orthogonal
    regularization are what methods and suites add: `spectral_norm + spectral_norm_generator`,
    `ema_decay`. Latents are not truncated when samples are drawn.
    """

    title = "BigGAN at 32 pixels"
    papers = ("brock2019",)
    shapes = "square images of 32 pixels"
    examples = ((3, 32, 32),)
    initialisation = "orthogonal"

    embedding: Dim = 128

    @property
    def is_conditional(self) -> bool:
        return True

    def takes(self, shape: Shape) -> bool:
        return len(shape) == 3 and shape[1:] == (32, 32)

    def generator(self, shape: Shape, classes: int = 0) -> Generator:
        channels = _BLOCK_MAPS.scaled(self.width, self.width).generator
        latents = self.latents_of(classes)
        return BigGANGenerator(latents, shape, channels, scaled(self.embedding, self.width))

    def discriminator(
        self,
        shape: Shape,
        classes: int = 0,
        norm: ChannelLayer = identity,
        activation: ChannelLayer | None = None,
    ) -> Discriminator:
        return ResidualDiscriminator(
            shape,
            _BLOCK_MAPS.scaled(self.width, self.width),
            dense_head(classes, bias=True),
            norm,
            activation or relu,
            wide=True,
        )


class SharedEmbedding(Labelled):
    """An embedding of the labels, the same for all blocks."""

    def __init__(self, classes: int, values: int) -> None:
        super().__init__(classes)
        self.embedding = nn.Embedding(classes, values)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return inputs (B, n) with the values of their labels before them, (B, values + n)."""
        embedded = self.one_hot(inputs) @ self.embedding.weight
        return torch.cat([embedded.expand(len(inputs), -1), inputs.to(embedded.dtype)], dim=1)


class ModulatedBatchNorm(nn.Module):
    """Batch normalization with a gain 1 + A c and a shift B c, for a vector c an input."""

    def __init__(self, channels: int, values: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain_of = nn.Linear(values, channels, bias=False)
        self.shift_of = nn.Linear(values, channels, bias=False)

    def forward(self, inputs: Tensor, given: Tensor) -> Tensor:
        """Return maps (B, channels, H, W), normalized, for vectors (B, values)."""
        gain, shift = 1 + self.gain_of(given), self.shift_of(given)
        return self.norm(inputs) * gain[..., None, None] + shift[..., None, None]


class BigGANGenerator(ResidualGenerator):
    """Residual blocks, of which each gets its part of the latents and the label's embedding."""

    def __init__(
        self, latents: Latents, shape: Shape, channels: tuple[int, ...], embedding: int
    ) -> None:
        blocks = len(channels) - 1
        part = latents.dim // (blocks + 1)
        first = latents.dim - blocks * part
        values = part + (embedding if latents.classes else 0)
        super().__init__(
            latents,
            shape,
            channels,
            lambda maps: ModulatedBatchNorm(maps, values),
            dense_inputs=first,
        )
        self.parts = [first, *[part] * blocks]
        self.shared = (
            SharedEmbedding(latents.classes, embedding) if latents.classes else nn.Identity()
        )

    def compute(self, inputs: Tensor) -> Tensor:
        """Return the images."""
        first, *rest = inputs.split(self.parts, dim=1)
        maps = self.dense(first)
        for block, part in zip(self.blocks, rest, strict=True):
            maps = block(maps, self.shared(part))
        return self.image(maps).tanh()
