"""GroupSort (Anil et al., Sorting Out Lipschitz Function Approximation, ICML 2019)."""

from __future__ import annotations

from torch import Tensor, nn

from lipbench.errors import UserError
from lipbench.method import Count, Method


class Sorted(nn.Module):
    """Sort the channels within groups of neighbours."""

    lipschitz = 1.0  # sorting brings no two vectors further apart (Anil et al. 2019)

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, activations: Tensor) -> Tensor:
        """Return activations (B, C, H, W) in ascending order within each group."""
        return activations.unflatten(1, (-1, self.size)).sort(dim=2).values.flatten(1, 2)


class GroupSort(Method):
    """Sort the channels in groups of `size` neighbours in place of an activation (MaxMin at 2).

    A permutation of its inputs: 1-Lipschitz, and it keeps the gradient's norm. Meant to go with
    a method that bounds the layers, as `bjorck + group_sort`.
    """

    label = "GroupSort"
    papers = ("anil2019",)

    size: Count = 2

    def activation(self, channels: int) -> nn.Module:
        if channels % self.size:
            raise UserError(
                f"group_sort cannot sort {channels} channels in groups of size {self.size}: "
                f"the size must divide the number of channels"
            )
        return Sorted(self.size)
