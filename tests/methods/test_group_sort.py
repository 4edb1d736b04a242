"""The method group_sort, on cases that can be solved by hand."""

from __future__ import annotations

import pytest
import torch

from lipbench.architectures.standard_cnn import StandardDiscriminator
from lipbench.errors import UserError
from lipbench.exam import bounds

from ._convolutions import (
    draw,
)


def test_group_sort_sorts_neighbouring_channels(make):
    inputs = torch.tensor([3.0, 1, 2, 5]).view(1, 4, 1, 1)
    pairs = make("group_sort").activation(4)(inputs)
    assert pairs.flatten().tolist() == [1, 3, 2, 5]
    whole = make("group_sort", size=4).activation(4)(inputs)
    assert whole.flatten().tolist() == [1, 2, 3, 5]


def test_group_sort_keeps_the_gradients_norm(make):
    inputs = draw(2, 6, 3, 3).requires_grad_()
    incoming = draw(2, 6, 3, 3, seed=1)
    (make("group_sort", size=3).activation(6)(inputs) * incoming).sum().backward()
    assert torch.equal(inputs.grad.flatten().sort().values, incoming.flatten().sort().values)


def test_group_sort_refuses_channels_that_it_cannot_group(make):
    with pytest.raises(UserError, match=r"7 channels in groups of size 2"):
        make("group_sort").activation(7)


def test_group_sort_goes_with_orthonormal_weights(make):
    torch.manual_seed(0)
    discriminator = StandardDiscriminator(
        (1, 16, 16), 0.125, activation=make("group_sort").activation
    )
    wrapped = make("bjorck").wrap(discriminator)
    assert bounds.input_gradient(wrapped, draw(4, 1, 16, 16)) <= 1
