"""What tests of several methods share: convolutions."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipbench.discriminators import input_shapes
from lipbench.exam import bounds
from lipbench.networks import Discriminator

# Methods that bound each layer's norm by 1 whatever the weights are.
CERTIFIED = (
    ("conv_spectral_norm_fft", {}),
    ("aol", {}),
    ("orthogonal", {"map": "cayley"}),
    ("orthogonal", {"map": "householder"}),
    ("bjorck", {}),
    ("bjorck", {"rounds": 1}),
    ("cayley", {}),
    ("sll", {}),
)


# Outputs, inputs, kernel's side, stride, input's side.
SHAPES = ((5, 2, 3, 1, 6), (2, 5, 3, 1, 5), (3, 2, 4, 2, 6), (20, 3, 4, 2, 8), (2, 2, 3, 1, 2))


class Convolved(Discriminator):
    """A convolution with padding 1 and a dense layer."""

    def __init__(self, kernel: Tensor, size: int, stride: int = 1) -> None:
        outputs, inputs, side, _ = kernel.shape
        super().__init__((inputs, size, size))
        layer = nn.Conv2d(inputs, outputs, side, stride, padding=1)
        self.body = nn.Sequential(OrderedDict(conv=layer))
        self.head = nn.Linear(outputs * ((size + 2 - side) // stride + 1) ** 2, 1)
        with torch.no_grad():
            layer.weight.copy_(kernel)
            self.head.weight.copy_(draw(*self.head.weight.shape))


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def drawn(outputs: int, inputs: int, side: int, stride: int, size: int) -> Convolved:
    return Convolved(draw(outputs, inputs, side, side), size, stride)


def dense(layer: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """Return the layer's matrix, a column for each pixel of the input."""
    with torch.no_grad():
        offset = layer(torch.zeros(1, *shape))
        columns = [
            (layer(pixel.view(1, *shape)) - offset).flatten()
            for pixel in torch.eye(math.prod(shape))
        ]
    return torch.stack(columns, dim=1)


def circular(kernel: Tensor, stride: int, size: int, padding: int) -> Tensor:
    """Return the matrix of the convolution on the torus of size x size pixels."""
    end = kernel.shape[2] - stride - padding

    def forward(images: Tensor) -> Tensor:
        padded = F.pad(images, (padding, end, padding, end), mode="circular")
        return F.conv2d(padded, kernel, stride=stride)

    return dense(forward, (kernel.shape[1], size, size))  # type: ignore[arg-type]


def sigma(weight: Tensor) -> float:
    return torch.linalg.matrix_norm(weight.detach(), 2).item()


def operator_norms(discriminator: Discriminator) -> Iterator[float]:
    for layer, shape in input_shapes(discriminator).items():
        yield bounds.sigma_operator(layer, shape)
