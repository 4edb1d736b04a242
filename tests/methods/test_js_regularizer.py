"""The method js_regularizer, on cases that can be solved by hand."""

from __future__ import annotations

import math

import pytest
import torch


def test_the_js_regularizer_weighs_gradients_by_how_wrong_d_is(make, linear, batch):
    """At logits 0 and gradients of norm 2: gamma / 2 (.25 * 4 + .25 * 4) = 2."""
    discriminator = linear([2.0, 0.0])
    zero = torch.zeros(3, 1, 1, 2)
    method = make("js_regularizer", annealed=False)
    penalty = method.penalty(discriminator, batch(discriminator, zero, zero))
    assert math.isclose(penalty.item(), 2.0, rel_tol=1e-6)
    real, fake = torch.tensor([[[[1.0, 0.0]]]]), torch.tensor([[[[-1.5, 0.0]]]])
    penalty = method.penalty(discriminator, batch(discriminator, real, fake))
    of_real = (1 - 1 / (1 + math.exp(-2))) ** 2
    of_fake = (1 / (1 + math.exp(3))) ** 2
    assert math.isclose(penalty.item(), 4 * (of_real + of_fake), rel_tol=1e-5)


def test_the_js_regularizer_differentiates_its_weights_too(make, linear, batch):
    """d/dw of w^2 ((1-p)^2 + p^2), p = sigmoid(w), where both images are 1."""
    w = 0.7
    discriminator = linear([w])
    image = torch.ones(1, 1, 1, 1)
    make("js_regularizer", annealed=False).penalty(
        discriminator, batch(discriminator, image, image)
    ).backward()
    p = 1 / (1 + math.exp(-w))
    expected = 2 * w * ((1 - p) ** 2 + p**2) + w**2 * 2 * p * (1 - p) * (2 * p - 1)
    assert math.isclose(discriminator.head.weight.grad.item(), expected, rel_tol=1e-5)


def test_the_js_regularizer_anneals_to_a_hundredth(make, linear, batch):
    discriminator = linear([2.0, 0.0])
    zero = torch.zeros(3, 1, 1, 2)

    def penalty(progress: float, **fields: object) -> float:
        given = batch(discriminator, zero, zero, progress=progress)
        return make("js_regularizer", **fields).penalty(discriminator, given).item()

    found = [penalty(progress) for progress in (0.0, 0.5, 1.0)]
    assert found == pytest.approx([2.0, 0.2, 0.02])
    assert penalty(0.5, annealed=False) == pytest.approx(2.0)
