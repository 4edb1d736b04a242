"""One training by several processes, each of which computes on its share of every batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Share:
    """Which share of each batch a process computes on; by default it is alone, with all of it.

    All processes have the same weights: they begin alike and step by the same gradients, which are
    means over the shares. torch's DistributedDataParallel does the same for a module that is
    called once in a step; methods call D as often as they like, read its weights and differentiate
    its gradients (`torch.autograd.grad`), which it does not support.
    """

    rank: int = 0
    size: int = 1

    @property
    def index(self) -> tuple[int, ...]:
        """Return what tells this share's random draws from others'; nothing where it is alone."""
        return () if self.size == 1 else (self.rank,)

    def of(self, batch: Tensor) -> Tensor:
        """Return the share of a batch (B, ...): B / size of it, in the order of the ranks."""
        return batch if self.size == 1 else batch.tensor_split(self.size)[self.rank]

    def mean_(self, values: Tensor) -> Tensor:
        """Replace values by their means over all shares, and return them."""
        if self.size > 1:
            distributed.all_reduce(values)
            values /= self.size
        return values

    def average_gradients(self, optimizer: torch.optim.Optimizer) -> None:
        """Replace the gradients of an optimizer's parameters by their means over all shares."""
        if self.size == 1:
            return
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        together = self.mean_(torch.cat([gradient.flatten() for gradient in gradients]))
        parts = together.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))


ALONE = Share()
