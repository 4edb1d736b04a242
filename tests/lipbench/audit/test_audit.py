"""The whole audit: its bounds hold, it finds what is steep, and it disturbs nothing."""

from __future__ import annotations

import copy
import json
import math
import random

import numpy as np
import pytest
import torch
from torch import nn

from lipbench.architectures.standard_cnn import StandardDiscriminator
from lipbench.audit import Facts, NonFiniteDiscriminator, audit
from lipbench.errors import UserError
from lipbench.exam.candidate import Candidate
from lipbench.losses.hinge import Hinge
from lipbench.method import Method
from lipbench.plugins import Registry
from lipbench.rest import in_float64

REGISTRY = Registry("methods")
NAMES = sorted(REGISTRY.plugins)


def linear(*weights):
    """Return D(x) = w . x + 1."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(len(weights), 1))
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([weights]))
        network[1].bias.fill_(1.0)
    return network


class Residual(nn.Module):
    """A linear D with a residual branch, strides and average pooling; logits (B, 1)."""

    def __init__(self):
        super().__init__()
        self.conv0 = nn.Conv2d(2, 3, 3, padding=1)
        self.conv1 = nn.Conv2d(3, 3, 3, padding=1)
        self.down = nn.Conv2d(3, 4, 4, 2, 1)
        self.pool = nn.AvgPool2d(2)
        self.head = nn.Linear(16, 1)

    def forward(self, images):
        hidden = self.conv0(images)
        return self.head(self.pool(self.down(hidden + self.conv1(hidden))).flatten(1))


def test_the_bounds_of_a_linear_network_enclose_its_norm(filled, dense, images):
    network = filled(Residual())
    true = dense(in_float64(network), (2, 8, 8)).norm().item()
    facts = audit(network, images(6, 2, 8, 8), images(6, 2, 8, 8, seed=1), attack_steps=3)
    for name, found in facts.lower_bounds.items():
        assert found == pytest.approx(true, rel=1e-9), name
    assert true <= facts.upper_bound * (1 + 1e-9)
    assert facts.tightness == pytest.approx(true / facts.upper_bound)
    assert facts.upper_bound_kernel < facts.upper_bound
    for norms in facts.gradient_norms.values():
        assert norms.quantiles == pytest.approx([true] * 21, rel=1e-5)


def test_the_lower_bounds_of_a_nonlinear_network_are_no_more_than_the_upper(filled, images):
    network = filled(StandardDiscriminator((3, 16, 16), 0.125))
    facts = audit(network, images(8, 3, 16, 16), images(8, 3, 16, 16, seed=1))
    assert 0 < max(facts.lower_bounds.values()) == facts.lower_bound <= facts.upper_bound
    steepest = max(norms.quantiles[-1] for norms in facts.gradient_norms.values())
    assert facts.lower_bounds["attack"] >= steepest * (1 - 1e-5)


def test_a_dense_layer_alone_is_known_exactly():
    images = torch.zeros(3, 1, 1, 2)
    facts = audit(linear(3.0, 4.0), images)
    assert facts.upper_bound == facts.upper_bound_kernel == pytest.approx(5)
    assert facts.lower_bounds == {"real": pytest.approx(5), "attack": pytest.approx(5)}
    assert facts.tightness == pytest.approx(1)
    assert facts.logits["train"].mean == 1


class Ramp(nn.Module):
    """D is flat but where the mean of 36 pixels is in [0.1, 0.2]; there it has slope 7."""

    def forward(self, images):
        along = images.flatten(1).sum(1) / 6  # of gradient norm 1
        return 7 * along.clamp(0.1 * 6, 0.2 * 6)


def test_the_attack_finds_a_steep_place_that_no_image_is_in():
    draw = torch.Generator().manual_seed(0)
    real = 0.6 + 0.05 * torch.randn(4, 1, 6, 6, generator=draw)
    fake = -0.6 + 0.05 * torch.randn(4, 1, 6, 6, generator=draw)
    facts = audit(Ramp(), real, fake, seed=3, attack_steps=60)
    assert [facts.lower_bounds[name] for name in ("real", "fake", "interpolates")] == [0, 0, 0]
    assert 6.5 < facts.lower_bounds["attack"] <= 7 * (1 + 1e-9)
    assert facts.upper_bound == pytest.approx(7)
    assert audit(Ramp(), real, fake, seed=3, attack_steps=1).lower_bounds["attack"] < 3
    assert audit(Ramp(), real, seed=3, attack_steps=60).lower_bounds["attack"] == 0


def test_the_attack_draws_together_ends_between_which_nothing_rises():
    class Tent(nn.Module):
        """D is 0 but around the mean 0 of 36 pixels, where it has slopes of 7 and -7."""

        def forward(self, images):
            return 7 * (1 - (images.flatten(1).sum(1) / 6).abs()).relu()

    draw = torch.Generator().manual_seed(0)
    real = 0.6 + 0.05 * torch.randn(4, 1, 6, 6, generator=draw)
    facts = audit(Tent(), real, -real, attack_steps=60, seed=3)
    assert facts.lower_bounds["real"] == facts.lower_bounds["fake"] == 0
    assert facts.lower_bounds["attack"] == pytest.approx(7)


def test_a_network_of_ours_computes_in_float64_to_its_end(filled, images):
    network = filled(StandardDiscriminator((3, 16, 16), 0.0625))
    batch = images(2, 3, 16, 16)
    exact = in_float64(network)(batch.double())
    assert exact.dtype == torch.float64
    assert torch.allclose(exact.float(), network(batch), rtol=1e-4, atol=1e-6)
    assert network(batch).dtype == torch.float32


def test_the_attack_climbs_to_the_steepest_image_of_the_domain_and_no_further(images):
    class Bowl(nn.Module):
        """D(x) = |x|^2 / 2: of gradient norm |x|, at most 4 on images of 16 pixels."""

        def forward(self, batch):
            return batch.square().flatten(1).sum(1) / 2

    real, fake = 0.3 * images(4, 1, 4, 4), 0.3 * images(4, 1, 4, 4, seed=1)
    facts = audit(Bowl(), real, fake, attack_steps=300)
    assert facts.gradient_norms["real"].quantiles[-1] < 1
    assert facts.lower_bounds["attack"] == pytest.approx(4, rel=1e-6)


def test_a_flat_discriminator_has_bounds_of_zero_and_no_tightness(images):
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 1))
    nn.init.zeros_(network[1].weight)
    facts = audit(network, images(3, 1, 2, 2), images(3, 1, 2, 2, seed=1), attack_steps=3)
    assert set(facts.lower_bounds.values()) == {0.0}
    assert facts.upper_bound == facts.lower_bound == 0
    assert facts.tightness is None
    json.dumps(facts.to_json(), allow_nan=False)


def test_a_discriminator_whose_images_see_each_other_has_no_bounds_of_one_image(images):
    class Compared(nn.Module):
        def forward(self, batch):
            return (batch - batch.mean(0)).flatten(1).sum(1)

    facts = audit(Compared(), images(4, 1, 2, 2))
    assert not facts.per_image
    assert (facts.lower_bounds, facts.lower_bound, facts.tightness) == ({}, None, None)
    assert facts.upper_bound is None


def test_logits_gap_and_losses_by_hand():
    real = torch.tensor([0.25, 0.75]).view(2, 1, 1, 1)
    heldout = torch.tensor([-0.5]).view(1, 1, 1, 1)
    fake = torch.tensor([-1.0]).view(1, 1, 1, 1)
    facts = audit(linear(2.0), real, fake, heldout, Hinge())  # logits 1.5, 2.5; 0; -1
    assert facts.logits["train"].mean == 2
    assert facts.logits["train"].std == 0.5
    assert facts.logits["train"].quantiles == pytest.approx([1.5 + 0.05 * i for i in range(21)])
    assert facts.logits["heldout"].quantiles == [0.0] * 21
    assert facts.logits["fake"].mean == -1
    assert facts.overfitting_gap == 2
    assert facts.loss_train == 0
    assert facts.loss_heldout == 1
    assert facts.counts == {"real": 2, "fake": 1, "heldout": 1}


def test_what_was_not_given_is_not_told(images):
    facts = audit(linear(1.0, 2.0), images(5, 1, 1, 2), loss=Hinge(), attack_steps=0)
    assert set(facts.lower_bounds) == set(facts.gradient_norms) == {"real"}
    assert set(facts.logits) == {"train"}
    assert (facts.overfitting_gap, facts.loss_train, facts.loss_heldout) == (None, None, None)
    assert facts.counts == {"real": 5, "fake": 0, "heldout": 0}


def test_more_images_than_a_batch_are_all_counted(images):
    real = images(150, 1, 1, 2)
    facts = audit(linear(1.0, 2.0), real, heldout=real, attack_steps=0)
    assert facts.gradient_norms["real"].n == facts.logits["train"].n == 150
    assert facts.logits["heldout"] == facts.logits["train"]
    assert facts.logits["train"].mean == pytest.approx(
        1 + (real.view(150, 2) @ torch.tensor([1.0, 2.0])).mean().item(), rel=1e-5
    )


def test_interpolates_lie_between_and_follow_the_seed(images):
    class Squared(nn.Module):
        def forward(self, batch):
            return batch.square().flatten(1).sum(1)  # of gradient norm 2 |x|

    real, fake = torch.full((50, 1, 1, 1), 0.5), torch.full((50, 1, 1, 1), 0.25)
    one, two, again = (audit(Squared(), real, fake, seed=s, attack_steps=0) for s in (0, 1, 0))
    norms = one.gradient_norms["interpolates"].quantiles
    assert 0.5 <= norms[0] < 0.6 < 0.9 < norms[-1] <= 1
    assert norms == again.gradient_norms["interpolates"].quantiles
    assert norms != two.gradient_norms["interpolates"].quantiles


def test_the_record_is_plain_json_and_reads_back(filled, images):
    network = filled(StandardDiscriminator((3, 16, 16), 0.0625))
    facts = audit(
        network, images(4, 3, 16, 16), images(4, 3, 16, 16), images(2, 3, 16, 16), Hinge()
    )
    record = facts.to_json()
    text = json.dumps(record, allow_nan=False)
    assert json.loads(text) == record
    assert Facts.from_json({**json.loads(text), "update": 7}) == facts
    assert facts.seconds > 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"real": torch.zeros(2)},
            r"real should be images \(N, C, H, W\) of floats, .* points",
        ),
        ({"real": torch.zeros(0, 1, 1, 2)}, "N at least 1"),
        ({"real": torch.zeros(2, 1, 1, 2, dtype=torch.uint8)}, "not torch.uint8"),
        ({"real": torch.full((2, 1, 1, 2), 255.0)}, r"not \[255, 255\]"),
        ({"real": torch.full((2, 1, 1, 2), torch.nan)}, "real .* hold inf or nan"),
        ({"fake": torch.full((2, 1, 1, 2), torch.inf)}, "fake .* hold inf or nan"),
        ({"fake": torch.zeros(2, 1, 2, 1)}, r"fake has samples of shape \(1, 2, 1\)"),
        ({"heldout": torch.zeros(2, 1, 1, 2, device="meta")}, "heldout is on meta"),
    ],
)
def test_images_of_another_form_are_refused(given, said):
    with pytest.raises(UserError, match=said) as raised:
        audit(linear(1.0, 2.0), **{"real": torch.zeros(2, 1, 1, 2), **given})
    assert not isinstance(raised.value, NonFiniteDiscriminator)


def test_a_network_that_gives_no_logits_or_has_diverged_is_refused():
    images = torch.ones(3, 1, 1, 2)
    with pytest.raises(UserError, match=r"maps 2 to \(2, 2\)"):
        audit(nn.Flatten(), images)
    with pytest.raises(NonFiniteDiscriminator, match="weights that are not finite"):
        audit(linear(1.0, math.inf), images)
    buffered = linear(1.0, 1.0)
    buffered.register_buffer("mean", torch.tensor(math.nan))
    with pytest.raises(NonFiniteDiscriminator, match="weights that are not finite"):
        audit(buffered, images)
    with pytest.raises(NonFiniteDiscriminator, match="logits of real are not finite"):
        audit(linear(3e38, 3e38), images)


class Logits(nn.Module):
    """Logits that are any function of a batch's rows."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, batch):
        return self.function(batch.flatten(1))


def test_gradients_and_logits_of_random_images_that_are_not_finite_are_told_apart(images):
    root = Logits(lambda rows: rows.abs().sum(1).sqrt())
    with pytest.raises(NonFiniteDiscriminator, match="gradients at fake are not finite"):
        audit(root, images(2, 1, 2, 2), torch.zeros(2, 1, 2, 2))
    log = Logits(lambda rows: rows.sum(1).log())
    with pytest.raises(NonFiniteDiscriminator, match="logits of random images are not finite"):
        audit(log, torch.ones(2, 1, 2, 2), attack_steps=0)


@pytest.mark.parametrize(
    "function",
    [
        lambda y: y + 100 * (y.cumsum(0) - y),  # of those before
        lambda y: y + 100 * (y.flip(0).cumsum(0).flip(0) - y),  # of those after
        lambda y: 1e-12 * (y - y.mean(0)),
        lambda y: 1e6 + y - y.mean(0),
        lambda y: y.flip(0),
        lambda y: y + torch.arange(len(y)),
    ],
)
@pytest.mark.parametrize("count", [1, 4])
def test_a_logit_that_depends_on_its_batch_is_seen_wherever_its_image_is(function, count, images):
    facts = audit(Logits(lambda rows: function(rows.sum(1))), images(count, 1, 2, 2))
    assert not facts.per_image
    assert facts.upper_bound is None
    assert facts.no_upper_bound


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_a_logit_of_any_size_is_its_images_own(scale, images):
    facts = audit(Logits(lambda rows: scale * rows.sum(1) + 7 * scale), images(4, 1, 2, 2))
    assert facts.per_image
    assert facts.tightness == pytest.approx(1)


def test_a_bound_that_is_refuted_is_not_shown(images):
    class Wrong(nn.Module):
        lipschitz = 0.1

        def forward(self, batch):
            return 3 * batch

    network = linear(3.0, 4.0)
    network.insert(0, Wrong())
    facts = audit(network, images(2, 1, 1, 2))
    assert facts.lower_bound == pytest.approx(15)
    assert (facts.upper_bound, facts.tightness) == (None, None)
    (reason,) = facts.no_upper_bound
    assert reason == "refuted: a slope of 15 was found, above the 0.5 that the constants give"
    assert [step.constant for step in facts.factors] == [None] * 3
    assert [step.lipschitz for step in facts.factors] == pytest.approx([0.1, 1, 5])


@pytest.mark.parametrize("count", [1, 3])
def test_a_discriminator_that_squeezes_has_all_its_bounds(count, images):
    facts = audit(nn.Sequential(linear(3.0, 4.0), Squeeze()), images(count, 1, 1, 2))
    assert facts.upper_bound == pytest.approx(5)
    assert facts.lower_bound == pytest.approx(5)


class Squeeze(nn.Module):
    def forward(self, logits):
        return logits.squeeze()


@pytest.mark.parametrize("name", NAMES)
def test_training_goes_on_with_the_same_bits_after_an_audit(name):
    candidate = Candidate(REGISTRY[name].load(Method)())
    state = candidate.train(candidate.build(), updates=1)
    other = candidate.train(candidate.build(), updates=1)
    discriminator = state.discriminator
    before = copy.deepcopy(discriminator.state_dict())
    grads = [copy.deepcopy(weight.grad) for weight in discriminator.parameters()]
    asked = [weight.requires_grad for weight in discriminator.parameters()]
    modes = [module.training for module in discriminator.modules()]
    kinds = [type(module) for module in discriminator.modules()]
    generators = torch.get_rng_state(), random.getstate(), repr(np.random.get_state())

    facts = audit(discriminator, candidate.images(4), candidate.images(4).flip(0), attack_steps=2)
    assert facts.layers

    assert torch.equal(torch.get_rng_state(), generators[0])
    assert (random.getstate(), repr(np.random.get_state())) == generators[1:]
    assert all(torch.equal(v, before[k]) for k, v in discriminator.state_dict().items())
    for weight, grad in zip(discriminator.parameters(), grads, strict=True):
        assert weight.grad is grad is None or torch.equal(weight.grad, grad)
    assert [weight.requires_grad for weight in discriminator.parameters()] == asked
    assert [module.training for module in discriminator.modules()] == modes
    assert [type(module) for module in discriminator.modules()] == kinds
    candidate.train(state, updates=2)
    candidate.train(other, updates=2)
    for key, value in other.discriminator.state_dict().items():
        assert torch.equal(value, state.discriminator.state_dict()[key]), key
    for key, value in other.generator.state_dict().items():
        assert torch.equal(value, state.generator.state_dict()[key]), key


def test_an_audit_that_draws_gives_the_same_facts_twice_and_moves_no_generator(images):
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(4, 1)

        def forward(self, batch):
            return self.head((batch + 0.1 * torch.randn_like(batch)).flatten(1))

    network, real = Noisy(), images(4, 1, 2, 2)
    before = torch.get_rng_state()
    first = audit(network, real)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    assert audit(network, real).logits == first.logits
    assert audit(network, real, seed=1).logits != first.logits


def test_it_can_be_asked_where_no_gradients_are(images):
    with torch.no_grad():
        facts = audit(linear(3.0, 4.0), images(2, 1, 1, 2))
        assert not torch.is_grad_enabled()
    assert facts.lower_bound == pytest.approx(5)


def test_theorems_of_methods_are_part_of_the_bound():
    state = Candidate(REGISTRY["sll"].load(Method)()).build()
    facts = audit(state.discriminator, torch.zeros(1, 3, 16, 16), attack_steps=0)
    stated = [f for f in facts.factors if f.reason == "stated by the module"]
    assert [f.kind for f in stated] == ["SdpBasedLayer"] * 7
    assert facts.upper_bound <= 1 + 1e-6

    state = Candidate(REGISTRY["group_sort"].load(Method)()).build()
    facts = audit(state.discriminator, torch.zeros(1, 3, 16, 16), attack_steps=0)
    assert [f.lipschitz for f in facts.factors if f.kind == "Sorted"] == [1.0] * 7
    assert facts.upper_bound == pytest.approx(math.prod(x.sigma_operator for x in facts.layers))

    state = Candidate(REGISTRY["cayley"].load(Method)()).build()
    facts = audit(state.discriminator, torch.zeros(1, 3, 16, 16), attack_steps=0)
    assert facts.upper_bound == pytest.approx(1, rel=1e-4)
    assert facts.upper_bound_kernel is None


def test_a_method_that_differentiates_d_has_no_upper_bound_but_lower_ones():
    state = Candidate(REGISTRY["gradient_normalization"].load(Method)()).build()
    facts = audit(state.discriminator, Candidate(state.parts.methods[0]).images(4), attack_steps=2)
    assert facts.upper_bound is None
    (reason,) = facts.no_upper_bound
    assert "cannot be traced" in reason
    assert facts.lower_bound > 0


@pytest.mark.slow
def test_normalized_kernels_leave_the_paper_s_network_far_from_lipschitz_1():
    """torch's default initialisation, exact sigma of each kernel divided out, 32 x 32 pixels."""
    torch.manual_seed(0)
    network = StandardDiscriminator((3, 32, 32), 1.0)
    network = REGISTRY["spectral_norm_exact"].load(Method)().wrap(network)
    facts = audit(network, torch.zeros(1, 3, 32, 32), attack_steps=0)
    norms = [layer.sigma_operator for layer in facts.layers]
    assert [layer.sigma_kernel for layer in facts.layers] == pytest.approx([1.0] * 8, rel=1e-4)
    expected = [2.38, 1.24, 1.64, 1.20, 1.62, 1.16, 1.50, 1.00]
    assert norms == pytest.approx(expected, rel=0.03)
    assert facts.upper_bound == pytest.approx(16.4, rel=0.05)
    assert facts.upper_bound_kernel == pytest.approx(1, rel=1e-3)
