"""The cases that every architecture must pass, on small networks of each of its example shapes."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from lipbench import parameterized
from lipbench.architecture import Architecture, Latents, Shape
from lipbench.errors import UserError
from lipbench.networks import INITIALISATIONS, Discriminator, Generator, Labelled, initialise
from lipbench.words import counted

SMALL = 0.125  # the width of the networks: our choice
BATCH = 4
CLASSES = 3


@dataclass(frozen=True)
class Pair:
    """The two networks of an architecture for a shape, their weights drawn."""

    shape: Shape
    latents: Latents
    generator: Generator
    discriminator: Discriminator

    def labels(self) -> Tensor | None:
        """Return the labels of a batch, (B,), where the networks are conditional."""
        return torch.arange(BATCH) % CLASSES if self.latents.classes else None

    def draw(self, count: int = BATCH, labels: Tensor | None = None) -> Tensor:
        """Return latents of G, with labels of all classes, or those given, where it has any."""
        if self.latents.classes and labels is None:
            labels = torch.arange(count) % CLASSES
        return self.latents.draw(count, 0, "exam", labels=labels)

    def logits(self, samples: Tensor) -> Tensor:
        """Return D's logits of samples, of those labels where it needs any."""
        labels = torch.arange(len(samples)) % CLASSES if self.latents.classes else None
        with self.discriminator.given(labels):
            found: Tensor = self.discriminator(samples)
        return found


@dataclass(frozen=True)
class ExaminedArchitecture:
    """An architecture under examination, narrowed."""

    architecture: Architecture

    @cached_property
    def small(self) -> Architecture:
        """Return it at an eighth of the width, or less."""
        width = min(self.architecture.width, SMALL)
        return dataclasses.replace(self.architecture, width=width)

    @cached_property
    def variants(self) -> list[Architecture]:
        """Return it, small, and with each of its variants' fields."""
        return [dataclasses.replace(self.small, **each) for each in ({}, *self.small.variants)]

    def pairs(self) -> Iterator[Pair]:
        """Yield the networks of each variant for each example shape."""
        for variant in self.variants:
            for shape in variant.examples:
                yield pair(variant, shape)


def pair(architecture: Architecture, shape: Shape, **layers: Any) -> Pair:
    """Return a generator and a discriminator with weights drawn as a run draws them."""
    classes = architecture.classes_of(CLASSES)
    generator = architecture.generator(shape, classes)
    discriminator = architecture.discriminator(shape, classes, **layers)
    for network, name in ((generator, "generator"), (discriminator, "discriminator")):
        initialise(network, architecture.initialisation, 0, name)
    return Pair(shape, architecture.latents_of(classes), generator, discriminator)


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
    for it in subject.pairs():
        for count in (2, BATCH):
            samples = it.generator(it.draw(count))
            wanted = (count, *it.shape)
            assert samples.shape == wanted, f"samples are {tuple(samples.shape)}, not {wanted}"
            logits = it.logits(samples)
            assert logits.shape == (count,), f"logits are {tuple(logits.shape)}, not ({count},)"
            for what, found in (("samples", samples), ("logits", logits)):
                assert found.dtype == torch.float32, f"{what} are {found.dtype}"
                assert found.isfinite().all(), f"{what} are not finite"
        said = it.discriminator.sample_shape
        assert said == it.shape, f"D says {said}"
        told.append("x".join(map(str, it.shape)))
    return ", ".join(dict.fromkeys(told))


def its_fields_change_the_networks(subject: ExaminedArchitecture) -> str:
    """The width changes how many weights there are; latents have the dimension and law asked."""
    small, shape = subject.small, subject.architecture.examples[0]
    wide = dataclasses.replace(small, width=2 * small.width)
    counts = [_weights(pair(each, shape)) for each in (small, wide)]
    assert counts[0] < counts[1], f"{counts[0]:,} weights at both widths"
    odd = dataclasses.replace(small, latent_dim=7, latent_law="uniform")
    it = pair(odd, shape)
    found = it.generator.latents
    assert found == it.latents, f"G has {found}; its architecture says {it.latents}"
    assert it.generator(it.draw(2)).shape == (2, *shape), "7 latents do not fit G"
    return f"{counts[0]:,} weights, {counts[1]:,} at twice the width"


def each_of_its_own_fields_matters(subject: ExaminedArchitecture) -> str:
    """Another value of a field is another network, in one variant and shape at least."""
    every = {field.name for field in dataclasses.fields(Architecture)}
    own = [f.name for f in dataclasses.fields(subject.architecture) if f.name not in every]
    for name in own:
        changes = []
        for variant in subject.variants:
            for other, shape in itertools.product(_others(variant, name), variant.examples):
                with contextlib.suppress(UserError):  # of values that do not fit the shape
                    changes.append(_differ(pair(variant, shape), pair(other, shape)))
        assert any(changes) or not changes, f"{name} changes neither G nor D"
    return ", ".join(own) or "no fields of its own"


def _others(architecture: Architecture, name: str) -> Iterator[Architecture]:
    """Yield the architecture with other values of a field that its range allows."""
    value = getattr(architecture, name)
    kind: Any = type(architecture)
    about = parameterized.adapter(kind).json_schema()["properties"][name]
    near: list[Any] = [each for each in about.get("enum", ()) if each != value]
    if isinstance(value, bool):
        near = [not value]
    elif isinstance(value, (int, float)):
        near = [
            value + 1,
            value - 1,
            2 * value,
            *([value / 2] if isinstance(value, float) else []),
        ]
    for other in near:
        with contextlib.suppress(UserError):
            params = {**dataclasses.asdict(architecture), name: other}
            yield parameterized.checked(kind, params, "it", "field")


@torch.no_grad()
def _differ(one: Pair, other: Pair) -> bool:
    """Return whether two pairs have other weights, or compute something else."""
    for first, second in (
        (one.generator, other.generator), (one.discriminator, other.discriminator),
    ):  # fmt: skip
        weights = [
            {name: tensor.shape for name, tensor in network.state_dict().items()}
            for network in (first, second)
        ]
        if weights[0] != weights[1]:
            return True
        for network in (first, second):
            _stir(network)
    made = [it.generator(it.draw()) for it in (one, other)]
    told = [it.logits(_noise(it.shape)) for it in (one, other)]
    return not (torch.equal(*made) and torch.equal(*told))


def it_is_the_same_each_time(subject: ExaminedArchitecture) -> str:
    """Drawn by one seed, two networks have the same weights, and compute the same."""
    for variant in subject.variants:
        for shape in variant.examples:
            first, second = pair(variant, shape), pair(variant, shape)
            torch.manual_seed(1)  # what it may draw from besides
            for it in (first, second):
                it.generator.eval(), it.discriminator.eval()
            made = [it.generator(it.draw()) for it in (first, second)]
            told = [it.logits(_noise(shape)) for it in (first, second)]
            for network, outputs in ((first.generator, made), (first.discriminator, told)):
                assert torch.equal(*outputs), f"two of {type(network).__name__} differ"
    return "equal outputs of equal seeds"


def its_networks_heed_labels(subject: ExaminedArchitecture) -> str:
    """Where it is conditional, other labels are other samples, and other logits if D gets any."""
    conditional = 0
    for it in subject.pairs():
        if not it.latents.classes:
            continue
        conditional += 1
        one, other = torch.zeros(BATCH).long(), torch.ones(BATCH).long()
        it.generator.eval(), it.discriminator.eval()
        with torch.no_grad():
            for network in (it.generator, it.discriminator):
                _stir(network)
            made = [it.generator(it.draw(labels=labels)) for labels in (one, other)]
            told = []
            for labels in (one, other):
                with it.discriminator.given(labels):
                    told.append(it.discriminator(_noise(it.shape)))
        assert not torch.equal(*made), "G makes the same of every class"
        if any(isinstance(part, Labelled) for part in it.discriminator.modules()):
            assert not torch.equal(*told), "D says the same of every class"
    return counted(conditional, "conditional pair")


def its_gradients_are_finite(subject: ExaminedArchitecture) -> str:
    """Every weight of G and D gets a gradient, through D from G too."""
    for it in subject.pairs():
        it.logits(it.generator(it.draw())).square().sum().backward()
        for network in (it.generator, it.discriminator):
            for name, weight in network.named_parameters():
                found = weight.grad
                assert found is not None, f"{name} gets no gradient"
                assert found.isfinite().all(), f"the gradient of {name} is not finite"
    return "all weights of both"


def its_discriminator_can_be_differentiated_twice(subject: ExaminedArchitecture) -> str:
    """The norm of D's gradient by its samples has itself a gradient by D's weights."""
    for it in subject.pairs():
        samples = _noise(it.shape).requires_grad_()
        (slopes,) = torch.autograd.grad(it.logits(samples).sum(), samples, create_graph=True)
        slopes.square().sum().backward()
        used = [weight.grad is not None for weight in it.discriminator.parameters()]
        assert any(used), "no weight gets a gradient from the gradient's norm"
    return "gradient penalties have gradients"


def its_discriminator_takes_methods_layers(subject: ExaminedArchitecture) -> str:
    """Normalizations and activations of methods stand in D's hidden layers; a head is dense."""
    told = []
    asked = [(each, shape) for each in subject.variants for shape in each.examples]
    for variant, shape in asked:
        made: list[tuple[str, int]] = []

        def norm(channels: int) -> nn.Module:
            made.append(("norm", channels))  # noqa: B023 - called in this turn
            return nn.GroupNorm(1, channels)

        def activation(channels: int) -> nn.Module:
            made.append(("activation", channels))  # noqa: B023 - called in this turn
            return nn.Softplus()

        it = pair(variant, shape, norm=norm, activation=activation)
        logits = it.logits(_noise(shape))
        assert logits.shape == (BATCH,), f"logits are {tuple(logits.shape)} with such layers"
        names = [name for name, _ in made]
        assert "norm" in names, "no hidden layer took the normalization"
        assert "activation" in names, "no hidden layer took the activation"
        assert it.discriminator.layers(), "D has no layer with a weight matrix"
        with it.discriminator.given(it.labels()):
            features = it.discriminator.features(_noise(shape))
        assert features.dim() == 2, f"features are {tuple(features.shape)}, not (B, F)"
        told.append(f"{counted(names.count('activation'), 'hidden layer')}")
    return ", ".join(dict.fromkeys(told))


def _noise(shape: Shape) -> Tensor:
    return torch.randn(BATCH, *shape, generator=torch.Generator().manual_seed(0)).tanh()


def _stir(network: nn.Module) -> None:
    """Add noise to all weights: some, such as a conditional gain's, start the same for all."""
    source = torch.Generator().manual_seed(0)
    for weight in network.parameters():
        weight.add_(torch.randn(weight.shape, generator=source), alpha=0.05)


def _weights(it: Pair) -> int:
    networks = (it.generator, it.discriminator)
    return sum(weight.numel() for network in networks for weight in network.parameters())


CASES: tuple[Case, ...] = (
    it_says_what_it_makes,
    its_networks_fit_the_shapes,
    its_fields_change_the_networks,
    each_of_its_own_fields_matters,
    it_is_the_same_each_time,
    its_networks_heed_labels,
    its_gradients_are_finite,
    its_discriminator_can_be_differentiated_twice,
    its_discriminator_takes_methods_layers,
)
