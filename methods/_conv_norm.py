"""What the methods share that divide a weight by a norm of it."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils import parametrize


class DividedBy(nn.Module):
    """Divide a weight by a norm of it, which a module computes, and multiply by a scale."""

    def __init__(self, norm: nn.Module, scale: float = 1.0) -> None:
        super().__init__()
        self.norm = norm
        self.scale = scale

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight, scaled."""
        return weight * (self.scale / self.norm(weight))


def divide(layer: nn.Module, norm: nn.Module, scale: float = 1.0) -> None:
    """Reparametrize a layer's weight as scale * weight / norm(weight)."""
    parametrize.register_parametrization(layer, "weight", DividedBy(norm, scale))
