"""What methods share: a discriminator's layers, weights and input gradient."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipbench.networks import Discriminator

__all__ = [
    "Around", "Discriminator", "convolutions", "find", "gradient", "hidden", "input_shapes",
    "matrix", "original", "replace",
]  # fmt: skip

Kind = TypeVar("Kind", bound=nn.Module)


class Around(Discriminator):
    """A discriminator around another: `compute` changes what that one does with images.

    Its layers, features, body and head are the inner one's.
    """

    def __init__(self, inner: Discriminator) -> None:
        super().__init__(inner.sample_shape)
        self.classes = inner.classes
        self.inner = inner

    @property
    def body(self) -> nn.Module:  # type: ignore[override]
        """Return the inner discriminator's body."""
        return self.inner.body

    @property
    def head(self) -> nn.Module:  # type: ignore[override]
        """Return the inner discriminator's head."""
        return self.inner.head

    def features(self, images: Tensor) -> Tensor:
        """Return the inner discriminator's features."""
        return self.inner.features(images)


def convolutions(discriminator: Discriminator) -> list[nn.Conv2d]:
    """Return D's convolutions, from input to output."""
    return [layer for layer in discriminator.layers() if isinstance(layer, nn.Conv2d)]


def hidden(discriminator: Discriminator) -> list[nn.Conv2d | nn.Linear]:
    """Return D's layers but the head's, from input to output: those before an activation."""
    last = set(discriminator.head.modules())
    return [layer for layer in discriminator.layers() if layer not in last]


def matrix(weight: Tensor) -> Tensor:
    """Return a weight as the matrix of Miyato et al. 2018, section 3: (outputs, all the rest)."""
    return weight.flatten(1)


def original(layer: nn.Module) -> Tensor:
    """Return the parameter that is trained: `layer.weight`, or what that is computed from."""
    if parametrize.is_parametrized(layer, "weight"):
        return layer.parametrizations["weight"].original  # type: ignore[union-attr,index]
    return layer.weight  # type: ignore[return-value]


def find(network: nn.Module, kind: type[Kind]) -> Kind:
    """Return the one module of a kind within a network: where a method left its state.

    Raises ValueError where there is none, or several.
    """
    (found,) = [module for module in network.modules() if isinstance(module, kind)]
    return found


def replace(network: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put a module where another one stands, however deep in the network that is."""
    names = {module: name for name, module in network.named_modules()}
    network.set_submodule(names[old], new)


@torch.no_grad()
def input_shapes(discriminator: Discriminator) -> dict[nn.Module, torch.Size]:
    """Return the shape, without the batch, of what each of D's layers gets for an image."""
    shapes: dict[nn.Module, torch.Size] = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        shapes[module] = inputs[0].shape[1:]

    handles = [layer.register_forward_pre_hook(note) for layer in discriminator.layers()]
    was_training = discriminator.training
    weight = next(discriminator.parameters())
    label = torch.zeros(1, dtype=torch.long, device=weight.device)
    with discriminator.given(label):
        discriminator.eval()(weight.new_zeros(1, *discriminator.sample_shape))
    discriminator.train(was_training)
    for handle in handles:
        handle.remove()
    return shapes


def gradient(discriminator: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return D's logits (B,) at images (B, C, H, W), or other samples, and their gradients.

    The gradient can itself be differentiated. It is each image's own only if D treats images one
    by one, which batch statistics (BN) break.
    """
    images = images.detach().requires_grad_()
    logits = discriminator(images)
    (gradients,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return logits, gradients
