"""Batch normalization (Ioffe & Szegedy, ICML 2015) in the discriminator."""

from __future__ import annotations

from torch import nn

from lipbench.method import Trait

from ._affine import Affine, Normalization


class BatchNorm(Normalization):
    """Normalize each hidden channel by its mean and deviation over the batch.

    By default without the multiplier gamma (Miyato et al. 2018, section 4.1), with a learned
    shift, after each convolution but the first, none on the dense layer, as in their authors'
    code (github.com/pfnet-research/chainer-gan-lib). Real and generated batches are apart. A
    gamma is the weight of the nn.BatchNorm2d, where methods that bound it look for it.
    """

    label = "BN"
    papers = ("ioffe2015", "miyato2018")
    traits = frozenset({Trait.BATCH_STATISTICS})

    def norm(self, channels: int) -> nn.Module:
        normalization = nn.BatchNorm2d(channels, affine=self.gamma)
        normalization.register_parameter("bias", None)
        return nn.Sequential(normalization, Affine(channels, gamma=False, beta=self.beta))
