"""The exam of losses: built-in ones pass it, and each kind of mistake fails a case."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lipbench import exam
from lipbench.exam.of_losses import CASES
from lipbench.loss import Loss
from lipbench.plugins import Registry

LOSSES = {name: plugin.load(Loss) for name, plugin in Registry("losses").plugins.items()}


@pytest.mark.parametrize("case", CASES, ids=exam.title)
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_installed_loss_passes(name, case):
    case(LOSSES[name]())


@dataclass(frozen=True)
class Sound(Loss):
    """The Wasserstein loss, which the others below spoil."""

    def discriminator(self, real_logits, fake_logits):
        return fake_logits.mean() - real_logits.mean()

    def generator(self, fake_logits, real_logits):
        return -fake_logits.mean()


class Summed(Sound):
    def discriminator(self, real_logits, fake_logits):
        return fake_logits.sum() - real_logits.sum()


class Vector(Sound):
    def generator(self, fake_logits, real_logits):
        return -fake_logits


class Infinite(Sound):
    def discriminator(self, real_logits, fake_logits):
        return fake_logits.exp().mean() - real_logits.mean()


class Detached(Sound):
    def discriminator(self, real_logits, fake_logits):
        return fake_logits.mean() - real_logits.mean() + (fake_logits.detach() ** 2).mean()


class Reversed(Sound):
    def discriminator(self, real_logits, fake_logits):
        return real_logits.mean() - fake_logits.mean()


class Adverse(Sound):
    def generator(self, fake_logits, real_logits):
        return fake_logits.mean()


class Silent(Sound):
    def generator(self, fake_logits, real_logits):
        return (real_logits - fake_logits).mean()


class Idle(Sound):
    needs_real = True


@pytest.mark.parametrize(
    ("spoiled", "case", "words"),
    [
        (Summed, "it is a mean over the batch", "twice"),
        (Vector, "it gives finite scalars", "the shape (1,)"),
        (Infinite, "it gives finite scalars", "logits of 200"),
        (Detached, "its gradients are those of its values", "Jacobian"),
        (Reversed, "its d tells real from generated", "D ends with"),
        (Adverse, "its d tells real from generated", "G's loss lowers"),
        (Silent, "it asks for real logits where it reads them", "needs_real = True"),
        (Idle, "it asks for real logits where it reads them", "change nothing"),
    ],
)
def test_each_mistake_fails_its_case_with_a_reason(spoiled, case, words):
    lines = {line.case: line for line in exam.examine(spoiled())}
    assert not lines[case].passed
    assert words in lines[case].measured
    assert all(line.passed for line in exam.examine(Sound()))
