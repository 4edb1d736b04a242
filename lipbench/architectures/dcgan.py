"""DCGAN (Radford et al. 2016)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from lipbench.architecture import (
    Architecture,
    ChannelLayer,
    Dim,
    Discriminator,
    Generator,
    Latents,
    Law,
    Shape,
    identity,
    scaled,
)

_CHANNELS = {32: (512, 256, 128), 64: (512, 256, 128, 64)}  # of G by image size; D's reversed


@dataclass(frozen=True)
class DCGAN(Architecture):
    """DCGAN (Radford et al. 2016): strided convolutions only, BN in G, ReLU in G, LeakyReLU in D.

    Kernels of 4 x 4 and the channel counts are those of the code of one of its authors and of its
    copy among PyTorch's examples (github.com/soumith/dcgan.torch, github.com/pytorch/examples),
    which has no biases in either network; the paper's G has twice the channels. At 32 pixels the
    counts are those of Gulrajani et al.'s DCGAN for CIFAR-10 (github.com/igul222/
    improved_wgan_training, gan_cifar.py). 100 uniform latents and a slope of 0.2 are the paper's.

    D has BN only where a method puts it: after each convolution but the first. DCGAN itself has
    it there, with a multiplier: `{batch_norm: {gamma: true}}`. D's last layer, a convolution over
    the whole 4 x 4 map, is a dense head here: the same function, with the same weights.
    """

    title = "DCGAN"
    papers = ("radford2016",)
    shapes = "square images of 32 or 64 pixels"
    examples = ((3, 32, 32), (3, 64, 64))

    latent_dim: Dim = 100
    latent_law: Law = "uniform"

    def takes(self, shape: Shape) -> bool:
        return len(shape) == 3 and shape[1] == shape[2] and shape[1] in _CHANNELS

    def generator(self, shape: Shape, classes: int = 0) -> Generator:
        return DCGANGenerator(self.latents, shape, self._channels(shape))

    def discriminator(
        self,
        shape: Shape,
        classes: int = 0,
        norm: ChannelLayer = identity,
        activation: ChannelLayer | None = None,
    ) -> Discriminator:
        channels = self._channels(shape)[::-1]
        return DCGANDiscriminator(shape, channels, norm, activation or leaky)

    def _channels(self, shape: Shape) -> list[int]:
        return [scaled(channels, self.width) for channels in _CHANNELS[shape[1]]]


def leaky(channels: int) -> nn.Module:
    """Return the activation of DCGAN's discriminator."""
    return nn.LeakyReLU(0.2)


class DCGANGenerator(Generator):
    """Transposed convolutions: from latents to 4 x 4 pixels, then to twice the size each."""

    def __init__(self, latents: Latents, shape: Shape, channels: Sequence[int]) -> None:
        super().__init__(latents)
        inputs = latents.dim
        body: OrderedDict[str, nn.Module] = OrderedDict(pixel=nn.Unflatten(1, (inputs, 1, 1)))
        for index, outputs in enumerate(channels):
            stride, padding = (2, 1) if index else (1, 0)
            body[f"deconv{index}"] = nn.ConvTranspose2d(
                inputs, outputs, 4, stride, padding, bias=False
            )
            body[f"norm{index}"] = nn.BatchNorm2d(outputs)
            body[f"activation{index}"] = nn.ReLU(inplace=True)
            inputs = outputs
        body["image"] = nn.ConvTranspose2d(inputs, shape[0], 4, 2, 1, bias=False)
        self.body = nn.Sequential(body)

    def compute(self, inputs: Tensor) -> Tensor:
        """Return the images."""
        return self.body(inputs).tanh()


class DCGANDiscriminator(Discriminator):
    """Convolutions that halve the size to 4 x 4 pixels, and a head on all of these."""

    def __init__(
        self,
        shape: Shape,
        channels: Sequence[int],
        norm: ChannelLayer,
        activation: ChannelLayer,
    ) -> None:
        super().__init__(shape)
        inputs = shape[0]
        body: OrderedDict[str, nn.Module] = OrderedDict()
        for index, outputs in enumerate(channels):
            body[f"conv{index}"] = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False)
            if index > 0:
                body[f"norm{index}"] = norm(outputs)
            body[f"activation{index}"] = activation(outputs)
            inputs = outputs
        self.body = nn.Sequential(body)
        self.head = nn.Linear(inputs * 4 * 4, 1, bias=False)
