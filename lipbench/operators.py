"""Singular values of layers for training: differentiable, cheap, following the weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LinearMap = Callable[[Tensor], Tensor]

_EPSILON = 1e-12  # of the authors' code, github.com/pfnet-research/sngan_projection


class PowerIteration(nn.Module):
    """The largest singular value of a linear map that changes slowly (Miyato et al. 2018, 3.3).

    The two singular vectors are buffers: each forward in training mode improves them by `rounds`
    rounds, eval mode leaves them alone. The result is differentiable through the map, with the
    vectors constant (their Eq. 11), and approaches the true value from below.
    """

    u: Tensor
    v: Tensor

    def __init__(
        self, apply: LinearMap, adjoint: LinearMap, output: Tensor, rounds: int = 1
    ) -> None:
        """Start at a random vector like an output, improved by 15 rounds, as torch's own
        parametrization does."""
        super().__init__()
        self.rounds = rounds
        with torch.no_grad():
            u = normalized(torch.randn_like(output))
            self.register_buffer("u", u)
            self.register_buffer("v", normalized(adjoint(u)))
            self._improve(apply, adjoint, 15)

    def forward(self, apply: LinearMap, adjoint: LinearMap) -> Tensor:
        """Return u . A(v), a scalar."""
        if self.training:
            with torch.no_grad():
                self._improve(apply, adjoint, self.rounds)
        # Clones: a backward pass may come after the next improvement, which is in place.
        return (self.u.clone() * apply(self.v.clone())).sum()

    def _improve(self, apply: LinearMap, adjoint: LinearMap, rounds: int) -> None:
        for _ in range(rounds):
            self.v.copy_(normalized(adjoint(self.u)))
            self.u.copy_(normalized(apply(self.v)))


class MatrixNorm(PowerIteration):
    """Power iteration on matrices (m, n): the argument of each forward is the current one."""

    def __init__(self, weight: Tensor, rounds: int = 1) -> None:
        super().__init__(weight.mv, weight.mT.mv, weight[:, 0], rounds)

    def forward(self, weight: Tensor) -> Tensor:  # type: ignore[override]
        """Return the matrix's largest singular value."""
        return super().forward(weight.mv, weight.mT.mv)


@dataclass(frozen=True)
class Convolution:
    """A convolution's geometry: the linear map of images (C, H, W) that a kernel gives with it.

    Zero padding; no groups, no dilation.
    """

    stride: tuple[int, int]
    padding: tuple[int, int]
    input_shape: torch.Size

    @classmethod
    def of(cls, layer: nn.Conv2d, input_shape: torch.Size) -> Convolution:
        """Return a layer's geometry. Raises ValueError for what the class does not cover."""
        if layer.groups != 1 or layer.dilation != (1, 1) or layer.padding_mode != "zeros":
            raise ValueError(f"{layer}: only zero padding without groups or dilation is supported")
        assert not isinstance(layer.padding, str)
        return cls(layer.stride, layer.padding, input_shape)  # type: ignore[arg-type]

    def apply(self, kernel: Tensor, inputs: Tensor) -> Tensor:
        """Return the convolution of inputs (C, H, W)."""
        return F.conv2d(inputs[None], kernel, stride=self.stride, padding=self.padding)[0]

    def adjoint(self, kernel: Tensor, outputs: Tensor) -> Tensor:
        """Return the transpose's image of outputs, of the shape of the inputs."""
        lost = [
            (size + 2 * padding - side) % stride
            for size, padding, side, stride in zip(
                self.input_shape[1:], self.padding, kernel.shape[2:], self.stride, strict=True
            )
        ]
        return F.conv_transpose2d(
            outputs[None], kernel, stride=self.stride, padding=self.padding, output_padding=lost
        )[0]


class ConvolutionNorm(PowerIteration):
    """Power iteration on a convolution as it is: stride, padding and the size of its input."""

    def __init__(self, kernel: Tensor, convolution: Convolution, rounds: int = 1) -> None:
        apply, adjoint = self._maps(kernel, convolution)
        super().__init__(apply, adjoint, apply(kernel.new_zeros(convolution.input_shape)), rounds)
        self.convolution = convolution

    def forward(self, kernel: Tensor) -> Tensor:  # type: ignore[override]
        """Return the largest singular value of the convolution with this kernel."""
        return super().forward(*self._maps(kernel, self.convolution))

    @staticmethod
    def _maps(kernel: Tensor, convolution: Convolution) -> tuple[LinearMap, LinearMap]:
        return (
            lambda inputs: convolution.apply(kernel, inputs),
            lambda outputs: convolution.adjoint(kernel, outputs),
        )


def normalized(vector: Tensor) -> Tensor:
    """Return a tensor of any shape, divided by its Euclidean norm."""
    return vector / (vector.norm() + _EPSILON)


def overlap(layer: nn.Conv2d) -> int:
    """Return in how many output pixels an input pixel takes part, at most.

    sigma_operator <= sqrt(overlap) * sigma_kernel, with sigma_kernel that of the kernel reshaped
    to (outputs, rest): each output is one patch's product, and each pixel lies in so many patches.
    """
    height, width = layer.kernel_size
    return -(-height // layer.stride[0]) * -(-width // layer.stride[1])
