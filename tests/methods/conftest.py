"""Small discriminators and a way to get at methods by their names."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lipbench.method import Batch, Method
from lipbench.networks import Discriminator
from lipbench.plugins import Registry


class Linear(Discriminator):
    """D(x) = w . x: every quantity of it is known."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__((1, 1, weight.numel()))
        self.body = nn.Flatten()
        self.head = nn.Linear(weight.numel(), 1, bias=False)
        with torch.no_grad():
            self.head.weight.copy_(weight.view(1, -1))


class Layers(Discriminator):
    """A convolution and a dense head with given weights."""

    def __init__(self, kernel: Tensor, head: Tensor) -> None:
        outputs, inputs, *size = kernel.shape
        super().__init__((inputs, *size))
        self.body = nn.Conv2d(inputs, outputs, tuple(size))
        self.head = nn.Linear(head.shape[1], head.shape[0])
        with torch.no_grad():
            self.body.weight.copy_(kernel)
            self.head.weight.copy_(head)


@pytest.fixture(scope="session")
def make() -> Callable[..., Method]:
    """Return a function from a method's name and hyperparameters to the method."""
    registry = Registry("methods")

    def build(name: str, **params: object) -> Method:
        method = registry[name].load(Method)(**params)
        assert isinstance(method, Method)
        return method

    return build


@pytest.fixture
def linear() -> Callable[[list[float]], Linear]:
    """Return a function from weights to the linear discriminator."""
    return lambda weights: Linear(torch.tensor(weights))


@pytest.fixture
def layers() -> Callable[[Tensor, Tensor], Layers]:
    """Return a function from a kernel and a head to a discriminator of these two."""
    return Layers


@pytest.fixture
def batch() -> Callable[..., Batch]:
    """Return a function from D, and perhaps images, to a batch with D's logits of them."""

    def batch(
        discriminator: Discriminator,
        real: Tensor | None = None,
        fake: Tensor | None = None,
        step: int = 0,
        progress: float = 0.0,
    ) -> Batch:
        draw = torch.Generator().manual_seed(0)
        shape = (2, *discriminator.sample_shape)
        real = torch.randn(shape, generator=draw) if real is None else real
        fake = torch.randn(shape, generator=draw) if fake is None else fake
        return Batch.of(discriminator, real, fake, step, progress)

    return batch


@pytest.fixture
def prepared() -> Callable[[Method, Discriminator], Discriminator]:
    """Return a function that wraps D and prepares the method, as training does."""

    def prepared(method: Method, discriminator: Discriminator) -> Discriminator:
        discriminator = method.wrap(discriminator)
        real = torch.randn(4, *discriminator.sample_shape)
        with torch.no_grad():
            method.prepare(discriminator, real)
        return discriminator

    return prepared
