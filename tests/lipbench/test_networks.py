"""Conditional networks: how the parts that need labels get them."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from lipbench.discriminators import Around
from lipbench.networks import Discriminator, Generator, Labelled
from lipbench.streams import Latents

CLASSES = 3


class Offset(Labelled):
    """Adds ten times the label to what it gets."""

    def forward(self, inputs):
        return inputs + 10 * self.one_hot(inputs) @ torch.arange(3.0)[:, None]


class Told(Discriminator):
    """A logit that is the point's first value, and ten times its label."""

    def __init__(self):
        super().__init__((2,))
        self.body = nn.Identity()
        self.head = Offset(CLASSES)

    def compute(self, inputs):
        return self.head(inputs[:, :1]).squeeze(1)


class Telling(Generator):
    """A sample that is its latents, and ten times its label."""

    def __init__(self):
        super().__init__(Latents(2, classes=CLASSES))
        self.offset = Offset(CLASSES)

    def compute(self, inputs):
        return self.offset(inputs)


def test_a_discriminator_is_bound_to_the_labels_of_its_samples():
    network, points = Told(), torch.zeros(2, 2)
    with network.given(torch.tensor([0, 2])):
        assert network(points).tolist() == [0, 20]
        with network.given(torch.tensor([1, 1])):
            assert network(points).tolist() == [10, 10]
        assert network(points).tolist() == [0, 20]


def test_labels_repeat_for_batches_of_several_times_as_many_samples():
    network = Told()
    with network.given(torch.tensor([0, 2])):
        assert network(torch.zeros(4, 2)).tolist() == [0, 20, 0, 20]
        with pytest.raises(RuntimeError, match="got 3 inputs and 2 labels"):
            network(torch.zeros(3, 2))
    with network.given(torch.tensor([2])):
        assert network(torch.zeros(3, 2)).tolist() == [20, 20, 20]


def test_a_discriminator_that_nobody_bound_says_so():
    network = Told()
    with pytest.raises(RuntimeError, match="got 2 inputs and no labels"):
        network(torch.zeros(2, 2))
    with network.given(torch.tensor([1, 1])):
        pass
    with pytest.raises(RuntimeError, match="no labels"):
        network(torch.zeros(2, 2))


def test_a_discriminator_around_another_binds_that_one():
    class Twice(Around):
        def compute(self, inputs):
            return 2 * self.inner(inputs)

    network = Twice(Told())
    with network.given(torch.tensor([1, 2])):
        assert network(torch.zeros(2, 2)).tolist() == [20, 40]
        copied = copy.deepcopy(network)
    assert copied(torch.zeros(2, 2)).tolist() == [20, 40]  # as an audit's copy must be


def test_a_generator_takes_its_labels_from_its_latents():
    network = Telling()
    drawn = network.latents.draw(3, 0, "latents", labels=torch.tensor([2, 0, 1]))
    made = network(drawn)
    assert torch.equal(made - drawn[:, :2], torch.tensor([[20.0] * 2, [0.0] * 2, [10.0] * 2]))
    assert network.offset.labels is None
