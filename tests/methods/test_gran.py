"""The method gran, on cases that can be solved by hand."""

from __future__ import annotations

import math

import torch

from lipbench.discriminators import gradient


def test_gran_of_a_linear_discriminator_is_known(make, linear):
    point = torch.tensor([[[[1.0, 0.5]]]])
    for epsilon, expected in ((1e-9, 1.0), (25.0, 0.5)):
        wrapped = make("gran", epsilon=epsilon).wrap(linear([3.0, 4.0]))
        logits, gradients = gradient(wrapped, point)
        assert math.isclose(logits.item(), expected, rel_tol=1e-5)
        assert math.isclose(gradients.norm().item(), expected, rel_tol=1e-5)
