"""A small classifier of our own for the digits; `train_digits` trains it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipbench.scoring.features import Extractor

WEIGHTS = Path(__file__).with_name("digits_cnn.safetensors")
_SIZE = 16
_WIDTHS = (1, 16, 32, 64)  # channels before and after each convolution
_BATCH_SIZE = 250


class DigitsNetwork(nn.Module):
    """Three convolutions and a hidden layer of 64 units, whose values are the features."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 3, padding=1) for inputs, outputs in pairwise(_WIDTHS)
        )
        self.hidden = nn.Linear(64 * 2 * 2, 64)
        self.dropout = nn.Dropout(0.3)
        self.classes = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return (features (B, 64), logits (B, 10)) of gray images, uint8 (B, 1, H, W)."""
        x = images.float()
        if x.shape[-2:] != (_SIZE, _SIZE):
            x = F.interpolate(x, (_SIZE, _SIZE), mode="bilinear", antialias=True)
        x = (x - 127.5) / 127.5
        for convolution in self.convolutions:
            x = F.max_pool2d(F.relu(convolution(x)), 2)
        features = F.relu(self.hidden(x.flatten(1)))
        return features, self.classes(self.dropout(features))


def locate(sha256: str, cache: Path, explicit: Path | None) -> Path:
    """Return the weights file that lipbench ships."""
    return WEIGHTS


def build(weights: bytes) -> Extractor:
    """Return the extractor: gray images to 64 features and 10 logits."""
    with torch.device("meta"):  # no weights are drawn, so the global generator stays
        network = DigitsNetwork()
    network.load_state_dict(safetensors.torch.load(weights), assign=True)
    return Extractor(network, channels=1, batch_size=_BATCH_SIZE)
