"""What the activation normalizations share: the hyperparameters gamma and beta."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lipbench.method import Method


class Groups(nn.GroupNorm):
    """Normalize each image over (H, W) and each of `groups` groups of channels; no parameters.

    On inputs made contiguous: torch.compile (2.14) fails on the backward pass of torch's own for
    images in channels_last.
    """

    def __init__(self, groups: int, channels: int) -> None:
        super().__init__(groups, channels, affine=False)

    def forward(self, activations: Tensor) -> Tensor:
        """Return activations (B, C, H, W), normalized."""
        return super().forward(activations.contiguous())


class Affine(nn.Module):
    """Multiply each channel by a learned gamma and add a learned beta, each only if asked for."""

    gamma: nn.Parameter | None
    beta: nn.Parameter | None

    def __init__(self, channels: int, gamma: bool, beta: bool) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, 1, 1)) if gamma else None
        self.beta = nn.Parameter(torch.zeros(channels, 1, 1)) if beta else None

    def forward(self, activations: Tensor) -> Tensor:
        """Return activations (B, C, H, W), scaled and shifted."""
        if self.gamma is not None:
            activations = activations * self.gamma.to(activations.dtype)
        if self.beta is not None:
            activations = activations + self.beta.to(activations.dtype)
        return activations


class Normalization(Method, abstract=True):
    """A normalization of D's hidden activations, with the multiplier gamma or the shift beta.

    Miyato et al. 2018 (section 4.1) compare normalizations without gamma, since a learned
    multiplier would undo any control of the scale. beta is in their authors' code
    (github.com/pfnet-research/chainer-gan-lib).
    """

    gamma: bool = False
    beta: bool = True

    def normalization(self, channels: int) -> nn.Module:
        """Return the normalization itself, without gamma and beta."""
        raise NotImplementedError

    def norm(self, channels: int) -> nn.Module:
        affine = Affine(channels, self.gamma, self.beta)
        return nn.Sequential(self.normalization(channels), affine)
