"""The method gradient_normalization, on cases that can be solved by hand."""

from __future__ import annotations

import torch

from lipbench.discriminators import gradient

from ._penalties import (
    images,
    standard,
)


def test_gradient_normalization_of_a_linear_discriminator_is_known(make, linear):
    """f = 3 x + 4 y at (1, .5): f = |grad f| = 5, so 5 / (5 + 5), with gradient (5 / 10)^2."""
    wrapped = make("gradient_normalization").wrap(linear([3.0, 4.0]))
    point = torch.tensor([[[[1.0, 0.5]]], [[[-1.0, -0.5]]]])
    logits, gradients = gradient(wrapped, point)
    torch.testing.assert_close(logits, torch.tensor([0.5, -0.5]))
    torch.testing.assert_close(gradients.flatten(1).norm(dim=1), torch.tensor([0.25, 0.25]))


def test_the_weights_gradient_goes_through_the_gradients_norm(make, linear):
    """f / (n + |f|) at f = n = 5: ((n + f) x - f (w / n + x)) / (n + f)^2 = (5 x - w) / 100."""
    wrapped = make("gradient_normalization").wrap(linear([3.0, 4.0]))
    wrapped(torch.tensor([[[[1.0, 0.5]]]])).sum().backward()
    torch.testing.assert_close(wrapped.head.weight.grad, torch.tensor([[0.02, -0.015]]))


def test_gradient_normalization_does_not_see_the_scale_of_d(make):
    wrapped = make("gradient_normalization").wrap(standard())
    points = images()
    before = wrapped(points)
    with torch.no_grad():
        wrapped.head.weight *= 100
        wrapped.head.bias *= 100
    torch.testing.assert_close(wrapped(points), before)
