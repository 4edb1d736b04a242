"""Cayley layers (Trockman & Kolter, Orthogonalizing Convolutional Layers with the Cayley
Transform, ICLR 2021)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from lipbench.discriminators import Discriminator
from lipbench.method import Claim, Method, Trait

from ._lipschitz_orthonormal import cayley


class LearnedNorm(nn.Module):
    """Scale a weight to a Frobenius norm that is learned, and is its own at the start."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.alpha = nn.Parameter(weight.detach().norm())

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight, scaled."""
        return weight * (self.alpha / weight.norm())


class OrthonormalLinear(LearnedNorm):
    """Compute a dense layer's weight by the Cayley transform."""

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight (o, i), with orthonormal rows, or columns if it is tall."""
        return either_way(super().forward(weight))


class CayleyConvolution(nn.Conv2d):
    """An orthogonal convolution on the torus, in place of one with zero padding.

    A stride s takes each s x s pixels as channels first. The weight is that of the layer replaced,
    which must give images of 1 / s of its input's sides.
    """

    affine_map = True  # though it does not compute with its `.weight` as other convolutions do

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,  # type: ignore[arg-type]
            layer.stride,  # type: ignore[arg-type]
            layer.padding,  # type: ignore[arg-type]
        )
        self.weight, self.bias = layer.weight, layer.bias
        self.scaled = LearnedNorm(layer.weight)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the convolution of inputs (B, C, H, W), in the weight's precision."""
        with torch.autocast(inputs.device.type, enabled=False):
            pixels = F.pixel_unshuffle(inputs.to(self.weight.dtype), self.stride[0])
            size = pixels.shape[2:]
            spectrum = torch.fft.rfft2(pixels).permute(2, 3, 1, 0)
            product = self.transfer(size) @ spectrum  # (H, W / 2 + 1, C, B)
            outputs = torch.fft.irfft2(product.permute(3, 2, 0, 1), s=size)
            return outputs if self.bias is None else outputs + self.bias[:, None, None]

    def transfer(self, size: torch.Size) -> Tensor:
        """Return the orthonormal matrices (H, W / 2 + 1, o, i * stride^2), one a frequency."""
        stride = self.stride[0]
        down, across = (-taps % stride for taps in self.weight.shape[2:])
        whole = F.pad(self.scaled(self.weight), (0, across, 0, down))  # by zeros, to whole strides
        kernel = F.pixel_unshuffle(whole, stride)
        rows, columns = (
            waves(count, taps, kernel) for count, taps in zip(size, kernel.shape[2:], strict=True)
        )
        columns = columns[: size[1] // 2 + 1]
        return either_way(torch.einsum("oihw,ph,qw->pqoi", kernel.to(rows.dtype), rows, columns))


class CayleyLayers(Method):
    """Make convolutions orthogonal, by the Cayley transform of their Fourier transforms.

    At each frequency, W = [U; V] becomes [(I + A)^-1 (I - A); -2 V (I + A)^-1] with
    A = U - U^H + V^H V (transposed if wide), W scaled to a learned norm that starts at its own, as
    in the authors' code (github.com/locuslab/orthogonal-convolutions). Padding is circular, for
    which the layer keeps norms exactly (or its transpose does, where it has fewer outputs than
    inputs), and the convolution reaches over the whole image. A stride takes pixels as channels
    first; the dense layer is the transform of its matrix. Training starts from the common draw.
    """

    label = "Cayley"
    papers = ("trockman2021",)
    traits = frozenset({Trait.REPARAMETRIZES, Trait.APPLIES_TRANSFORM})

    @property
    def claims(self) -> tuple[Claim, ...]:
        return (
            Claim("sigma_operator", 1.0, tolerance=1e-4),
            Claim("input_gradient", 1.0, tolerance=1e-3),
        )

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        for parent in list(discriminator.modules()):
            for name, layer in list(parent.named_children()):
                if isinstance(layer, nn.Conv2d):
                    setattr(parent, name, CayleyConvolution(layer))
                elif isinstance(layer, nn.Linear):
                    parametrize.register_parametrization(
                        layer, "weight", OrthonormalLinear(layer.weight)
                    )
        return discriminator


def either_way(weight: Tensor) -> Tensor:
    """Return the Cayley transform of matrices (..., m, n), of their transposes if wide."""
    wide = weight.shape[-2] < weight.shape[-1]
    return cayley(weight.mH).mH if wide else cayley(weight)


def waves(count: int, taps: int, like: Tensor) -> Tensor:
    """Return e^(2 pi i f t / count), (count, taps), for frequencies f, taps t from the centre."""
    frequencies = torch.arange(count, device=like.device, dtype=like.dtype)
    positions = torch.arange(taps, device=like.device, dtype=like.dtype) - (taps - 1) // 2
    angles = frequencies[:, None] * positions * (2 * math.pi / count)
    return torch.polar(torch.ones_like(angles), angles)
