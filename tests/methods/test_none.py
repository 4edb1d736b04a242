"""The method none, on cases that can be solved by hand."""

from __future__ import annotations

import torch
from torch.nn.utils import parametrize

from ._weights import (
    flat,
)


def test_no_control_leaves_a_discriminator_alone(make, layers):
    discriminator = layers(flat([[2.0]]), torch.ones(1, 1))
    assert make("none").wrap(discriminator) is discriminator
    assert not parametrize.is_parametrized(discriminator.body)
