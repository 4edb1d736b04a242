"""What tests of several methods share: penalties."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lipbench.architectures.standard_cnn import StandardDiscriminator
from lipbench.method import Batch
from lipbench.networks import Discriminator, Generator
from lipbench.streams import Latents

BETWEEN = ["wgan_gp", "gan_gp", "wgan_lp", "zero_centered_gp", "max_gradient_penalty"]


GRADIENT_PENALTIES = [*BETWEEN, "dragan", "r1", "r2", "js_regularizer", "jacobian_regularization"]


ON_WEIGHTS = ["orthonormal", "orthogonal_brock", "orthogonal_off_diagonal", "srip"]


NORMALIZATIONS = ["gradient_normalization", "gran"]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def standard(
    size: int = 16, channels: int = 1, kind: type[StandardDiscriminator] = StandardDiscriminator
) -> StandardDiscriminator:
    """Return the standard CNN, strides 1 and 2, with weights large enough to matter."""
    discriminator = kind((channels, size, size), 0.125)
    draw = generator()
    with torch.no_grad():
        for layer in discriminator.layers():
            nn.init.xavier_uniform_(layer.weight, gain=1.5, generator=draw)
            layer.bias.normal_(0, 0.1, generator=draw)
    return discriminator


def images(count: int = 2, size: int = 16, channels: int = 1, seed: int = 1) -> Tensor:
    return torch.rand(count, channels, size, size, generator=generator(seed)) * 2 - 1


def seen_by(discriminator: Discriminator, penalty: Callable[[], Tensor]) -> list[Tensor]:
    """Return the images that a penalty passes through D."""
    seen: list[Tensor] = []
    handle = discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    penalty()
    handle.remove()
    return [inputs.detach() for inputs in seen]


class Exact(StandardDiscriminator):
    """The standard CNN, with logits in the precision of its weights."""

    def forward(self, inputs: Tensor) -> Tensor:
        return self.compute(inputs)


class Quadratic(Discriminator):
    """D(x) = scale * |x|^2 / 2, with gradient scale * x."""

    def __init__(self) -> None:
        super().__init__((1, 1, 2))
        self.scale = nn.Parameter(torch.ones(()))

    def compute(self, inputs: Tensor) -> Tensor:
        return self.scale * inputs.flatten(1).square().sum(1) / 2


class Scaling(Generator):
    """G(z) = gain * z: its local gain is the same everywhere."""

    def __init__(self, gain: float) -> None:
        super().__init__(Latents(128))
        self.gain = nn.Parameter(torch.tensor(gain))

    def compute(self, inputs: Tensor) -> Tensor:
        return (self.gain * inputs).view(-1, 1, 8, 16)


def weight_penalty(make, layers, name: str, kernel: Tensor, **fields: object) -> tuple:
    """Return the penalty of a kernel and a head that costs nothing, and the kernel's gradient."""
    head = torch.zeros(1, len(kernel))
    head[0, 0] = 1
    discriminator = layers(kernel, head)
    given = Batch.of(discriminator, *torch.zeros(2, 1, *discriminator.sample_shape))
    penalty = make(name, coefficient=1.0, **fields).penalty(discriminator, given)
    penalty.backward()
    return penalty.item(), discriminator.body.weight.grad


SHAPES = [(4, 3, 3, 3), (8, 2, 4, 4), (20, 1, 3, 3), (3, 40, 1, 1), (6, 6, 1, 1)]


def random_kernel(shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape, generator=generator(), dtype=torch.float32) / math.sqrt(shape[1])


def _gn(n: float) -> float:
    """Return f / (n + f) for f = n^2 / 2, of D = |x|^2 / 2."""
    return n / (2 + n)


def _gran(n: float) -> float:
    return n**3 / 2 / (n**2 + 0.1)
