"""Singular value bounding (Jia et al., Improving Training of DNNs via SVB, CVPR 2017)."""

from __future__ import annotations

import torch
from torch import Tensor

from lipbench.discriminators import Discriminator, matrix, original
from lipbench.method import Claim, Positive, Projection


class SingularValueBounding(Projection):
    """Move each weight's singular values into [1 / (1 + epsilon), 1 + epsilon].

    Of the matrix (outputs, rest) of each layer, convolutions and dense ones, by an SVD. Their
    code (github.com/kui-jia/svb) does so once an epoch, every 391 updates on CIFAR-10; here
    `every` is 1, so that the bounds hold at each update (our choice). epsilon is that of its
    README's studies; its own default is a factor of 1.5. The bounding of batch normalizations is
    left out, as by that default.
    """

    label = "SVB"
    papers = ("jia2017",)

    epsilon: Positive = 0.05

    @property
    def claims(self) -> tuple[Claim, ...]:
        return (Claim("sigma_kernel", 1 + self.epsilon, tolerance=1e-4),)

    def constrain(self, discriminator: Discriminator) -> None:
        for layer in discriminator.layers():
            weight = original(layer)
            weight.copy_(bounded(matrix(weight), 1 + self.epsilon).view_as(weight))


def bounded(weight: Tensor, factor: float) -> Tensor:
    """Return a weight (m, n) with its singular values clamped to [1 / factor, factor]."""
    u, values, vh = torch.linalg.svd(weight, full_matrices=False)
    return (u * values.clamp(1 / factor, factor)) @ vh
