"""The method minibatch_discrimination, on cases that can be solved by hand."""

from __future__ import annotations

import math

import pytest
import torch

from lipbench.architectures.standard_cnn import StandardDiscriminator

from ._activations import (
    noise,
    with_closeness,
)


def test_minibatch_discrimination_leaves_an_image_itself_out(make):
    """Two points 0 and 1: each has exp(-1); one alone has nothing."""
    found = with_closeness(make, torch.tensor([[0.0], [1.0]]))
    torch.testing.assert_close(found, torch.full((2, 1), 0.367879), atol=1e-6, rtol=0)
    assert with_closeness(make, torch.tensor([[3.0]])).abs().max() < 1e-6


def test_minibatch_discrimination_sums_over_others_the_l1_distance_of_each_kernel(make):
    torch.manual_seed(0)
    discriminator = StandardDiscriminator((1, 16, 16), 0.125)
    plain = discriminator.head
    make("minibatch_discrimination", kernels=7, dimensions=3).wrap(discriminator)
    head, features = discriminator.head, noise(5, plain.in_features)
    points = torch.einsum("bf,fkd->bkd", features, head.tensor)
    expected = plain(features)[:, 0]
    for i in range(5):
        for j in {*range(5)} - {i}:
            close = torch.exp(-(points[i] - points[j]).abs().sum(dim=1))
            expected[i] += close @ head.closeness.weight[0]
    torch.testing.assert_close(head(features)[:, 0], expected, atol=1e-5, rtol=1e-5)


def test_minibatch_discriminations_tensor_starts_as_in_its_code(make):
    """N(0, 0.05^2); after a first batch, the nearest other image is at a mean distance of 2."""
    torch.manual_seed(0)
    discriminator = StandardDiscriminator((1, 16, 16), 0.125)
    method = make("minibatch_discrimination")
    method.wrap(discriminator)
    head, images = discriminator.head, noise(9, 1, 16, 16)
    assert head.tensor.shape == (head.head.in_features, 100, 5)
    assert math.isclose(head.tensor.std().item(), 0.05, rel_tol=0.01)
    with torch.no_grad():
        method.prepare(discriminator, images)
        distances = head.distances(discriminator.features(images))
    others = distances[~torch.eye(9, dtype=torch.bool)].view(9, 8, 100)
    nearest = others.min(dim=1).values.mean(dim=0)
    torch.testing.assert_close(nearest, torch.full((100,), 2.0), atol=1e-3, rtol=0)


@pytest.mark.parametrize("count", [1, 3])
def test_minibatch_discriminations_tensor_stays_where_a_first_batch_has_no_distances(make, count):
    discriminator = StandardDiscriminator((1, 16, 16), 0.125)
    method = make("minibatch_discrimination")
    method.wrap(discriminator)
    before = discriminator.head.tensor.clone()
    with torch.no_grad():
        method.prepare(discriminator, torch.zeros(count, 1, 16, 16))
    assert torch.equal(discriminator.head.tensor, before)
