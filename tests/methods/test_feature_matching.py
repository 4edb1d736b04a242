"""The method feature_matching, on cases that can be solved by hand."""

from __future__ import annotations

import math

import torch

from ._training_side import Shifts, noise


def test_feature_matching_is_the_squared_distance_of_the_mean_features(make, linear, batch):
    """Features are the pixels here: means (1, 2) and (0, 0), so 5, with gradient -2 (1, 2) / 2."""
    discriminator = linear([7.0, 7.0])
    real = torch.tensor([[0.0, 1.0], [2.0, 3.0]])[:, None, None]
    fake = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])[:, None, None].requires_grad_()
    given = batch(discriminator, real, fake)
    loss = make("feature_matching").generator_loss(
        torch.tensor(99.0), Shifts(), discriminator, given
    )
    assert math.isclose(loss.item(), 5.0, rel_tol=1e-6)
    loss.backward()
    expected = torch.tensor([-1.0, -2.0]).expand(2, 1, 1, 2)
    torch.testing.assert_close(fake.grad, expected)


def test_feature_matching_costs_nothing_where_the_means_agree(make, linear, batch):
    discriminator = linear([7.0, 7.0])
    images = noise(4, 1, 1, 2)
    given = batch(discriminator, images, images.flip(0))
    loss = make("feature_matching").generator_loss(
        torch.tensor(99.0), Shifts(), discriminator, given
    )
    assert math.isclose(loss.item(), 0.0, abs_tol=1e-10)


def test_feature_matching_leaves_the_discriminators_loss_alone(make):
    assert make("feature_matching").hooks() == ("generator_loss",)
