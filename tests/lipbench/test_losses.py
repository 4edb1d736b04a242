"""The losses at r = D(x) = 1 and f = D(G(z)) = -1, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from lipbench.losses import LOSSES

SOFTPLUS = math.log1p(math.exp(-1))  # of -1: .313262


@pytest.mark.parametrize(
    ("name", "loss_d", "loss_g"),
    [
        ("non_saturating", 2 * SOFTPLUS, 1 + SOFTPLUS),
        ("hinge", 0.0, 1.0),
        ("wasserstein", -2.0, 1.0),
    ],
)
def test_the_loss_has_the_value_of_its_formula(name, loss_d, loss_g):
    real, fake = torch.tensor([1.0, 1.0]), torch.tensor([-1.0, -1.0])
    loss = LOSSES[name]()
    assert loss.discriminator(real, fake).item() == pytest.approx(loss_d)
    assert loss.generator(fake).item() == pytest.approx(loss_g)


def test_the_hinge_loss_has_its_margin_at_one():
    real, fake = torch.tensor([0.5]), torch.tensor([0.2])
    assert LOSSES["hinge"]().discriminator(real, fake).item() == pytest.approx(1.7)
