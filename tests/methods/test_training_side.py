"""Methods that change images, losses or the players' objectives, on cases solved by hand."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from lipbench.architectures.standard_cnn import StandardDiscriminator
from lipbench.discriminators import gradient
from lipbench.method import Batch
from lipbench.networks import Generator
from lipbench.streams import Latents


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def logits(real: list[float], fake: list[float], step: int = 0) -> Batch:
    """A batch of which only the logits matter."""
    real_logits = torch.tensor(real, requires_grad=True)
    fake_logits = torch.tensor(fake, requires_grad=True)
    images = torch.zeros(len(real), 1, 1, 1)
    return Batch(images, images, real_logits, fake_logits, step)


class Shifts(Generator):
    """G(z) = z + one number: its parameter is known."""

    def __init__(self) -> None:
        super().__init__(Latents(2))
        self.shift = nn.Parameter(torch.zeros(1))

    def compute(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs + self.shift


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


class Corner(StandardDiscriminator):
    """D(x) = the first pixel of the first row: it sees any augmentation."""

    def __init__(self, size: int) -> None:
        super().__init__((1, 16, 16), 0.125)
        self.scale = nn.Parameter(torch.ones(()))
        self.seen: list[torch.Tensor] = []

    def compute(self, inputs: torch.Tensor) -> torch.Tensor:
        self.seen.append(inputs)
        return self.scale * inputs[:, 0, 0, 0]


def augmentations(make, images: torch.Tensor, **fields: float) -> torch.Tensor:
    discriminator = Corner(16)
    torch.manual_seed(0)
    given = Batch(images, images, torch.zeros(len(images)), torch.zeros(len(images)))
    make("consistency_regularization", **fields).penalty(discriminator, given)
    (seen,) = discriminator.seen
    return seen


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


def test_lecam_is_the_squared_distance_beyond_the_others_average(make, linear):
    """Averages 1 and -1; D(x) = 2 and D(G(z)) = -2: 3^2 + 3^2 = 18; D(x) = -2 is within."""
    method = make("lecam", coefficient=1.0, decay=1.0, start=0)
    discriminator = method.wrap(linear([1.0]))
    assert method.penalty(discriminator, logits([1.0], [-1.0], step=0)).item() == 0.0
    given = logits([2.0], [-2.0], step=1)
    penalty = method.penalty(discriminator, given)
    assert penalty.item() == 18.0
    penalty.backward()
    assert given.real_logits.grad.item() == 6.0
    assert given.fake_logits.grad.item() == -6.0
    assert method.penalty(discriminator, logits([-2.0], [2.0], step=2)).item() == 0.0


def test_lecams_averages_move_first_by_a_tenth_of_this_updates_means(make, linear):
    """From 1 and -1 by means 2 and -3: 1.1 and -1.2, so .3 ((2 + 1.2)^2 + (1.1 + 3)^2)."""
    method = make("lecam", start=0)
    discriminator = method.wrap(linear([1.0]))
    method.penalty(discriminator, logits([0.0, 2.0], [-1.0, -1.0], step=0))
    penalty = method.penalty(discriminator, logits([2.0, 2.0], [-3.0, -3.0], step=1))
    assert math.isclose(penalty.item(), 0.3 * (3.2**2 + 4.1**2), rel_tol=1e-5)
    state = discriminator.state_dict()
    assert math.isclose(state["anchors.real"].item(), 1.1, rel_tol=1e-5)
    assert math.isclose(state["anchors.fake"].item(), -1.2, rel_tol=1e-5)


def test_lecams_averages_are_the_last_means_until_its_start(make, linear):
    method = make("lecam")
    discriminator = method.wrap(linear([1.0]))
    for step, value in ((0, 5.0), (1000, 7.0)):
        penalty = method.penalty(discriminator, logits([value], [-value], step=step))
        assert penalty.item() == 0.0
        assert discriminator.state_dict()["anchors.real"].item() == value
    assert method.penalty(discriminator, logits([7.0], [-7.0], step=1001)).item() > 0


def test_lecam_averages_at_updates_that_its_laziness_leaves_out(make, linear):
    method = make("lecam", coefficient=1.0, decay=0.5, start=0, every=4)
    discriminator = method.wrap(linear([1.0]))
    for step, value in ((0, 0.0), (1, 8.0), (2, 8.0), (3, 8.0)):
        assert method.penalty(discriminator, logits([value], [0.0], step=step)).item() == 0.0
    assert discriminator.state_dict()["anchors.real"].item() == 7.0
    penalty = method.penalty(discriminator, logits([7.0], [0.0], step=4))
    assert penalty.item() == 4 * (7.0**2 + 7.0**2)
