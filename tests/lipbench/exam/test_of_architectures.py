"""The exam of architectures: installed ones pass it, and each kind of mistake fails a case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import torch
from annotated_types import Ge
from torch import nn

from lipbench import exam
from lipbench.architecture import Architecture, Discriminator, Generator, identity, scaled
from lipbench.exam.of_architectures import CASES, ExaminedArchitecture
from lipbench.plugins import Registry

INSTALLED = {p.name: p.load(Architecture) for p in Registry("architectures").by_name()}


@pytest.mark.parametrize("case", CASES, ids=exam.title)
@pytest.mark.parametrize("name", INSTALLED)
def test_every_installed_architecture_passes(name, case):
    assert case(ExaminedArchitecture(INSTALLED[name]()))


class Points(Generator):
    """A dense layer on each side of a ReLU, for points in the plane."""

    def __init__(self, latents, units, outputs=2):
        super().__init__(latents)
        self.body = nn.Sequential(
            nn.Linear(latents.dim, units), nn.ReLU(), nn.Linear(units, outputs)
        )

    def compute(self, inputs):
        return self.body(inputs)


class Logits(Discriminator):
    """The same, with a method's layers behind the first dense one."""

    def __init__(self, shape, units, norm, activation):
        super().__init__(shape)
        layers = (norm(units), activation(units) if activation else nn.Softplus())
        self.body = nn.Sequential(
            nn.Linear(2, units), nn.Unflatten(1, (units, 1, 1)), *layers, nn.Flatten()
        )
        self.head = nn.Linear(units, 1)


@dataclass(frozen=True)
class Sound(Architecture):
    """Small dense networks, which the others below spoil."""

    shapes = "points in the plane"
    examples = ((2,),)

    def takes(self, shape):
        return shape == (2,)

    def generator(self, shape, classes=0):
        return Points(self.latents, scaled(64, self.width))

    def discriminator(self, shape, classes=0, norm=identity, activation=None):
        return Logits(shape, scaled(64, self.width), norm, activation)


class Wordless(Sound):
    shapes = ""


class Choosy(Sound):
    def takes(self, shape):
        return False


class Unstarted(Sound):
    initialisation = "normal"


class Large(Sound):
    def generator(self, shape, classes=0):
        return Points(self.latents, scaled(64, self.width), outputs=3)


class Column(Sound):
    def discriminator(self, shape, classes=0, norm=identity, activation=None):
        made = super().discriminator(shape, classes, norm, activation)
        made.compute = lambda inputs: made.head(made.body(inputs))
        return made


class Double(Sound):
    def discriminator(self, shape, classes=0, norm=identity, activation=None):
        made = super().discriminator(shape, classes, norm, activation)
        made.forward = lambda inputs: made.compute(inputs).double()
        return made


class Elsewhere(Sound):
    def discriminator(self, shape, classes=0, norm=identity, activation=None):
        made = super().discriminator(shape, classes, norm, activation)
        made.sample_shape = (3,)
        return made


class Rigid(Sound):
    def generator(self, shape, classes=0):
        return Points(self.latents, 8)

    def discriminator(self, shape, classes=0, norm=identity, activation=None):
        return Logits(shape, 8, norm, activation)


class Fixed(Sound):
    def generator(self, shape, classes=0):
        return Points(Architecture().latents, scaled(64, self.width))


class Fickle(Sound):
    def generator(self, shape, classes=0):
        made = super().generator(shape, classes)
        made.shift = nn.Parameter(torch.randn(2))
        made.compute = lambda inputs: made.body(inputs) + made.shift
        return made


class Idle(Sound):
    def generator(self, shape, classes=0):
        made = super().generator(shape, classes)
        made.unused = nn.Linear(2, 2)
        return made


class Step(Sound):
    def discriminator(self, shape, classes=0, norm=identity, activation=None):
        made = super().discriminator(shape, classes, norm, activation)
        made.compute = lambda inputs: made.head(Sloped.apply(made.body(inputs))).squeeze(1)
        return made


class Sloped(torch.autograd.Function):
    """The identity, whose gradient has no gradient."""

    @staticmethod
    def forward(ctx, inputs):
        return inputs.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return gradient


@dataclass(frozen=True)
class Idler(Sound):
    blocks: Annotated[int, Ge(1)] = 2


@dataclass(frozen=True)
class Busy(Sound):
    blocks: Annotated[int, Ge(1)] = 2

    def discriminator(self, shape, classes=0, norm=identity, activation=None):
        return Logits(shape, self.blocks * scaled(64, self.width), norm, activation)


class Normless(Sound):
    def discriminator(self, shape, classes=0, norm=identity, activation=None):
        return Logits(shape, scaled(64, self.width), identity, activation)


class Inert(Sound):
    def discriminator(self, shape, classes=0, norm=identity, activation=None):
        return Logits(shape, scaled(64, self.width), norm, None)


@pytest.mark.parametrize(
    ("spoiled", "case", "words"),
    [
        (Wordless, "it says what it makes", "`shapes` does not say"),
        (Choosy, "it says what it makes", "does not take (2,)"),
        (Unstarted, "it says what it makes", "'normal' is none of normal_0.02"),
        (Large, "its networks fit the shapes", "samples are (2, 3), not (2, 2)"),
        (Column, "its networks fit the shapes", "logits are (2, 1), not (2,)"),
        (Double, "its networks fit the shapes", "logits are torch.float64"),
        (Elsewhere, "its networks fit the shapes", "D says (3,)"),
        (Rigid, "its fields change the networks", "weights at both widths"),
        (Fixed, "its fields change the networks", "its architecture says"),
        (Idler, "each of its own fields matters", "blocks changes neither G nor D"),
        (Fickle, "it is the same each time", "two of Points differ"),
        (Idle, "its gradients are finite", "unused.weight gets no gradient"),
        (Step, "its discriminator can be differentiated twice", "once_differentiable"),
        (Normless, "its discriminator takes methods layers", "took the normalization"),
        (Inert, "its discriminator takes methods layers", "took the activation"),
    ],
)
def test_each_mistake_fails_its_case_with_a_reason(spoiled, case, words):
    lines = {line.case: line for line in exam.examine(spoiled())}
    assert not lines[case].passed
    assert words in lines[case].measured


@pytest.mark.parametrize("sound", [Sound, Busy])
def test_the_architecture_that_they_spoil_passes(sound):
    assert [line.case for line in exam.examine(sound()) if not line.passed] == []
