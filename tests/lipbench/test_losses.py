"""The losses on logits r = D(x) and f = D(G(z)), by hand."""

from __future__ import annotations

import math

import pytest
import torch

from lipbench.loss import Loss
from lipbench.plugins import Registry

LOSSES = {name: plugin.load(Loss) for name, plugin in Registry("losses").plugins.items()}
NAMES = sorted(LOSSES)
CASES = [  # loss, parameters, r, f, D's loss, G's loss
    ("non_saturating", {}, 1.0, -1.0, 0.626523, 1.313262),
    ("saturating", {}, 1.0, -1.0, 0.626523, -0.313262),
    ("hinge", {}, 1.0, -1.0, 0.0, 1.0),
    ("wasserstein", {}, 1.0, -1.0, -2.0, 1.0),
    ("least_squares", {}, 1.0, -1.0, 0.5, 2.0),
    ("non_saturating", {}, 0.5, 0.2, 1.272216, 0.598139),
    ("saturating", {}, 0.5, 0.2, 1.272216, -0.798139),
    ("hinge", {}, 0.5, 0.2, 1.7, -0.2),
    ("relativistic", {}, 1.0, -1.0, 0.126928, 2.126928),  # softplus(-2), softplus(2)
    ("relativistic", {}, 0.5, 0.2, 0.554355, 0.854355),
    ("relativistic_average", {}, 1.0, -1.0, 0.253856, 4.253856),
    ("relativistic_average", {}, 0.5, 0.2, 1.108710, 1.708710),
    ("wasserstein", {}, 0.5, 0.2, -0.3, -0.2),
    ("least_squares", {}, 0.5, 0.2, 0.145, 0.32),
    ("wasserstein", {"drift": 0.1}, 2.0, 0.5, -1.5 + 0.1 * 4, -0.5),
    (
        "least_squares",
        {"fake_target": -1.0, "real_target": 2.0, "generator_target": 0.5},
        1.0, 0.0, 0.5 * (1 + 1), 0.5 * 0.25,
    ),
]  # fmt: skip


def of_g(loss: Loss, fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Return G's loss, with the real logits for a loss that asks for them."""
    return loss.generator(fake, real if loss.needs_real else None)


@pytest.mark.parametrize(("name", "params", "r", "f", "loss_d", "loss_g"), CASES)
def test_the_loss_has_the_value_of_its_formula(name, params, r, f, loss_d, loss_g):
    real, fake = torch.tensor([r, r]), torch.tensor([f, f])
    loss = LOSSES[name](**params)
    assert loss.discriminator(real, fake).item() == pytest.approx(loss_d, abs=1e-6)
    assert of_g(loss, fake, real).item() == pytest.approx(loss_g, abs=1e-6)


# Its logits are held against a batch's mean, so it is no mean over single images.
@pytest.mark.parametrize("name", [name for name in NAMES if name != "relativistic_average"])
def test_losses_are_means_over_each_batch_of_scalars(name):
    """With r and f apart: the mean over one image a batch is the loss of the whole batch."""
    loss = LOSSES[name]()
    real, fake = torch.tensor([0.3, -1.5, 2.0]), torch.tensor([0.4, -0.2, 0.9])
    if loss.paired:
        apart = [loss.discriminator(r[None], f[None]) for r, f in zip(real, fake, strict=True)]
        torch.testing.assert_close(loss.discriminator(real, fake), torch.stack(apart).mean())
        return
    whole = loss.discriminator(real, fake)
    apart = [loss.discriminator(r[None], f[None]) for r in real for f in fake]
    torch.testing.assert_close(whole, torch.stack(apart).mean())
    apart = [loss.generator(f[None], None) for f in fake]
    torch.testing.assert_close(loss.generator(fake, None), torch.stack(apart).mean())
    assert whole.shape == ()


@pytest.mark.parametrize("name", NAMES)
def test_d_raises_real_logits_and_lowers_generated_ones_and_g_raises_its_own(name):
    real = torch.tensor([0.5], requires_grad=True)
    fake = torch.tensor([0.2], requires_grad=True)
    loss = LOSSES[name]()
    loss.discriminator(real, fake).backward()
    assert real.grad.item() < 0 < fake.grad.item()
    fake.grad = None
    of_g(loss, fake, real.detach()).backward()
    assert fake.grad.item() < 0


def test_the_relativistic_average_holds_each_logit_against_the_mean_of_the_other_batch():
    """By hand: the mean of 1 and 3 is 2, that of the one generated logit 0.5 is itself."""
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([0.5])
    loss = LOSSES["relativistic_average"]()

    def log1p(x: float) -> float:
        return math.log(1 + math.exp(x))

    of_d = (log1p(-0.5) + log1p(-2.5)) / 2 + log1p(-1.5)
    of_g = (log1p(0.5) + log1p(2.5)) / 2 + log1p(1.5)
    assert loss.discriminator(real, fake).item() == pytest.approx(of_d, abs=1e-6)
    assert loss.generator(fake, real).item() == pytest.approx(of_g, abs=1e-6)


def test_the_means_of_the_relativistic_average_carry_gradients():
    """At logits of 0 each of the two terms gives -1/2 to G's logits, and as much to D's pairs."""
    real, fake = torch.zeros(3, requires_grad=True), torch.zeros(2, requires_grad=True)
    loss = LOSSES["relativistic_average"]()
    loss.generator(fake, real.detach()).backward()
    torch.testing.assert_close(fake.grad, torch.full((2,), -0.5))
    fake.grad = None
    loss.discriminator(real, fake).backward()
    torch.testing.assert_close(fake.grad, torch.full((2,), 0.5))
    torch.testing.assert_close(real.grad, torch.full((3,), -1 / 3))


def test_the_hinge_loss_has_its_margins_at_one_and_minus_one():
    real = torch.tensor([0.9, 1.1], requires_grad=True)
    fake = torch.tensor([-1.1, -0.9], requires_grad=True)
    LOSSES["hinge"]().discriminator(real, fake).backward()
    assert real.grad.tolist() == [-0.5, 0.0]
    assert fake.grad.tolist() == [0.0, 0.5]


def test_the_saturating_generator_loses_its_gradient_where_d_is_sure():
    """d/df of -softplus(f) is -sigmoid(f); of softplus(-f), -sigmoid(-f)."""
    for name, expected in (("saturating", -4.54e-5), ("non_saturating", -1.0)):
        fake = torch.tensor([-10.0], requires_grad=True)
        LOSSES[name]().generator(fake, None).backward()
        assert fake.grad.item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_losses_and_their_gradients_are_finite_for_large_logits(name):
    real = torch.tensor([200.0, -200.0], requires_grad=True)
    fake = torch.tensor([200.0, -200.0], requires_grad=True)
    loss = LOSSES[name]()
    total = loss.discriminator(real, fake) + of_g(loss, fake, real.detach())
    total.backward()
    assert total.isfinite()
    assert real.grad.isfinite().all()
    assert fake.grad.isfinite().all()


def test_one_sided_label_smoothing_is_the_cross_entropy_with_the_target_for_real_images_only():
    real, fake = torch.tensor([0.7, -0.4]), torch.tensor([0.3, 1.2])
    found = LOSSES["non_saturating"](real_target=0.9).discriminator(real, fake)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    expected = entropy(real, torch.full((2,), 0.9)) + entropy(fake, torch.zeros(2))
    torch.testing.assert_close(found, expected)


def test_with_smoothing_the_optimum_is_half_the_target_where_the_densities_agree():
    """With target .75 and r = f (the same images), D = .75 / 2 = .375 has no gradient."""
    logit = torch.tensor([math.log(0.375 / 0.625)], requires_grad=True)
    LOSSES["non_saturating"](real_target=0.75).discriminator(logit, logit).backward()
    assert logit.grad.item() == pytest.approx(0.0, abs=1e-6)


def test_a_target_of_one_is_no_smoothing_and_the_generators_loss_has_none():
    real, fake = torch.tensor([0.7]), torch.tensor([0.3])
    plain, one = LOSSES["non_saturating"](), LOSSES["non_saturating"](real_target=1.0)
    torch.testing.assert_close(plain.discriminator(real, fake), one.discriminator(real, fake))
    smooth = LOSSES["saturating"](real_target=0.9)
    assert smooth.generator(fake, None) == LOSSES["saturating"]().generator(fake, None)


def test_drift_pins_the_constant_that_the_wasserstein_loss_leaves_free():
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([0.5])
    plain, pinned = LOSSES["wasserstein"](), LOSSES["wasserstein"](drift=0.01)
    shifted = plain.discriminator(real + 5, fake + 5)
    torch.testing.assert_close(shifted, plain.discriminator(real, fake))
    expected = 0.01 * ((36 + 64) / 2 - (1 + 9) / 2)
    difference = pinned.discriminator(real + 5, fake + 5) - pinned.discriminator(real, fake)
    assert difference.item() == pytest.approx(expected, rel=1e-5)
