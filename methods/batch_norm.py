"""Batch normalization (Ioffe & Szegedy, ICML 2015) in the discriminator."""

from __future__ import annotations

from torch import nn

from lipbench.method import Method, Trait

from ._shift import Shift


class BatchNorm(Method):
    """Normalize each hidden channel by its mean and deviation over the batch.

    Without the multiplier gamma (Miyato et al. 2018, section 4.1), with a learned shift, after
    each convolution but the first, none on the dense layer, as in their authors' code
    (github.com/pfnet-research/chainer-gan-lib). Real and generated batches are apart.
    """

    label = "BN"
    papers = ("ioffe2015", "miyato2018")
    traits = frozenset({Trait.BATCH_STATISTICS})

    def norm(self, channels: int) -> nn.Module:
        return nn.Sequential(nn.BatchNorm2d(channels, affine=False), Shift(channels))
