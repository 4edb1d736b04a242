"""Historical averaging (Salimans et al., Improved Techniques for Training GANs, NIPS 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lipbench.discriminators import Discriminator, find
from lipbench.method import Batch, Generator, Method, NonNegative, Trait


class History(nn.Module):
    """The mean of the values that a network's parameters had, one vector of all of them."""

    mean: Tensor
    count: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.parameters_of_network = list(network.parameters())  # of a list: not its own
        now = self.now().detach()
        self.register_buffer("mean", torch.zeros_like(now))
        self.register_buffer("count", now.new_zeros(()))

    def now(self) -> Tensor:
        """Return the network's parameters as one vector."""
        return torch.cat([parameter.flatten() for parameter in self.parameters_of_network])

    def distance(self) -> Tensor:
        """Return the squared distance of the parameters from their mean, and count them in."""
        now = self.now()
        distance = (now - self.mean).square().sum() * (self.count > 0)
        self.count += 1
        self.mean += (now.detach() - self.mean) / self.count
        return distance


class HistoricalAveraging(Method):
    """Hold both players' parameters near the mean of all their past values.

    coefficient * |theta - (1/t) sum_i theta_i|^2 is added to each player's loss, theta_i being its
    parameters at its t updates before this one (Salimans et al. 2016; that the present ones are
    not among them is our choice, as is the coefficient: with 1, small networks stayed where they
    started). Of reparametrized layers it takes what is trained.
    """

    label = "Hist. avg."
    papers = ("salimans2016improved",)
    traits = frozenset({Trait.BOUNDS_NOTHING})

    coefficient: NonNegative = 0.01

    def prepare(self, discriminator: Discriminator, real: Tensor) -> None:
        discriminator.add_module("history", History(discriminator))

    def wrap_generator(self, generator: Generator) -> Generator:
        generator.add_module("history", History(generator))
        return generator

    def penalty(self, discriminator: Discriminator, batch: Batch) -> Tensor:
        return self.coefficient * find(discriminator, History).distance()

    def generator_loss(
        self, loss: Tensor, generator: Generator, discriminator: Discriminator, batch: Batch
    ) -> Tensor:
        return loss + self.coefficient * find(generator, History).distance()
