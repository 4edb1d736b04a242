"""What batch and layer normalization share here."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Shift(nn.Module):
    """Add a learned number to each channel: a normalization's beta without its gamma."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, activations: Tensor) -> Tensor:
        """Return activations (B, C, H, W), shifted."""
        return activations + self.beta.to(activations.dtype)
