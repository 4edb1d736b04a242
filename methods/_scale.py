"""The learned multiplier that normalized weights may have."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils import parametrize


class Scale(nn.Module):
    """Multiply a weight by a learned gamma: one number, or one for each output.

    gamma * W / N(W) (Miyato et al. 2018, Eq. 32). Started at N of the initial weight, it lets D
    start with the weight itself; since it is free to grow, it voids the bound of the norm.
    """

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.gamma = nn.Parameter(start.detach().clone())

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight, multiplied."""
        return self.gamma * weight


def scale(layer: nn.Module, start: Tensor) -> None:
    """Multiply what a layer's weight is computed to be by a gamma that starts here."""
    parametrize.register_parametrization(layer, "weight", Scale(start))
