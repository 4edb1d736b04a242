"""LeCam regularization (Tseng et al., Regularizing GANs under Limited Data, CVPR 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipbench.discriminators import Discriminator, find
from lipbench.method import Batch, Fraction, NonNegative, Penalty, Trait, Whole


class Anchors(nn.Module):
    """Moving averages of D's mean logits of real and generated images."""

    real: Tensor
    fake: Tensor

    def __init__(self, like: Tensor) -> None:
        super().__init__()
        self.register_buffer("real", like.new_zeros(()))
        self.register_buffer("fake", like.new_zeros(()))


class LeCam(Penalty):
    """Hold D's logits of real images to their average of generated ones, and the reverse.

    coefficient * (E[relu(D(x) - a_fake)^2] + E[relu(a_real - D(G(z)))^2]), with a_real and a_fake
    moving averages of D's mean logits, this update's included. The formula with its relus, the
    coefficient 0.3, decay 0.9 and start 1000 are those of the authors' code for CIFAR
    (github.com/google/lecam-gan). `start` counts updates of D; up to it the term is off and the
    averages are the last means. There they move with the hinge loss only, here with any loss, and
    at each update whatever `every` is.
    """

    label = "LeCam"
    papers = ("tseng2021",)
    traits = frozenset({Trait.BOUNDS_NOTHING})

    coefficient: NonNegative = 0.3
    decay: Fraction = 0.9
    start: Whole = 1000

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        anchors = Anchors(next(discriminator.parameters()).detach())
        discriminator.add_module("anchors", anchors)
        return discriminator

    def penalty(self, discriminator: Discriminator, batch: Batch) -> Tensor:
        anchors = find(discriminator, Anchors)
        share = 1.0 if batch.step <= self.start else 1 - self.decay
        with torch.no_grad():
            anchors.real.lerp_(batch.real_logits.mean(), share)
            anchors.fake.lerp_(batch.fake_logits.mean(), share)
        return super().penalty(discriminator, batch)

    def term(self, discriminator: Discriminator, batch: Batch) -> Tensor:
        if batch.step <= self.start:
            return batch.real.new_zeros(())
        anchors = find(discriminator, Anchors)
        real = F.relu(batch.real_logits - anchors.fake).square().mean()
        fake = F.relu(anchors.real - batch.fake_logits).square().mean()
        return self.coefficient * (real + fake)
