"""The ResNets of Miyato et al. 2018, Tables 4 to 6."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lipbench.architecture import (
    Architecture,
    ChannelLayer,
    Discriminator,
    Generator,
    Shape,
    Width,
    identity,
    scaled,
)

from ._conditional import LabelMaps
from ._residual import (
    BLOCK_MAPS,
    ROOT_2,
    BlockMaps,
    ResidualDiscriminator,
    ResidualGenerator,
    batch_norm,
    dense_head,
    relu,
)


@dataclass(frozen=True)
class ResNet(Architecture):
    """The ResNets of Miyato et al. 2018, Tables 4 (32 pixels), 5 (48) and 6 (128).

    64 pixels, blocks and the gains of the initial weights are those of the code for Miyato &
    Koyama 2018 (github.com/pfnet-research/sngan_projection): sqrt 2 on the 3 x 3 convolutions of
    blocks, 1 elsewhere; at 32 pixels D's head has no bias. 16 pixels, for digits, are our choice:
    the networks of 32 with a block of G less. `width_g` and `width_d` are factors on the feature
    maps of one network: Gulrajani et al.'s G at 32 pixels, of which the paper doubles the maps,
    has `width_g: 0.5`; Tables 7 and 8 have rows with `width_d: 1.5`.

    `condition` says how labels enter: not at all (`none`); into D as an embedding in 128 more maps
    after its third block (`concat`, Table 6), or as a `projection` (Miyato & Koyama 2018); or not
    into D, which the method `auxiliary_classifier` lets classify (`classifier`, Table 8). Where
    they enter, G has conditional BN. A method's normalization stands before each activation of D's
    blocks but the first, as in Gulrajani et al.'s code, none before the pooling.
    """

    title = "the ResNet of Miyato et al."
    papers = ("miyato2018", "gulrajani2017", "miyato2018projection")
    shapes = "square images of 16, 32, 48, 64 or 128 pixels"
    examples = ((3, 32, 32), (3, 48, 48))
    variants = ({"condition": "concat"}, {"condition": "projection"}, {"condition": "classifier"})
    initialisation = "xavier_uniform"

    width_g: Width = 1.0
    width_d: Width = 1.0
    condition: Literal["none", "concat", "projection", "classifier"] = "none"

    @property
    def is_conditional(self) -> bool:
        return self.condition != "none"

    def takes(self, shape: Shape) -> bool:
        return len(shape) == 3 and shape[1] == shape[2] and shape[1] in BLOCK_MAPS

    def generator(self, shape: Shape, classes: int = 0) -> Generator:
        classes = self.classes_of(classes)
        channels = self._maps(shape).generator
        return ResidualGenerator(
            self.latents_of(classes), shape, channels, batch_norm(classes), ROOT_2
        )

    def discriminator(
        self,
        shape: Shape,
        classes: int = 0,
        norm: ChannelLayer = identity,
        activation: ChannelLayer | None = None,
    ) -> Discriminator:
        embedding = scaled(128, self.width * self.width_d)
        of_concat, of_projection = (
            classes if self.condition == name else 0 for name in ("concat", "projection")
        )
        return ResidualDiscriminator(
            shape,
            self._maps(shape),
            dense_head(of_projection, bias=shape[1] > 32),
            norm,
            activation or relu,
            ROOT_2,
            labels=LabelMaps(embedding, of_concat) if of_concat else None,
        )

    def _maps(self, shape: Shape) -> BlockMaps:
        return BLOCK_MAPS[shape[1]].scaled(self.width * self.width_g, self.width * self.width_d)
