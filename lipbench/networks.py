"""Generators and discriminators, and how their weights start."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lipbench import streams

LATENT_DIM = 128

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

    def precision(self, inputs: Tensor) -> torch.autocast:
        """Return the context in which the network computes."""
        mixed = self.training and self.autocast_dtype is not None
        return torch.autocast(inputs.device.type, self.autocast_dtype, enabled=mixed)


class Generator(Network):
    """Maps latents (B, 128) to images (B, C, H, W) in [-1, 1]."""

    def layers(self) -> list[nn.Conv2d | nn.ConvTranspose2d | nn.Linear]:
        """Return the layers that have a weight matrix, input to output."""
        kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
        return [module for module in self.modules() if isinstance(module, kinds)]


class Discriminator(Network):
    """Maps images of `image_shape`, (B, C, H, W) in [-1, 1], to logits (B,)."""

    body: nn.Module
    head: nn.Module

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.image_shape = image_shape

    def layers(self) -> list[nn.Conv2d | nn.Linear]:
        """Return the layers that have a weight matrix, input to output: convolutions and head."""
        return [module for module in self.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]

    def features(self, images: Tensor) -> Tensor:
        """Return what the head sees of images, (B, F), in float32."""
        with self.precision(images):
            return self.body(images).flatten(1).float()

    def compute(self, inputs: Tensor) -> Tensor:
        """Return the logits."""
        return self.head(self.body(inputs).flatten(1)).squeeze(1)


class StandardGenerator(Generator):
    """The generator of the standard CNN (Miyato et al. 2018, Table 3).

    As the table has it, the first dense layer is followed by neither BN nor an activation.
    """

    def __init__(self, image_size: int, channels: int, width: float) -> None:
        super().__init__()
        base, first = image_size // 8, _scaled(512, width)
        self.dense = nn.Linear(LATENT_DIM, first * base * base)
        body: OrderedDict[str, nn.Module] = OrderedDict(
            unflatten=nn.Unflatten(1, (first, base, base))
        )
        for index, wide in enumerate((256, 128, 64)):
            outputs = _scaled(wide, width)
            body[f"deconv{index}"] = nn.ConvTranspose2d(first, outputs, 4, stride=2, padding=1)
            body[f"norm{index}"] = nn.BatchNorm2d(outputs)
            body[f"activation{index}"] = nn.ReLU(inplace=True)
            first = outputs
        body["image"] = nn.Conv2d(first, channels, 3, padding=1)
        self.body = nn.Sequential(body)

    def compute(self, inputs: Tensor) -> Tensor:
        """Return the images."""
        return self.body(self.dense(inputs)).tanh()


class StandardDiscriminator(Discriminator):
    """The discriminator of the standard CNN (Miyato et al. 2018, Table 3: widths 64 to 512).

    Code in circulation under this paper's name has a wider one; these are the table's own. A
    method's activation normalization stands after each convolution but the first, as in DCGAN
    (Radford et al. 2016); the paper does not say where.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        width: float,
        norm: ChannelLayer = lambda _: nn.Identity(),
        activation: ChannelLayer = lambda _: nn.LeakyReLU(0.1),
    ) -> None:
        super().__init__((channels, image_size, image_size))
        body: OrderedDict[str, nn.Module] = OrderedDict()
        for index, wide in enumerate((64, 64, 128, 128, 256, 256, 512)):
            outputs = _scaled(wide, width)
            kernel, stride = (4, 2) if index % 2 else (3, 1)
            body[f"conv{index}"] = nn.Conv2d(channels, outputs, kernel, stride, padding=1)
            if index > 0:
                body[f"norm{index}"] = norm(outputs)
            body[f"activation{index}"] = activation(outputs)
            channels = outputs
        self.body = nn.Sequential(body)
        self.head = nn.Linear(channels * (image_size // 8) ** 2, 1)


def _scaled(channels: int, width: float) -> int:
    return max(1, round(channels * width))


@dataclass(frozen=True)
class Architecture:
    """A pair of networks and the image sizes, in pixels, that they are defined for."""

    generator: Callable[[int, int, float], Generator]  # of image size, channels, width
    discriminator: Callable[..., Discriminator]  # the same, and a method's layers by name
    image_sizes: tuple[int, ...]


ARCHITECTURES = {
    # 32 and 48 are the paper's (CIFAR-10, STL-10); 16, for the digits, is our choice.
    "standard_cnn": Architecture(StandardGenerator, StandardDiscriminator, (16, 32, 48)),
}

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
