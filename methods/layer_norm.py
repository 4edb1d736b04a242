"""Layer normalization (Ba et al., arXiv 1607.06450, 2016) in the discriminator."""

from __future__ import annotations

from torch import nn

from ._affine import Groups, Normalization


class LayerNorm(Normalization):
    """Normalize each image's hidden activations by their mean and deviation over (C, H, W).

    By default without the multiplier gamma (Miyato et al. 2018, section 4.1); no code of theirs
    for it is public. Here gamma and the learned shift are one number a channel, and it stands
    where batch normalization does, after each convolution but the first (our choice).
    """

    label = "LN"
    papers = ("ba2016", "miyato2018")

    def normalization(self, channels: int) -> nn.Module:
        return Groups(1, channels)
