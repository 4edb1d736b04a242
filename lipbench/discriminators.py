"""The mathematics of discriminators that methods share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipbench.networks import Discriminator

__all__ = ["Discriminator", "convolutions", "gradient", "matrix", "original"]


def convolutions(discriminator: Discriminator) -> list[nn.Conv2d]:
    """Return D's convolutions, from input to output."""
    return [layer for layer in discriminator.layers() if isinstance(layer, nn.Conv2d)]


def matrix(weight: Tensor) -> Tensor:
    """Return a weight as the matrix of Miyato et al. 2018, section 3: (outputs, all the rest)."""
    return weight.flatten(1)


def original(layer: nn.Module) -> Tensor:
    """Return the parameter that is trained: `layer.weight`, or what that is computed from."""
    if parametrize.is_parametrized(layer, "weight"):
        return layer.parametrizations["weight"].original  # type: ignore[union-attr,index]
    return layer.weight  # type: ignore[return-value]


def gradient(discriminator: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return D's logits (B,) at images (B, C, H, W), and their gradients, of the images' shape.

    The gradient can itself be differentiated. It is each image's own only if D treats images one
    by one, which batch statistics (BN) break.
    """
    images = images.detach().requires_grad_()
    logits = discriminator(images)
    (gradients,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return logits, gradients
