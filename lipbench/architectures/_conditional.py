"""How labels enter a generator or a discriminator."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lipbench.architecture import Labelled


class ConditionalBatchNorm(Labelled):
    """Batch normalization with a gain and a shift for each class (Dumoulin et al. 2017).

    Gains start at 1 and shifts at 0, as in github.com/pfnet-research/sngan_projection.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(classes)
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gains = nn.Parameter(torch.ones(classes, channels))
        self.shifts = nn.Parameter(torch.zeros(classes, channels))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return feature maps (B, channels, H, W), normalized."""
        one_hot = self.one_hot(inputs)
        gains, shifts = one_hot @ self.gains, one_hot @ self.shifts
        return self.norm(inputs) * gains[..., None, None] + shifts[..., None, None]


class LabelMaps(Labelled):
    """Feature maps with an embedding of the label after them, the same at each pixel.

    The embedding is a dense layer of the label as a unit vector, so it is one of D's layers.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(classes)
        self.channels = channels
        self.embedding = nn.Linear(classes, channels, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return maps (B, C + channels, H, W) of maps (B, C, H, W)."""
        embedded = self.embedding(self.one_hot(inputs))[..., None, None]
        size = (len(inputs), self.channels, *inputs.shape[2:])
        return torch.cat([inputs, embedded.to(inputs.dtype).expand(size)], dim=1)


class ProjectionHead(Labelled):
    """The head of Miyato & Koyama (2018): w f + b + <V y, f>, for features f and a label y.

    The embedding V is a dense layer of the label as a unit vector, so it is one of D's layers.
    """

    def __init__(self, features: int, classes: int, bias: bool = True) -> None:
        super().__init__(classes)
        self.dense = nn.Linear(features, 1, bias=bias)
        self.embedding = nn.Linear(classes, features, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (B, 1) of features (B, F)."""
        embedded = self.embedding(self.one_hot(features))
        return self.dense(features) + (embedded * features).sum(1, keepdim=True)
