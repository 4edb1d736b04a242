"""Generators and discriminators, and how their weights start."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lipbench import streams
from lipbench.streams import Latents

Shape = tuple[int, ...]  # of a sample: (C, H, W) of an image, (D,) of a point
ChannelLayer = Callable[[int], nn.Module]  # from a number of channels


class Network(nn.Module):
    """A network that computes in `autocast_dtype` while it trains, and in float32 in eval mode.

    Its output is float32 always, so losses, penalties, scores and samples are too.
    """

    autocast_dtype: torch.dtype | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """Return `compute(inputs)` in float32."""
        with self.precision(inputs):
            return self.compute(inputs).float()

    def compute(self, inputs: Tensor) -> Tensor:
        """Return the network's output; subclasses define it in place of `forward`."""
        raise NotImplementedError

    def precision(self, inputs: Tensor) -> contextlib.AbstractContextManager[object]:
        """Return the context in which the network computes."""
        if self.autocast_dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(inputs.device.type, self.autocast_dtype, enabled=self.training)


class Generator(Network):
    """Maps `latents`, (B, latents.dim), to samples, such as images (B, C, H, W) in [-1, 1]."""

    def __init__(self, latents: Latents) -> None:
        super().__init__()
        self.latents = latents

    def layers(self) -> list[nn.Conv2d | nn.ConvTranspose2d | nn.Linear]:
        """Return the layers that have a weight matrix, input to output."""
        kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
        return [module for module in self.modules() if isinstance(module, kinds)]


class Discriminator(Network):
    """Maps samples of `sample_shape`, such as images (B, C, H, W) in [-1, 1], to logits (B,)."""

    body: nn.Module
    head: nn.Module

    def __init__(self, sample_shape: Shape) -> None:
        super().__init__()
        self.sample_shape = sample_shape

    def layers(self) -> list[nn.Conv2d | nn.Linear]:
        """Return the layers that have a weight matrix, input to output: convolutions and head."""
        return [module for module in self.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]

    def features(self, samples: Tensor) -> Tensor:
        """Return what the head sees of samples, (B, F), in float32."""
        with self.precision(samples):
            return self.body(samples).flatten(1).float()

    def compute(self, inputs: Tensor) -> Tensor:
        """Return the logits."""
        return self.head(self.body(inputs).flatten(1)).squeeze(1)


INITIALISATIONS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    # The paper does not state one; this is that of its authors' code for the standard CNN
    # (github.com/pfnet-research/chainer-gan-lib).
    "normal_0.02": lambda weight, g: nn.init.normal_(weight, 0.0, 0.02, generator=g),
    # Glorot & Bengio 2010; of the authors' code for ResNets, there with gains
    # (github.com/pfnet-research/sngan_projection).
    "xavier_uniform": lambda weight, g: nn.init.xavier_uniform_(weight, generator=g),
}


@torch.no_grad()
def initialise(network: nn.Module, scheme: str, seed: int, name: str) -> None:
    """Draw the weights of dense and convolution layers and set their biases to zero.

    Each weight is drawn from the `init` stream by its own name (`name` is the network's), so it
    does not depend on what else the network holds. Other modules keep their constructors' values.
    """
    for module_name, module in network.named_modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            INITIALISATIONS[scheme](
                module.weight, streams.generator(seed, "init", f"{name}.{module_name}.weight")
            )
            if module.bias is not None:
                module.bias.zero_()
