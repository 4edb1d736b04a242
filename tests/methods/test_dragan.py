"""The method dragan, on cases that can be solved by hand."""

from __future__ import annotations

import math

import torch

from ._penalties import (
    seen_by,
)


def test_dragans_points_lie_on_one_side_of_real_images(make, linear, batch):
    """real + a * .5 std * u, a and u in [0, 1]: std, of 64 times -1 and 3, is 2."""
    discriminator = linear([1.0] * 50)
    real = torch.tensor([-1.0, 3.0]).repeat(32).view(64, 1, 1, 1).repeat(1, 1, 1, 50)
    given = batch(discriminator, real, torch.full_like(real, 100.0))
    torch.manual_seed(0)
    (points,) = seen_by(discriminator, lambda: make("dragan").penalty(discriminator, given))
    noise = points - real
    assert noise.min() >= 0
    assert 0.9 < noise.max() <= 1
    assert math.isclose(noise.mean().item(), 0.25, abs_tol=0.05)  # of a uniform a times u
    largest = noise.amax(dim=(1, 2, 3))  # nearly a, for each image
    assert largest.min() < 0.2
    assert largest.max() > 0.8


def test_dragans_noise_has_the_whole_batchs_deviation(make, linear, batch):
    """Of the pixels -1 and 3 of one image: 2, so the noise reaches .5 * 2."""
    discriminator = linear([1.0, 1.0])
    given = batch(discriminator, torch.tensor([[[[-1.0, 3.0]]]]), torch.zeros(1, 1, 1, 2))
    torch.manual_seed(0)
    seen = [
        seen_by(discriminator, lambda: make("dragan").penalty(discriminator, given))[0]
        for _ in range(200)
    ]
    noise = torch.cat(seen) - given.real
    assert noise.min() >= 0
    assert 0.9 < noise.max() <= 1
