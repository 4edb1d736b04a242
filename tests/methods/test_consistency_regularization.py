"""The method consistency_regularization, on cases that can be solved by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from lipbench.method import Batch

from ._training_side import Corner, augmentations, noise


def test_consistency_regularization_is_the_squared_difference_of_the_logits(make):
    """Flipped, the corner's 3 becomes 1: (3 - 1)^2 * 10 for flipped images, else 0."""
    discriminator = Corner(2)
    real = torch.tensor([[3.0, 1.0]]).expand(64, 1, 1, 2)
    method = make("consistency_regularization", shift=0.0)
    given = Batch(real, real, discriminator(real), discriminator(real))
    torch.manual_seed(0)
    penalty = method.penalty(discriminator, given)
    flipped = (discriminator.seen[-1][:, 0, 0, 0] == 1.0).float().mean().item()
    assert 0.3 < flipped < 0.7
    assert math.isclose(penalty.item(), 10 * 4 * flipped, rel_tol=1e-6)
    penalty.backward()  # of (s * 3 - s * 1)^2 by s: both logits have their gradient
    assert math.isclose(discriminator.scale.grad.item(), 2 * penalty.item(), rel_tol=1e-5)


def test_consistency_regularization_without_augmentation_costs_nothing(make, linear, batch):
    discriminator = linear([1.0, 2.0])
    method = make("consistency_regularization", shift=0.0, flip=False)
    assert method.penalty(discriminator, batch(discriminator)).item() == 0.0


def test_consistency_regularization_leaves_generated_images_alone(make, linear, batch):
    discriminator, real = linear([1.0, 2.0]), noise(4, 1, 1, 2)
    found = []
    for fake in (noise(4, 1, 1, 2, seed=1), noise(4, 1, 1, 2, seed=2)):
        torch.manual_seed(0)
        given = batch(discriminator, real, fake)
        found.append(make("consistency_regularization").penalty(discriminator, given).item())
    assert found[0] == found[1] > 0


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [16, 32])
def test_augmented_images_are_moved_and_flipped_ones_with_black_around(make, channels, size):
    images = torch.rand(40, channels, size, size, generator=torch.Generator().manual_seed(3))
    limit = round(0.2 * size)
    found = augmentations(make, images)
    moves = set()
    for image, augmented in zip(images, found, strict=True):
        matches = []
        for flip in (False, True):
            source = image.flip(-1) if flip else image
            padded = nn.functional.pad(source, (limit,) * 4, value=-1.0)
            matches += [
                (flip, dy, dx)
                for dy in range(-limit, limit + 1)
                for dx in range(-limit, limit + 1)
                if torch.equal(augmented, padded[:, limit + dy :, limit + dx :][:, :size, :size])
            ]
        (match,) = matches
        moves.add(match)
    flips, ys, xs = (set(values) for values in zip(*moves, strict=True))
    assert flips == {False, True}
    assert len(ys) > limit
    assert len(xs) > limit


def test_augmented_images_stay_where_they_are_without_a_shift_and_a_flip(make):
    images = noise(5, 3, 16, 16)
    assert torch.equal(augmentations(make, images, shift=0.0, flip=False), images)


def test_a_shift_by_all_of_an_image_is_allowed(make):
    found = augmentations(make, noise(50, 1, 16, 16), shift=1.0)
    assert found.shape == (50, 1, 16, 16)
