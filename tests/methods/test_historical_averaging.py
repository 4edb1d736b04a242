"""The method historical_averaging, on cases that can be solved by hand."""

from __future__ import annotations

import copy
import math

import torch
from torch.nn.utils import parametrizations

from lipbench.architectures.standard_cnn import StandardDiscriminator

from ._training_side import Shifts, logits


def test_historical_averaging_penalizes_the_distance_from_the_mean_of_the_past(
    make, linear, batch, prepared
):
    """Of 0 and then 2, theta = 4 is 4 - 1 = 3 away: 9, with gradient 2 * 3."""
    method = make("historical_averaging", coefficient=1.0)
    discriminator = prepared(method, linear([0.0]))
    found = []
    for value in (0.0, 2.0, 4.0):
        with torch.no_grad():
            discriminator.head.weight.fill_(value)
        found.append(method.penalty(discriminator, batch(discriminator)))
    assert [penalty.item() for penalty in found] == [0.0, 4.0, 9.0]
    found[-1].backward()
    assert discriminator.head.weight.grad.item() == 6.0


def test_historical_averaging_starts_at_nothing_wherever_the_parameters_are(
    make, linear, batch, prepared
):
    method = make("historical_averaging")
    discriminator = prepared(method, linear([3.0, 4.0]))
    assert method.penalty(discriminator, batch(discriminator)).item() == 0.0


def test_historical_averaging_adds_the_generators_distance_to_its_loss(
    make, linear, batch, prepared
):
    method = make("historical_averaging", coefficient=0.5)
    discriminator, generator = prepared(method, linear([1.0])), method.wrap_generator(Shifts())
    found = []
    for value in (0.0, 2.0, 4.0):
        with torch.no_grad():
            generator.shift.fill_(value)
        loss = torch.tensor(10.0)
        given = batch(discriminator)
        found.append(method.generator_loss(loss, generator, discriminator, given))
    assert [loss.item() for loss in found] == [10.0, 12.0, 14.5]
    found[-1].backward()
    assert generator.shift.grad.item() == 0.5 * 6.0
    assert method.penalty(discriminator, given).item() == 0.0  # D has a history of its own


def test_historical_averagings_state_is_buffers_and_its_copies_follow_the_copy(
    make, linear, prepared
):
    method = make("historical_averaging", coefficient=1.0)
    discriminator = prepared(method, linear([0.0, 0.0]))
    assert [name for name, _ in discriminator.named_parameters()] == ["head.weight"]
    assert discriminator.state_dict()["history.mean"].shape == (2,)
    twin = copy.deepcopy(discriminator)
    for _ in range(2):
        method.penalty(twin, logits([0.0], [0.0]))
        with torch.no_grad():
            twin.head.weight.fill_(3.0)
    assert method.penalty(twin, logits([0.0], [0.0])).item() == 2 * 1.5**2
    assert discriminator.state_dict()["history.count"].item() == 0


def test_historical_averaging_follows_what_a_later_method_reparametrizes(make, batch, prepared):
    torch.manual_seed(0)
    method = make("historical_averaging", coefficient=1.0)
    discriminator = prepared(method, StandardDiscriminator((1, 16, 16), 0.125))
    for layer in discriminator.layers():
        parametrizations.spectral_norm(layer)
    images = torch.zeros(2, 1, 16, 16)
    method.penalty(discriminator, batch(discriminator, images, images))
    with torch.no_grad():
        for parameter in discriminator.parameters():
            parameter += 0.1
    count = sum(parameter.numel() for parameter in discriminator.parameters())
    penalty = method.penalty(discriminator, batch(discriminator, images, images))
    assert math.isclose(penalty.item(), 0.01 * count, rel_tol=1e-3)
    penalty.backward()
    for parameter in discriminator.parameters():
        expected = torch.full_like(parameter, 0.2)
        torch.testing.assert_close(parameter.grad, expected, atol=1e-5, rtol=1e-4)
