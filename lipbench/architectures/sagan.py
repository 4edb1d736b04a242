"""SAGAN: ResNets with self-attention (Zhang et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge

from lipbench.architecture import (
    Architecture,
    ChannelLayer,
    Discriminator,
    Generator,
    Shape,
    identity,
)
from lipbench.errors import UserError

from ._residual import (
    BLOCK_MAPS,
    BlockMaps,
    ResidualDiscriminator,
    ResidualGenerator,
    batch_norm,
    dense_head,
    relu,
)


@dataclass(frozen=True)
class SAGAN(Architecture):
    """The ResNets of Miyato et al. 2018 with self-attention in G and in D (Zhang et al. 2019).

    At 128 pixels as the authors have it (github.com/brain-research/self-attention-gan): attention
    on maps of 32 x 32 pixels, as many maps between the convolutions of D's blocks as at their
    output, conditional BN in G and a projection of the labels in D. Other sizes, with the ResNets'
    maps, are our choice, as is the attention there: on the largest maps of up to 32 pixels that
    both networks have. `attention` is the side of the maps in pixels.

    The paper has spectral normalization in both networks, which methods put there:
    `spectral_norm + spectral_norm_generator`.
    """

    title = "SAGAN"
    papers = ("zhang2019selfattention", "miyato2018")
    shapes = "square images of 16, 32, 48, 64 or 128 pixels"
    examples = ((3, 32, 32),)
    variants = ({"condition": "none", "attention": 8},)
    initialisation = "xavier_uniform"

    attention: Annotated[int, Ge(1)] | None = None
    condition: Literal["none", "projection"] = "projection"

    @property
    def is_conditional(self) -> bool:
        return self.condition != "none"

    def takes(self, shape: Shape) -> bool:
        return len(shape) == 3 and shape[1] == shape[2] and shape[1] in BLOCK_MAPS

    def generator(self, shape: Shape, classes: int = 0) -> Generator:
        classes = self.classes_of(classes)
        return ResidualGenerator(
            self.latents_of(classes),
            shape,
            self._maps(shape).generator,
            batch_norm(classes),
            attention=self._attention(shape),
        )

    def discriminator(
        self,
        shape: Shape,
        classes: int = 0,
        norm: ChannelLayer = identity,
        activation: ChannelLayer | None = None,
    ) -> Discriminator:
        return ResidualDiscriminator(
            shape,
            self._maps(shape),
            dense_head(self.classes_of(classes), bias=True),
            norm,
            activation or relu,
            wide=True,
            attention=self._attention(shape),
        )

    def _maps(self, shape: Shape) -> BlockMaps:
        return BLOCK_MAPS[shape[1]].scaled(self.width, self.width)

    def _attention(self, shape: Shape) -> int:
        sizes = BLOCK_MAPS[shape[1]].sizes(shape[1])
        if self.attention is None:
            return max(size for size in sizes if size <= 32)
        if self.attention not in sizes:
            raise UserError(
                f"attention: got {self.attention}; for images of {shape[1]} pixels both networks "
                f"have maps of {', '.join(map(str, sizes))} pixels"
            )
        return self.attention
