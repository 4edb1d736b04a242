"""Generators and discriminators, and how their weights start."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

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


class Labelled(nn.Module):
    """A part of a network that needs the labels of the samples it works on; see `given`."""

    labels: Tensor | None = None  # (B,), int64

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def one_hot(self, inputs: Tensor) -> Tensor:
        """Return the labels of a batch of inputs as unit vectors, (B, classes).

        One label is that of all inputs, as one row, (1, classes). Where there are several times as
        many inputs as labels, as of real samples with as many generated ones after them, the
        labels repeat. Raises RuntimeError where they cannot.
        """
        if self.labels is not None and len(self.labels) == 1:
            return nn.functional.one_hot(self.labels, self.classes).to(inputs.dtype)
        if self.labels is None or len(inputs) % len(self.labels):
            count = "no" if self.labels is None else len(self.labels)
            raise RuntimeError(
                f"a conditional network got {len(inputs)} inputs and {count} labels; "
                "`discriminator.given(labels)` says of which classes inputs are"
            )
        labels = self.labels.repeat(len(inputs) // len(self.labels))
        return nn.functional.one_hot(labels, self.classes).to(inputs.dtype)


@contextlib.contextmanager
def given(network: nn.Module, labels: Tensor | None) -> Iterator[None]:
    """Tell the parts of a network that need labels (B,), within, of which classes inputs are."""
    parts = [module for module in network.modules() if isinstance(module, Labelled)]
    before = [part.labels for part in parts]
    for part in parts:
        part.labels = labels
    try:
        yield
    finally:
        for part, old in zip(parts, before, strict=True):
            part.labels = old


class Generator(Network):
    """Maps `latents`, (B, latents.columns), to samples, such as images (B, C, H, W) in [-1, 1].

    A conditional one has latents with labels, which its `Labelled` parts get; `compute` gets the
    values alone, (B, latents.dim).
    """

    def __init__(self, latents: Latents) -> None:
        super().__init__()
        self.latents = latents

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the samples of latents in float32."""
        if not self.latents.classes:
            return super().forward(inputs)
        with given(self, self.latents.labels(inputs)):
            return super().forward(inputs[:, : self.latents.dim])

    def layers(self) -> list[nn.Conv2d | nn.ConvTranspose2d | nn.Linear]:
        """Return the layers that have a weight matrix, input to output."""
        kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
        return [module for module in self.modules() if isinstance(module, kinds)]


class Discriminator(Network):
    """Maps samples of `sample_shape`, such as images (B, C, H, W) in [-1, 1], to logits (B,).

    A conditional one has parts that are `Labelled`: it is called within `given`, so whoever calls
    it on samples needs no labels. Training does so for the hooks of methods.
    """

    body: nn.Module
    head: nn.Module

    def __init__(self, sample_shape: Shape) -> None:
        super().__init__()
        self.sample_shape = sample_shape

    def layers(self) -> list[nn.Conv2d | nn.Linear]:
        """Return the layers that have a weight matrix, input to output: convolutions and head."""
        return [module for module in self.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]

    def given(self, labels: Tensor | None) -> contextlib.AbstractContextManager[None]:
        """Return a context in which inputs are of these classes (B,); None: D needs no labels.

        A batch may repeat them, see `Labelled.one_hot`.
        """
        return contextlib.nullcontext() if labels is None else given(self, labels)

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
    # Saxe et al. 2014: orthonormal rows or columns of the weight as a matrix, (first axis, all
    # the rest); of BigGAN (Brock et al. 2019).
    "orthogonal": lambda weight, g: nn.init.orthogonal_(weight, generator=g),
}


@torch.no_grad()
def initialise(network: nn.Module, scheme: str, seed: int, name: str) -> None:
    """Draw the weights of dense layers, convolutions and embeddings; set their biases to zero.

    Each weight is drawn from the `init` stream by its own name (`name` is the network's), so it
    does not depend on what else the network holds. A layer's attribute `gain`, if it has one, is a
    factor on its weight. Other modules keep their constructors' values.
    """
    drawn = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.Embedding)
    for module_name, module in network.named_modules():
        if isinstance(module, drawn):
            INITIALISATIONS[scheme](
                module.weight, streams.generator(seed, "init", f"{name}.{module_name}.weight")
            )
            module.weight.mul_(getattr(module, "gain", 1.0))
            if getattr(module, "bias", None) is not None:
                module.bias.zero_()  # type: ignore[operator,union-attr]
