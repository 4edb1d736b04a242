"""What tests of several methods share: weights."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from lipbench.architectures.standard_cnn import StandardDiscriminator
from lipbench.discriminators import matrix, original
from lipbench.networks import Discriminator, initialise

INCOMING = torch.tensor([[1.0, 2.0], [3.0, 4.0]])


STRETCH = [[2.0, 0.0], [0.0, 1.0]]


def flat(kernel: list[list[float]]) -> Tensor:
    """Return a matrix as a kernel of 1 x 1 pixels."""
    return torch.tensor(kernel)[:, :, None, None]


def standard(channels: int = 3, norm: bool = False) -> Discriminator:
    """Return a D with kernels wide and tall, of 3 x 3 and 4 x 4 pixels, and a dense head."""
    layers = {"norm": nn.BatchNorm2d} if norm else {}
    discriminator = StandardDiscriminator((channels, 16, 16), 0.5, **layers)
    initialise(discriminator, "xavier_uniform", 0, "discriminator")
    return discriminator


def weights(network: nn.Module) -> list[Tensor]:
    """Return copies of the weights of a network's layers."""
    return [layer.weight.detach().clone() for layer in network.layers()]


def singular_values(weight: Tensor) -> np.ndarray:
    return np.linalg.svd(matrix(weight).detach().double().numpy(), compute_uv=False)


def numerical_gradient(layer: nn.Module, incoming: Tensor, step: float = 1e-3) -> Tensor:
    """Return the gradient of <incoming, weight> by the original, by central differences."""
    parameter, slopes = original(layer), []
    with torch.no_grad():
        for index in range(parameter.numel()):
            values = []
            for move in (step, -2 * step):
                parameter.view(-1)[index] += move
                values.append((matrix(layer.weight) * incoming).sum())
            parameter.view(-1)[index] += step
            slopes.append((values[0] - values[1]) / (2 * step))
    return torch.stack(slopes).view(parameter.shape)


GAMMAS = ("spectral_norm", "spectral_norm_exact", "weight_norm", "frobenius_norm")


def convolution_matrix(layer: nn.Conv2d, shape: tuple[int, ...]) -> np.ndarray:
    """Return a convolution without its bias as a matrix, from the images of all unit inputs."""
    units = torch.eye(math.prod(shape), dtype=torch.float64).view(-1, *shape)
    kernel = layer.weight.detach().double()
    columns = nn.functional.conv2d(units, kernel, stride=layer.stride, padding=layer.padding)
    return columns.flatten(1).T.numpy()


class Convolution(Discriminator):
    """One convolution, with the mean of what it gives as the logit."""

    def __init__(self, layer: nn.Conv2d, size: int) -> None:
        super().__init__((layer.in_channels, size, size))
        self.body = layer
        self.head = nn.Flatten()

    def compute(self, inputs: Tensor) -> Tensor:
        return self.body(inputs).flatten(1).mean(1)
