"""The method instance_noise, on cases that can be solved by hand."""

from __future__ import annotations

import math

import pytest
import torch

from lipbench.discriminators import gradient

from ._training_side import noise


def test_instance_noise_has_its_deviation_and_is_drawn_anew_at_each_pass(make, linear):
    """D = x1 + x2 has logits of noise alone at 0: of deviation sqrt(2) * 0.5."""
    discriminator = make("instance_noise", std=0.5).wrap(linear([1.0, 1.0]))
    torch.manual_seed(0)
    zeros = torch.zeros(20_000, 1, 1, 2)
    first, second = discriminator(zeros), discriminator(zeros)
    assert not torch.equal(first, second)
    assert math.isclose(first.std().item(), 0.5 * math.sqrt(2), rel_tol=0.02)
    assert abs(first.mean().item()) < 0.02


def test_instance_noise_is_off_in_eval_mode_and_leaves_the_gradient_alone(make, linear):
    discriminator = make("instance_noise").wrap(linear([3.0, 4.0]))
    images = noise(5, 1, 1, 2)
    _, gradients = gradient(discriminator, images)
    torch.testing.assert_close(gradients, torch.tensor([3.0, 4.0]).expand(5, 1, 1, 2))
    discriminator.eval()
    torch.testing.assert_close(discriminator(images), images.flatten(1) @ torch.tensor([3.0, 4.0]))


@pytest.mark.parametrize(("annealed", "expected"), [(True, 0.15), (False, 0.2)])
def test_instance_noise_falls_linearly_with_progress_if_annealed(
    make, linear, batch, annealed, expected
):
    method = make("instance_noise", std=0.2, annealed=annealed)
    discriminator = method.wrap(linear([1.0, 0.0]))
    assert method.penalty(discriminator, batch(discriminator, progress=0.25)).item() == 0
    torch.manual_seed(0)
    found = discriminator(torch.zeros(20_000, 1, 1, 2)).std().item()
    assert math.isclose(found, expected, rel_tol=0.02)
    assert math.isclose(discriminator.state_dict()["body.std"].item(), expected, rel_tol=1e-6)


def test_instance_noise_is_on_the_features_too(make, linear):
    discriminator = make("instance_noise").wrap(linear([1.0, 1.0]))
    assert discriminator.features(torch.zeros(3, 1, 1, 2)).abs().min() > 0
