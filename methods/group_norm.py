"""Group normalization (Wu & He, ECCV 2018) in the discriminator."""

from __future__ import annotations

from torch import nn

from lipbench.errors import UserError
from lipbench.method import Count

from ._affine import Groups, Normalization


class GroupNorm(Normalization):
    """Normalize each image's hidden activations over (H, W) within each of `groups` groups.

    A group is of as many neighbouring channels as the others. After each convolution but the
    first, with a learned shift and without the multiplier gamma, as the other normalizations here
    (our choice). One group is layer normalization, as many as
    channels is instance normalization. 8 (our choice) divides every width of the standard CNN,
    down to an eighth of the paper's. A number that does not divide the channels is an error:
    another one in its place would be another method than the suite names.
    """

    label = "GroupNorm"
    papers = ("wu2018",)

    groups: Count = 8

    def normalization(self, channels: int) -> nn.Module:
        if channels % self.groups:
            raise UserError(
                f"group_norm: {self.groups} groups do not divide a layer's {channels} channels; "
                "set `groups` to a divisor of every hidden layer's channels, or another width"
            )
        return Groups(self.groups, channels)
