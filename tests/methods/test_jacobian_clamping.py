"""The method jacobian_clamping, on cases that can be solved by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ._penalties import (
    Scaling,
    generator,
)


@pytest.mark.parametrize(("gain", "cost"), [(0.5, 0.25), (22.0, 4.0), (5.0, 0.0), (0.0, 1.0)])
def test_jacobian_clamping_costs_only_gains_out_of_its_bounds(make, linear, batch, gain, cost):
    network, discriminator = Scaling(gain), linear([0.0] * 128)
    fake = network(torch.randn(64, 128, generator=generator()))
    given = batch(discriminator, fake=fake, real=fake.detach())
    loss = torch.tensor(7.0)
    for fields in ({}, {"distance": 1e-2}, {"coefficient": 2.0}):
        method = make("jacobian_clamping", **fields)
        found = method.generator_loss(loss, network, discriminator, given)
        expected = 7.0 + fields.get("coefficient", 1.0) * cost
        assert math.isclose(found.item(), expected, rel_tol=1e-3)


def test_jacobian_clamping_steps_its_distance_from_latents_of_its_own(make, linear, batch):
    network, discriminator = Scaling(5.0), linear([0.0] * 128)
    given = batch(discriminator, fake=torch.randn(64, 1, 8, 16, generator=generator()))
    seen: list[Tensor] = []
    network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    torch.manual_seed(0)
    make("jacobian_clamping", distance=0.5).generator_loss(
        torch.zeros(()), network, discriminator, given
    )
    latents, moved = seen[0].chunk(2)
    torch.testing.assert_close((moved - latents).norm(dim=1), torch.full((64,), 0.5))
    assert latents.shape == (64, 128)
    assert math.isclose(latents.std().item(), 1.0, rel_tol=0.05)


@pytest.mark.parametrize(("gain", "slope"), [(0.5, -1.0), (22.0, 4.0), (5.0, 0.0), (0.0, 0.0)])
def test_jacobian_clamping_pulls_the_generator_and_not_d(make, linear, batch, gain, slope):
    """d/da of (1 - a)^2 and (a - 20)^2; a gain of 0 has no direction to move in."""
    network, discriminator = Scaling(gain), linear([0.0] * 128)
    given = batch(discriminator, fake=torch.randn(64, 1, 8, 16, generator=generator()))
    make("jacobian_clamping").generator_loss(
        torch.zeros(()), network, discriminator, given
    ).backward()
    assert math.isclose(network.gain.grad.item(), slope, rel_tol=1e-4, abs_tol=1e-6)
    assert discriminator.head.weight.grad is None
