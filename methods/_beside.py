"""What methods that put a layer beside another share."""

from __future__ import annotations

from torch import Tensor, nn

from lipbench.discriminators import original


def deviation(layer: nn.Module) -> Tensor:
    """Return the deviation of a layer's trained weights from 0: for those of a layer beside it."""
    return original(layer).detach().square().mean().sqrt()
