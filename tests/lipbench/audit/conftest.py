"""What the audit's tests share: draws, images, and the dense matrix of any affine map."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

Apply = Callable[[Tensor], Tensor]


@pytest.fixture(scope="session")
def draw() -> Callable[..., Tensor]:
    """Return a function from a shape to normal values, the same for the same shape."""
    return lambda *shape: torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="session")
def images() -> Callable[..., Tensor]:
    """Return a function from a shape, and a seed, to images uniform in [-1, 1]."""

    def images(*shape: int, seed: int = 0) -> Tensor:
        return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1

    return images


@pytest.fixture(scope="session")
def dense() -> Callable[[Apply, tuple[int, ...]], Tensor]:
    """Return a function from an affine map in float64, and its input's shape, to its matrix."""

    def dense(apply: Apply, shape: tuple[int, ...]) -> Tensor:
        pixels = torch.eye(math.prod(shape), dtype=torch.float64).view(-1, *shape)
        with torch.no_grad():
            return (apply(pixels) - apply(torch.zeros_like(pixels))).flatten(1).mT

    return dense


@pytest.fixture
def filled(draw: Callable[..., Tensor]) -> Callable[[nn.Module], nn.Module]:
    """Return a function that fills a network's weights with normal values, the same always."""

    def filled(network: nn.Module) -> nn.Module:
        with torch.no_grad():
            for weight in network.parameters():
                weight.copy_(draw(*weight.shape) / math.sqrt(max(1, weight[0].numel())))
        return network

    return filled
