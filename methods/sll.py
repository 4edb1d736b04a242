"""SDP-based Lipschitz layers (Araujo et al., A Unified Algebraic Perspective on Lipschitz Neural
Networks, ICLR 2023)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipbench.discriminators import Discriminator
from lipbench.method import Claim, Method, Requires, Trait

from ._lipschitz_aol import EPSILON, products, rescale


class SdpBasedLayer(nn.Module):
    """Compute h(x) = x - 2 W T^-1 relu(W^T x + b), W^T being a 3x3 convolution that keeps sizes.

    T is diagonal, T_i = sum_j |W^T W|_ij q_j / q_i with learned q > 0, so T >= W^T W.
    """

    lipschitz = 1.0  # Araujo et al. 2023, since T >= W^T W

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(nn.init.xavier_normal_(torch.empty(channels, channels, 3, 3)))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.q = nn.Parameter(torch.randn(channels).abs())

    def forward(self, activations: Tensor) -> Tensor:
        """Return h of activations (B, C, H, W)."""
        hidden = F.conv2d(activations, self.kernel, self.bias, padding=1).relu()
        scaled = hidden * (2 / self.bound())[:, None, None].to(hidden.dtype)
        return activations - F.conv_transpose2d(scaled, self.kernel, padding=1)

    def bound(self) -> Tensor:
        """Return T's diagonal."""
        with torch.autocast(self.kernel.device.type, enabled=False):
            sums = products(self.kernel).abs().sum((2, 3))
            q = self.q.abs() + EPSILON
            return (sums * q).sum(1) / q + EPSILON


class SdpBasedLayers(Method):
    """Put a 1-Lipschitz residual layer, x - 2 W T^-1 relu(W^T x + b), in place of activations.

    T = diag(sum_j |W^T W|_ij q_j / q_i), q > 0. Such a layer keeps the number of channels and
    the size of images, so here it is each hidden layer's nonlinearity, and the layers between are
    almost-orthogonal ones (AOL): this placement is our choice. q starts at |N(0, 1)|, W in
    Glorot's way, as in github.com/berndprach/1LipschitzLayersCompared. Each of the two kinds is
    1-Lipschitz, and so is D.
    """

    label = "SLL"
    papers = ("araujo2023", "prach2022")
    requires = Requires(convolutions=True)
    traits = frozenset({Trait.REPARAMETRIZES})

    @property
    def claims(self) -> tuple[Claim, ...]:
        return (
            Claim("sigma_operator", 1.0, tolerance=1e-5),
            Claim("input_gradient", 1.0, tolerance=1e-4),
        )

    def activation(self, channels: int) -> nn.Module:
        return SdpBasedLayer(channels)

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        rescale(discriminator)
        return discriminator
