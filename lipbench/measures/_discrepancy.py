"""Unbiased squared maximum mean discrepancies (Gretton et al., JMLR 2012), for any kernel."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lipbench.measure import blocks, weighted_mean

Kernel = Callable[[Tensor, Tensor], Tensor]  # (M, d), (N, d) -> (M, N)


def discrepancy(
    kernel: Kernel, fake: Tensor, real: Tensor, within_real: Tensor, weights: Tensor
) -> Tensor:
    """Return the unbiased MMD² on each draw of the fakes, float64 (B,).

    `weights` (B, N) are the draws' counts, and `within_real` is `within` of the real images.
    """
    between = torch.cat([kernel(rows, real).mean(dim=1) for _, rows in blocks(fake)])
    return within(kernel, fake, weights) + within_real - 2 * weighted_mean(weights, between)


def within(kernel: Kernel, images: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean kernel of two different images (N, d), for each row of weights (B, N).

    An image that a draw holds twice is never paired with itself: such pairs, k(x, x), are not
    there in a fresh sample, and would bias every draw upwards.
    """
    if weights is None:
        weights = torch.ones(1, len(images), dtype=torch.float64)
    total = torch.zeros(len(weights), dtype=torch.float64)
    for where, rows in blocks(images):
        values = kernel(rows, images).double()
        values.diagonal(where.start).zero_()
        total += (weights[:, where] @ values * weights).sum(dim=1)
    return total / (weights.sum(dim=1).square() - weights.square().sum(dim=1))
