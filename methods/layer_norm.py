"""Layer normalization (Ba et al., arXiv 1607.06450, 2016) in the discriminator."""

from __future__ import annotations

from torch import nn

from lipbench.method import Method

from ._shift import Shift


class LayerNorm(Method):
    """Normalize each image's hidden activations by their mean and deviation over (C, H, W).

    Without the multiplier gamma (Miyato et al. 2018, section 4.1); no code of theirs for it is
    public. Here it has a learned shift a channel and stands where batch normalization does,
    after each convolution but the first (our choice).
    """

    label = "LN"
    papers = ("ba2016", "miyato2018")

    def norm(self, channels: int) -> nn.Module:
        return nn.Sequential(nn.GroupNorm(1, channels, affine=False), Shift(channels))
