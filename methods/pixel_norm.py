"""Pixelwise feature normalization (Karras et al., Progressive Growing of GANs, ICLR 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lipbench.discriminators import replace
from lipbench.method import Generator, Method


class UnitPixels(nn.Module):
    """Divide each pixel's channels by their root mean square."""

    def forward(self, activations: Tensor) -> Tensor:
        """Return activations (B, C, H, W), normalized, in float32 at least."""
        x = activations.to(torch.promote_types(activations.dtype, torch.float32))
        scale = (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
        return (x * scale).to(activations.dtype)


class PixelNorm(Method):
    """Normalize the channels of each pixel in the generator, in place of batch normalization.

    x / sqrt(mean over channels of x^2 + 1e-8), the constant as in the authors' code
    (github.com/tkarras/progressive_growing_of_gans), which has it after the activation. Here it
    takes the place of each batch normalization of G, before the activation (our choice), so that
    nothing in G depends on the batch. D stays as it is.
    """

    label = "PixelNorm (G)"
    papers = ("karras2018",)

    def wrap_generator(self, generator: Generator) -> Generator:
        for module in list(generator.modules()):
            if isinstance(module, nn.BatchNorm2d):
                replace(generator, module, UnitPixels())
        return generator
