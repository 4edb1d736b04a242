"""The training loop: pairing, order, counts, divergence."""

from __future__ import annotations

import copy
import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from lipbench import data, paths, streams
from lipbench.architectures.standard_cnn import StandardCNN, StandardDiscriminator
from lipbench.dataset import load
from lipbench.datasets.digits import Digits
from lipbench.method import Batch, Method, Requires
from lipbench.networks import INITIALISATIONS, initialise
from lipbench.planning import parts
from lipbench.planning.parts import Parts
from lipbench.planning.spec import (
    ArchitectureSpec,
    Augmentation,
    Budget,
    DatasetSpec,
    LossSpec,
    RunSpec,
    Setting,
)
from lipbench.plugins import Plugins, Registry
from lipbench.training import batches, loop

CPU = torch.device("cpu")
ARCHITECTURE = StandardCNN(width=0.125)
SPEC = RunSpec(
    methods=(),
    setting=Setting(2e-4, 0.5, 0.999, 2),
    architecture=ArchitectureSpec("standard_cnn", dataclasses.asdict(ARCHITECTURE)),
    initialisation="normal_0.02",
    loss=LossSpec("non_saturating", {}),
    dataset=DatasetSpec("digits", "", (1, 16, 16)),
    budget=Budget(4, 8, 6, "constant"),
    precision="float32",
    ema_decay=None,
    seed=0,
)


class Recorder(Method):
    """Writes down what the loop hands to its hooks, and the calls' order."""

    label = "recorder"

    def __post_init__(self) -> None:
        object.__setattr__(self, "calls", [])
        object.__setattr__(self, "batches", [])
        object.__setattr__(self, "draws", [])

    def penalty(self, discriminator, batch):
        self.calls.append("penalty")
        self.batches.append(batch)
        self.draws.append(torch.rand(1).item())
        return super().penalty(discriminator, batch)

    def project(self, discriminator, step):
        assert not torch.is_grad_enabled()
        self.calls.append("project")


@pytest.fixture(scope="module")
def digits() -> data.Split:
    cache = paths.cache_root()
    return load(Digits(), Digits().inspect(cache), cache, CPU).train


def method(name: str) -> Method:
    return Registry("methods")[name].load(Method)()


def build(spec: RunSpec, methods: list[Method], digits: data.Split) -> loop.TrainState:
    loss = parts.loss(spec.loss.name, spec.loss.params, Plugins())
    return loop.build(spec, Parts(tuple(methods), loss, ARCHITECTURE), digits)


def trained(digits, methods=(), spec=SPEC):
    state = build(spec, list(methods), digits)
    for _ in loop.train(spec, digits, state):
        pass
    return state


def test_one_update_is_n_dis_updates_of_d_each_followed_by_the_projection(digits):
    recorder = Recorder()
    trained(digits, [recorder])
    assert recorder.calls == ["penalty", "project"] * 2 * 4


def test_every_update_of_d_sees_a_new_batch_of_each_kind(digits):
    recorder = Recorder()
    trained(digits, [recorder])
    for part in ("real", "fake"):
        seen = [getattr(batch, part) for batch in recorder.batches]
        assert all(images.shape == (8, 1, 16, 16) for images in seen)
        assert all(images.min() >= -1 and images.max() <= 1 for images in seen)
        assert not any(torch.equal(a, b) for a, b in itertools.pairwise(seen))


def test_no_two_updates_of_d_or_g_share_latents(digits):
    spec = dataclasses.replace(SPEC, budget=Budget(4, 8, 8, "constant"))
    state = build(spec, [], digits)
    seen = []
    state.generator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for _ in loop.train(spec, digits, state):
        pass
    assert len(seen) == 4 * (spec.setting.n_dis + 1)
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(seen, 2))


def test_two_methods_at_one_seed_see_the_same_weights_batches_and_latents(digits):
    alone, beside = Recorder(), Recorder()
    a = build(SPEC, [alone], digits)
    b = build(SPEC, [method("spectral_norm"), beside], digits)
    assert torch.equal(a.generator.dense.weight, b.generator.dense.weight)
    originals = [m.parametrizations.weight.original for m in b.discriminator.layers()]
    for layer, weight in zip(a.discriminator.layers(), originals, strict=True):
        assert torch.equal(layer.weight, weight)
    next(loop.train(SPEC, digits, a))
    next(loop.train(SPEC, digits, b))
    assert torch.equal(alone.batches[1].real, beside.batches[1].real)
    assert torch.equal(alone.batches[0].fake, beside.batches[0].fake)
    assert alone.draws == beside.draws  # the hooks' own randomness is paired too


def test_another_seed_sees_other_weights_and_batches(digits):
    first, second = Recorder(), Recorder()
    a = trained(digits, [first])
    b = trained(digits, [second], dataclasses.replace(SPEC, seed=1))
    assert not torch.equal(a.generator.dense.weight, b.generator.dense.weight)
    assert not torch.equal(first.batches[0].real, second.batches[0].real)


def test_what_else_draws_random_numbers_does_not_disturb_training(digits):
    expected = trained(digits, [method("wgan_gp")])
    state = build(SPEC, [method("wgan_gp")], digits)
    for _ in loop.train(SPEC, digits, state):
        torch.randn(17)
    assert torch.equal(state.generator.dense.weight, expected.generator.dense.weight)


def test_gs_update_changes_nothing_of_d_not_even_gradients_and_ds_nothing_of_g(digits):
    spec = dataclasses.replace(SPEC, setting=dataclasses.replace(SPEC.setting, n_dis=1))
    state = build(spec, [], digits)
    head, dense = state.discriminator.head.weight, state.generator.dense.weight
    start = dense.clone()
    seen = {}

    def after_d(*_):
        seen.update(g=dense.clone(), d=head.clone(), d_gradient=head.grad.clone())

    state.optimizer_d.register_step_post_hook(after_d)
    next(loop.train(spec, digits, state))
    assert torch.equal(seen["g"], start)
    assert not torch.equal(dense, start)
    assert torch.equal(seen["d"], head)
    assert torch.equal(seen["d_gradient"], head.grad)
    assert all(weight.requires_grad for weight in state.discriminator.parameters())


def test_an_update_of_d_is_one_power_iteration_and_so_is_one_of_g(digits, monkeypatch):
    state = build(SPEC, [method("spectral_norm")], digits)
    parametrization = state.discriminator.head.parametrizations.weight[0]
    rounds = []
    original = parametrization._power_method
    monkeypatch.setattr(
        parametrization, "_power_method", lambda *given: (rounds.append(1), original(*given))
    )
    next(loop.train(SPEC, digits, state))
    assert len(rounds) == SPEC.setting.n_dis + 1


@pytest.mark.parametrize(
    ("schedule", "expected"), [("constant", [1] * 4), ("linear", [1, 0.75, 0.5, 0.25])]
)
def test_the_learning_rate_follows_its_schedule(digits, schedule, expected):
    spec = dataclasses.replace(SPEC, budget=dataclasses.replace(SPEC.budget, schedule=schedule))
    state = build(spec, [], digits)
    rates = [
        state.optimizer_d.param_groups[0]["lr"] / 2e-4 for _ in loop.train(spec, digits, state)
    ]
    assert rates == pytest.approx(expected)


def test_metrics_are_means_since_the_last_reading(digits):
    state = build(SPEC, [], digits)
    meter = loop.Meter(CPU)
    meter.add(1, torch.tensor([1.0, 0, 0, 0, 2.0]))
    meter.add(2, torch.tensor([3.0, 0, 0, 0, 4.0]))
    assert meter.read() == {
        "loss_d": 2,
        "penalty": 0,
        "real_logit": 0,
        "fake_logit": 0,
        "loss_g": 3,
    }
    meter.add(3, torch.tensor([5.0, 0, 0, 0, 0.0]))
    assert meter.read()["loss_d"] == 5
    assert int(state.meter.first_non_finite) == -1


def test_the_first_update_that_is_not_finite_is_remembered():
    meter = loop.Meter(CPU)
    for update, value in enumerate([1.0, float("nan"), float("inf"), 1.0], start=1):
        meter.add(update, torch.tensor([value, 0, 0, 0, 0]))
    assert int(meter.first_non_finite) == 2


def test_the_moving_average_is_scored_only_where_a_suite_asks_for_it(digits):
    live = trained(digits)
    assert live.sampler is live.generator
    averaged = trained(digits, spec=dataclasses.replace(SPEC, ema_decay=0.5))
    assert torch.equal(live.generator.dense.weight, averaged.generator.dense.weight)
    assert not torch.equal(averaged.sampler.dense.weight, averaged.generator.dense.weight)


def test_a_resumed_run_goes_on_with_its_moving_average(digits):
    spec = dataclasses.replace(SPEC, ema_decay=0.5)
    whole = trained(digits, spec=spec)
    state = build(spec, [], digits)
    next(loop.train(spec, digits, state))
    resumed = build(spec, [], digits)
    resumed.load_state_dict(state.state_dict())
    for _ in loop.train(spec, digits, resumed):
        pass
    assert torch.equal(resumed.sampler.dense.weight, whole.sampler.dense.weight)


@pytest.fixture
def mapped(digits: data.Split, tmp_path: Path) -> data.Split:
    """Return the digits, mapped from disk."""
    np.save(tmp_path / "digits.npy", digits.samples.numpy())
    samples = torch.from_numpy(np.load(tmp_path / "digits.npy", mmap_mode="c"))
    return dataclasses.replace(digits, samples=samples, is_mapped=True)


@pytest.mark.parametrize("augmentation", [Augmentation(), Augmentation(True, 2, True)])
def test_training_on_mapped_data_gives_the_bits_of_resident_data_stopped_or_not(
    digits, mapped, augmentation
):
    spec = dataclasses.replace(SPEC, augmentation=augmentation)
    resident = trained(digits, [method("gan_gp")], spec)
    streamed = trained(mapped, [method("gan_gp")], spec)
    state = build(spec, [method("gan_gp")], mapped)
    next(loop.train(spec, mapped, state))
    resumed = build(spec, [method("gan_gp")], mapped)
    resumed.load_state_dict(state.state_dict())
    for _ in loop.train(spec, mapped, resumed):
        pass
    for network in ("generator", "discriminator"):
        weights = getattr(resident, network).state_dict()
        for other in (streamed, resumed):
            theirs = getattr(other, network).state_dict()
            assert all(torch.equal(weights[name], theirs[name]) for name in weights)


def sigma(layer: nn.Module) -> float:
    """The largest singular value of a layer's weight, (outputs, rest), in float64."""
    weight = layer.weight.detach().double()
    rows = weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight
    return torch.linalg.matrix_norm(rows.flatten(1), 2).item()


AGGRESSIVE = dataclasses.replace(
    SPEC,
    setting=Setting(1e-3, 0.9, 0.999, 1),
    ema_decay=0.999,
    budget=Budget(40, 8, 8, "constant"),
)


def test_the_averaged_generator_is_normalized_as_the_live_one_is(digits):
    """At setting F the vectors of the live G give the average sigmas far from 1."""
    state = trained(digits, [method("spectral_norm_generator")], AGGRESSIVE)
    raw = state.average.module.eval()
    assert max(abs(sigma(layer) - 1) for layer in raw.layers()) > 0.1
    sampler = state.sampler.eval()
    assert [sigma(layer) for layer in sampler.layers()] == pytest.approx([1] * 5, rel=1e-3)


def test_the_sampler_is_a_function_of_the_checkpoint_and_disturbs_nothing(digits):
    methods = [method("spectral_norm_generator")]
    state = trained(digits, methods, AGGRESSIVE)
    before = copy.deepcopy(state.state_dict())
    draws = torch.get_rng_state()
    first, second = state.sampler.state_dict(), state.sampler.state_dict()
    assert torch.equal(draws, torch.get_rng_state())
    restored = build(AGGRESSIVE, methods, digits)
    restored.load_state_dict(before)
    third = restored.sampler.state_dict()
    for name, value in first.items():
        assert torch.equal(value, second[name])
        assert torch.equal(value, third[name])
        moves = name.endswith(("._u", "._v"))
        assert moves or torch.equal(value, before["average"][f"module.{name}"])
    for part in ("generator", "average"):
        for name, value in getattr(state, part).state_dict().items():
            assert torch.equal(value, before[part][name])


def test_a_run_that_is_sampled_trains_as_one_that_is_not(digits):
    methods = [method("spectral_norm_generator")]
    expected = trained(digits, methods, AGGRESSIVE)
    state = build(AGGRESSIVE, methods, digits)
    for _ in loop.train(AGGRESSIVE, digits, state):
        assert state.sampler is not state.generator
    for name, value in state.generator.state_dict().items():
        assert torch.equal(value, expected.generator.state_dict()[name])


class Following(nn.Module):
    """Divide a weight by its norm as it was at the last evaluations in training mode."""

    def __init__(self, lag: float) -> None:
        super().__init__()
        self.lag, self.evaluations = lag, 0
        self.register_buffer("norm", torch.ones(()))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        self.evaluations += 1
        if self.training:
            self.norm = self.norm.lerp(weight.detach().norm(), 1 - self.lag)  # another tensor
        return weight / self.norm.clone()


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("lag", [0.0, 0.5])
def test_any_parametrization_with_buffers_settles_in_a_copy_and_keeps_its_mode(lag, mode):
    layer = nn.Linear(4, 4, bias=False)
    parametrize.register_parametrization(layer, "weight", Following(lag))
    layer.train(mode)
    with torch.no_grad():
        layer.parametrizations.weight.original.copy_(3 * torch.eye(4))
    before = copy.deepcopy(layer.state_dict())
    settled = loop.settled(layer)
    assert all(module.training is mode for module in settled.modules())
    torch.testing.assert_close(settled.eval().weight, torch.eye(4) / 2)  # |3 I| is 6
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


def test_settling_stops_once_nothing_moves_and_spares_what_remembers_nothing():
    layer = nn.Linear(4, 4)
    parametrize.register_parametrization(layer, "weight", Following(0.0))
    with torch.no_grad():
        layer.parametrizations.weight.original.mul_(2)
    remembering = loop.settled(layer).parametrizations.weight[0]
    made = layer.parametrizations.weight[0].evaluations
    assert remembering.evaluations == made + 2  # the second finds it still
    del layer.parametrizations.weight[0].norm
    layer.parametrizations.weight[0].norm = torch.ones(())  # no buffer any more
    assert loop.settled(layer).parametrizations.weight[0].evaluations == made


class Relativistic(Method):
    """Replace both losses by softplus of paired differences of logits, as the docs allow."""

    label = "relativistic"
    requires = Requires(loss="non_saturating")

    def penalty(self, discriminator, batch):
        replaced = F.softplus(-batch.real_logits).mean() + F.softplus(batch.fake_logits).mean()
        return F.softplus(batch.fake_logits - batch.real_logits).mean() - replaced

    def generator_loss(self, loss, generator, discriminator, batch):
        return F.softplus(batch.real_logits - batch.fake_logits).mean()


def relativistic_by_hand(digits, spec, stale: bool):
    """The same GAN without any of the loop: weights of G after the budget."""
    state = build(spec, [], digits)
    generator, discriminator = state.generator, state.discriminator
    adam = {
        "fused": True,
        "lr": spec.setting.lr,
        "betas": (spec.setting.beta1, spec.setting.beta2),
    }
    of_g = torch.optim.Adam(generator.parameters(), **adam)
    of_d = torch.optim.Adam(discriminator.parameters(), **adam)
    for update in range(spec.budget.generator_updates):
        for inner in range(spec.setting.n_dis):
            latents = streams.Latents(128).draw(8, spec.seed, "latents", update, inner)
            real, _ = batches.real_batch(digits, 8, spec.seed, "data", update, inner)
            logits = discriminator(real)
            fake = discriminator(generator(latents).detach())
            of_d.zero_grad()
            F.softplus(fake - logits).mean().backward()
            of_d.step()
        logits = logits.detach() if stale else discriminator(real).detach()
        fake = generator(streams.Latents(128).draw(8, spec.seed, "latents", update, "generator"))
        of_g.zero_grad()
        F.softplus(logits - discriminator(fake)).mean().backward()
        of_g.step()
    return generator.dense.weight.detach()


def test_a_relativistic_loss_written_from_the_docs_is_that_of_an_independent_loop(digits):
    spec = dataclasses.replace(
        SPEC,
        setting=Setting(1e-3, 0.5, 0.999, 2),
        budget=Budget(6, 8, 8, "constant"),
        initialisation="xavier_uniform",
    )
    start = build(spec, [], digits).generator.dense.weight.detach()
    found = trained(digits, [Relativistic()], spec).generator.dense.weight.detach() - start
    fresh, stale = (
        (relativistic_by_hand(digits, spec, stale) - start - found).norm() / found.norm()
        for stale in (False, True)
    )
    assert fresh < 1e-4
    assert stale > 0.1


class Reader(Method):
    """Read real logits in G's updates, or do not, and count D's passes in one update."""

    label = "reader"
    reads: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "batches", [])

    def generator_loss(self, loss, generator, discriminator, batch):
        if self.reads:
            assert batch.real_logits is batch.real_logits
            assert not batch.real_logits.requires_grad
            assert torch.equal(batch.real_logits, discriminator(batch.real))
        self.batches.append(batch)
        return loss


@pytest.mark.parametrize(("reads", "more"), [(False, 0), (True, 2)])  # one of them is its own
def test_fresh_real_logits_cost_a_pass_only_where_they_are_read(digits, reads, more):
    state = build(SPEC, [Reader(reads=reads)], digits)
    passes = []
    state.discriminator.register_forward_hook(lambda *_: passes.append(1))
    next(loop.train(SPEC, digits, state))
    assert len(passes) == 2 * SPEC.setting.n_dis + 1 + more


def test_a_method_that_reads_no_real_logits_leaves_every_bit_and_running_statistic(digits):
    """Batch statistics and noise in D: one pass more would move the first, draw the second."""
    others = [method("batch_norm"), method("instance_noise")]
    without, beside = trained(digits, others), trained(digits, [*others, Reader()])
    for name, value in without.discriminator.state_dict().items():
        assert torch.equal(value, beside.discriminator.state_dict()[name]), name


def test_a_batch_says_ds_updates_and_its_images_to_gs_update(digits):
    recorder, reader = Recorder(), Reader()
    trained(digits, [recorder, reader])
    assert [batch.step for batch in recorder.batches] == list(range(8))
    assert [batch.step for batch in reader.batches] == [2, 4, 6, 8]
    assert [batch.progress for batch in reader.batches] == [0, 0.25, 0.5, 0.75]
    for of_d, of_g in zip(recorder.batches[1::2], reader.batches, strict=True):
        assert of_g.real is of_d.real
        assert of_g.fake.requires_grad
        assert not of_d.fake.requires_grad


def test_logits_that_a_batch_is_given_are_those_that_it_has():
    images = torch.zeros(2, 1, 1, 1)
    batch = Batch(images, images, torch.ones(2), torch.zeros(2))
    assert batch.real_logits is batch.real_logits
    loss = parts.loss("non_saturating", {}, Plugins())
    assert loss.discriminator(batch.real_logits, batch.fake_logits) > 0


def test_a_method_prepares_with_the_weights_that_the_one_before_has_set(digits):
    class Setting3(Method):
        """Set the head's trained weights, on which its computed ones depend."""

        label = "setter"

        def prepare(self, discriminator, real):
            discriminator.head.parametrizations.weight.original.fill_(3.0)

    class Looking(Method):
        """Look at the head's weights."""

        label = "looking"

        def __post_init__(self):
            object.__setattr__(self, "seen", [])

        def prepare(self, discriminator, real):
            self.seen.append(discriminator.head.weight.flatten().clone())

    looking = Looking()
    build(SPEC, [method("weight_norm"), Setting3(), looking], digits)
    (seen,) = looking.seen
    torch.testing.assert_close(seen, torch.full_like(seen, len(seen) ** -0.5))


def test_bfloat16_computes_in_float32_in_eval_mode_and_gives_float32_always(digits):
    state = build(dataclasses.replace(SPEC, precision="bfloat16"), [], digits)
    latents = torch.randn(4, 128, generator=torch.Generator().manual_seed(0))
    rough = state.generator(latents)
    state.generator.eval()
    fine = state.generator(latents)
    state.generator.autocast_dtype = None
    assert torch.equal(fine, state.generator(latents))
    assert rough.dtype == fine.dtype == torch.float32


def test_power_iterations_are_not_rounded_to_bfloat16(digits, monkeypatch):
    spec = dataclasses.replace(SPEC, precision="bfloat16")
    state = build(spec, [method("spectral_norm")], digits)
    parametrization = state.discriminator.head.parametrizations.weight[0]
    original, rounded = parametrization._power_method, []

    def power_method(*given):
        rounded.append(torch.is_autocast_enabled("cpu"))
        return original(*given)

    monkeypatch.setattr(parametrization, "_power_method", power_method)
    next(loop.train(spec, digits, state))
    assert rounded == [False] * (SPEC.setting.n_dis + 1)


@pytest.mark.parametrize(("size", "count"), [(16, None), (32, 2_935_873), (48, 2_946_113)])
def test_the_standard_discriminator_has_table_3s_weights(size, count):
    discriminator = StandardDiscriminator((3, size, size), 1.0)
    if count:
        assert sum(weight.numel() for weight in discriminator.parameters()) == count
    widths = [layer.out_channels for layer in discriminator.layers()[:-1]]
    assert widths == [64, 64, 128, 128, 256, 256, 512]
    slopes = {m.negative_slope for m in discriminator.modules() if isinstance(m, nn.LeakyReLU)}
    assert slopes == {0.1}
    assert discriminator(torch.zeros(2, 3, size, size)).shape == (2,)


@pytest.mark.parametrize("size", [16, 32, 48])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_standard_generator_makes_images_in_range(size, channels):
    generator = StandardCNN(width=0.25).generator((channels, size, size))
    images = generator(torch.randn(2, 128, generator=torch.Generator().manual_seed(0)))
    assert images.shape == (2, channels, size, size)
    assert images.abs().max() <= 1


@pytest.mark.parametrize("scheme", sorted(INITIALISATIONS))
def test_an_initial_weight_depends_on_its_name_and_seed_and_nothing_else(scheme):
    def weight(seed: int, norm) -> torch.Tensor:
        discriminator = StandardDiscriminator((1, 16, 16), 0.125, norm)
        initialise(discriminator, scheme, seed, "discriminator")
        return discriminator.body.conv3.weight

    plain = weight(0, lambda _: nn.Identity())
    assert torch.equal(plain, weight(0, lambda channels: nn.BatchNorm2d(channels)))
    assert not torch.equal(plain, weight(1, lambda _: nn.Identity()))


def test_normal_0_02_has_that_deviation():
    weight = INITIALISATIONS["normal_0.02"](
        torch.empty(200, 200), torch.Generator().manual_seed(0)
    )
    assert weight.std().item() == pytest.approx(0.02, rel=0.02)


def test_orthogonal_weights_have_orthonormal_rows_or_columns():
    for shape in ((4, 3, 3, 3), (27, 4)):
        weight = INITIALISATIONS["orthogonal"](
            torch.empty(shape), torch.Generator().manual_seed(0)
        ).flatten(1)
        square = weight @ weight.T if len(weight) < weight.shape[1] else weight.T @ weight
        torch.testing.assert_close(square, torch.eye(4))


def test_a_layers_gain_multiplies_the_weight_that_is_drawn():
    plain, doubled = nn.Linear(3, 2), nn.Linear(3, 2)
    doubled.gain = 2.0
    for layer in (plain, doubled):
        initialise(layer, "xavier_uniform", 0, "layer")
    assert torch.equal(doubled.weight, 2 * plain.weight)


def test_an_embedding_is_drawn_as_a_dense_layer_is():
    embedding = nn.Embedding(3, 2)
    initialise(embedding, "xavier_uniform", 0, "layer")
    dense = nn.Linear(2, 3)
    initialise(dense, "xavier_uniform", 0, "layer")
    assert torch.equal(embedding.weight, dense.weight)


@pytest.mark.parametrize(("name", "passes"), [("relativistic", 4), ("non_saturating", 3)])
def test_real_logits_of_the_updated_d_are_computed_in_gs_step_for_a_loss_that_asks(
    digits, name, passes
):
    """Two passes of D in its own step, one of the generated images in G's, one more if asked."""
    spec = dataclasses.replace(
        SPEC,
        loss=LossSpec(name, {}),
        setting=dataclasses.replace(SPEC.setting, n_dis=1),
        budget=Budget(1, 8, 8, "constant"),
    )
    seen = []
    state = build(spec, [], digits)
    state.discriminator.register_forward_hook(lambda *given: seen.append(given[1][0]))
    for _ in loop.train(spec, digits, state):
        pass
    assert len(seen) == passes
    if passes == 4:
        assert torch.equal(seen[3], seen[0])  # D's last real batch, after its step
