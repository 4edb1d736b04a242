"""The cases that every architecture must pass, on small networks of each of its example shapes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from lipbench.architecture import Architecture, Shape
from lipbench.networks import INITIALISATIONS, Discriminator, Generator, initialise
from lipbench.words import counted

SMALL = 0.125  # the width of the networks: our choice
BATCH = 4


@dataclass(frozen=True)
class ExaminedArchitecture:
    """An architecture under examination, narrowed."""

    architecture: Architecture

    @cached_property
    def small(self) -> Architecture:
        """Return it at an eighth of the width, or less."""
        width = min(self.architecture.width, SMALL)
        return dataclasses.replace(self.architecture, width=width)

    def pairs(self) -> Iterator[tuple[Shape, Generator, Discriminator]]:
        """Yield each example shape with its two networks, their weights drawn."""
        for shape in self.architecture.examples:
            yield shape, *networks(self.small, shape)


def networks(architecture: Architecture, shape: Shape) -> tuple[Generator, Discriminator]:
    """Return a generator and a discriminator with weights drawn as a run draws them."""
    pair = architecture.generator(shape), architecture.discriminator(shape)
    for network, name in zip(pair, ("generator", "discriminator"), strict=True):
        initialise(network, architecture.initialisation, 0, name)
    return pair


Case = Callable[[ExaminedArchitecture], str]


def it_says_what_it_makes(subject: ExaminedArchitecture) -> str:
    """It names shapes in words and as examples, and takes these; its initialisation exists."""
    it = subject.architecture
    assert it.shapes, "`shapes` does not say which samples it makes"
    assert it.examples, "`examples` has no shape"
    for shape in it.examples:
        assert it.takes(shape), f"it does not take {shape}, one of its examples"
    known = ", ".join(sorted(INITIALISATIONS))
    assert it.initialisation in INITIALISATIONS, f"{it.initialisation!r} is none of {known}"
    return it.shapes


def its_networks_fit_the_shapes(subject: ExaminedArchitecture) -> str:
    """G makes samples of the shape in [-1, 1] or beyond it, D one logit each, in float32."""
    told = []
    for shape, generator, discriminator in subject.pairs():
        for count in (2, BATCH):
            samples = generator(generator.latents.draw(count, 0, "exam"))
            wanted = (count, *shape)
            assert samples.shape == wanted, f"samples are {tuple(samples.shape)}, not {wanted}"
            logits = discriminator(samples)
            assert logits.shape == (count,), f"logits are {tuple(logits.shape)}, not ({count},)"
            for what, found in (("samples", samples), ("logits", logits)):
                assert found.dtype == torch.float32, f"{what} are {found.dtype}"
                assert found.isfinite().all(), f"{what} are not finite"
        assert discriminator.sample_shape == shape, f"D says {discriminator.sample_shape}"
        told.append("x".join(map(str, shape)))
    return ", ".join(told)


def its_fields_change_the_networks(subject: ExaminedArchitecture) -> str:
    """The width changes how many weights there are; latents have the dimension and law asked."""
    small, shape = subject.small, subject.architecture.examples[0]
    wide = dataclasses.replace(small, width=2 * small.width)
    counts = [sum(map(_weights, networks(each, shape))) for each in (small, wide)]
    assert counts[0] < counts[1], f"{counts[0]:,} weights at both widths"
    odd = dataclasses.replace(small, latent_dim=7, latent_law="uniform")
    generator = odd.generator(shape)
    found = generator.latents
    assert found == odd.latents, f"G has {found}; its architecture says {odd.latents}"
    assert generator(found.draw(2, 0, "exam")).shape == (2, *shape), "7 latents do not fit G"
    return f"{counts[0]:,} weights, {counts[1]:,} at twice the width"


def it_is_the_same_each_time(subject: ExaminedArchitecture) -> str:
    """Drawn by one seed, two networks have the same weights, and compute the same."""
    for shape, *first in subject.pairs():
        second = networks(subject.small, shape)
        torch.manual_seed(1)  # what it may draw from besides
        for a, b in zip(first, second, strict=True):
            a.eval(), b.eval()
            latents = subject.small.latents.draw(BATCH, 0, "exam")
            inputs = latents if isinstance(a, Generator) else _noise(shape)
            assert torch.equal(a(inputs), b(inputs)), f"two of {type(a).__name__} differ"
    return "equal outputs of equal seeds"


def its_gradients_are_finite(subject: ExaminedArchitecture) -> str:
    """Every weight of G and D gets a gradient, through D from G too."""
    for _, generator, discriminator in subject.pairs():
        fake = generator(generator.latents.draw(BATCH, 0, "exam"))
        discriminator(fake).square().sum().backward()
        for network in (generator, discriminator):
            for name, weight in network.named_parameters():
                found = weight.grad
                assert found is not None, f"{name} gets no gradient"
                assert found.isfinite().all(), f"the gradient of {name} is not finite"
    return "all weights of both"


def its_discriminator_can_be_differentiated_twice(subject: ExaminedArchitecture) -> str:
    """The norm of D's gradient by its samples has itself a gradient by D's weights."""
    for shape, _, discriminator in subject.pairs():
        samples = _noise(shape).requires_grad_()
        (slopes,) = torch.autograd.grad(discriminator(samples).sum(), samples, create_graph=True)
        slopes.square().sum().backward()
        used = [weight.grad is not None for weight in discriminator.parameters()]
        assert any(used), "no weight gets a gradient from the gradient's norm"
    return "gradient penalties have gradients"


def its_discriminator_takes_methods_layers(subject: ExaminedArchitecture) -> str:
    """Normalizations and activations of methods stand in D's hidden layers; a head is dense."""
    told = []
    for shape in subject.architecture.examples:
        made: list[tuple[str, int]] = []

        def norm(channels: int) -> nn.Module:
            made.append(("norm", channels))  # noqa: B023 - called in this turn
            return nn.GroupNorm(1, channels)

        def activation(channels: int) -> nn.Module:
            made.append(("activation", channels))  # noqa: B023 - called in this turn
            return nn.Softplus()

        discriminator = subject.small.discriminator(shape, norm=norm, activation=activation)
        logits = discriminator(_noise(shape))
        assert logits.shape == (BATCH,), f"logits are {tuple(logits.shape)} with such layers"
        names = [name for name, _ in made]
        assert "norm" in names, "no hidden layer took the normalization"
        assert "activation" in names, "no hidden layer took the activation"
        assert discriminator.layers(), "D has no layer with a weight matrix"
        features = discriminator.features(_noise(shape))
        assert features.dim() == 2, f"features are {tuple(features.shape)}, not (B, F)"
        told.append(f"{counted(names.count('activation'), 'hidden layer')}")
    return ", ".join(dict.fromkeys(told))


def _noise(shape: Shape) -> Tensor:
    return torch.randn(BATCH, *shape, generator=torch.Generator().manual_seed(0)).tanh()


def _weights(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


CASES: tuple[Case, ...] = (
    it_says_what_it_makes,
    its_networks_fit_the_shapes,
    its_fields_change_the_networks,
    it_is_the_same_each_time,
    its_gradients_are_finite,
    its_discriminator_can_be_differentiated_twice,
    its_discriminator_takes_methods_layers,
)
