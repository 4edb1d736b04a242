"""The exam catches what it is for: for each case, a method that must fail it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from lipbench import exam
from lipbench.discriminators import Around, gradient
from lipbench.exam import cases
from lipbench.method import Batch, Claim, Method, Penalty, Trait
from lipbench.plugins import Registry
from lipbench.training import loop


class Idle(Method):
    """Override a hook, and do nothing in it."""

    label = "idle"

    def project(self, discriminator, step):
        pass


class Baseline(Method):
    """Say that it changes nothing."""

    label = "baseline"
    is_baseline = True


class Doubling(Method):
    """Return two logits an image."""

    label = "doubling"

    class Twice(Around):
        def compute(self, inputs):
            return self.inner(inputs).repeat(2)

    def wrap(self, discriminator):
        return self.Twice(discriminator)


class Exploding(Penalty):
    """Have a gradient that is not finite where D is flat."""

    label = "exploding"

    def term(self, discriminator, batch):
        return (discriminator.head.weight * 0).square().sum().sqrt()


class Idler(Method):
    """Add a parameter that nothing uses."""

    label = "idler"

    def wrap(self, discriminator):
        discriminator.unused = nn.Parameter(torch.zeros(3))
        return discriminator


class Detached(Method):
    """Cut the graph of D's gradient by its images."""

    label = "detached"
    traits = frozenset({Trait.REPARAMETRIZES})

    class Cut(Around):
        def compute(self, inputs):
            images = inputs.detach().requires_grad_()
            with torch.enable_grad():
                (slope,) = torch.autograd.grad(self.inner(images).sum(), images)
            return (inputs * slope).flatten(1).sum(1) + self.inner(inputs.detach())

    def wrap(self, discriminator):
        return self.Cut(discriminator)


class Hasty(Penalty):
    """Use more threads than the others have."""

    label = "hasty"

    def term(self, discriminator, batch):
        torch.set_num_threads(2)
        return batch.real.new_zeros(())


class Restless(Method):
    """Count forwards in a buffer, in eval mode too."""

    label = "restless"

    class Counting(Around):
        def __init__(self, inner):
            super().__init__(inner)
            self.register_buffer("count", torch.zeros(()))

        def compute(self, inputs):
            self.count += 1
            return self.inner(inputs)

    def wrap(self, discriminator):
        return self.Counting(discriminator)


class Forgetful(Method):
    """Scale logits by a number that no checkpoint holds."""

    label = "forgetful"

    class Scaled(Around):
        scale = 1.0

        def compute(self, inputs):
            if self.training:
                self.scale *= 1.01
            return self.scale * self.inner(inputs)

    def wrap(self, discriminator):
        return self.Scaled(discriminator)


class Coarse(Method):
    """Compute another function in bfloat16."""

    label = "coarse"

    class Norm(nn.Module):
        def forward(self, inputs):
            return inputs * (3 if inputs.dtype == torch.bfloat16 else 1)

    def norm(self, channels):
        return self.Norm()


class Ordered(Method):
    """Read memory as if it were always channels first."""

    label = "ordered"

    class Shifted(Around):
        def compute(self, inputs):
            return self.inner(torch.as_strided(inputs, inputs.shape, (768, 256, 16, 1)))

    def wrap(self, discriminator):
        return self.Shifted(discriminator)


class Branching(Method):
    """Branch on a value, which a captured graph cannot."""

    label = "branching"

    class Branch(Around):
        def compute(self, inputs):
            logits = self.inner(inputs)
            return logits if logits.sum().item() > 0 else 2 * logits

    def wrap(self, discriminator):
        return self.Branch(discriminator)


class Gambling(Penalty):
    """Draw from a generator that nobody seeds."""

    label = "gambling"

    def term(self, discriminator, batch):
        return float(np.random.rand()) * batch.real_logits.square().mean()


class Secretive(Method):
    """Mix the images of a batch, and not say so."""

    label = "secretive"

    def norm(self, channels):
        return nn.BatchNorm2d(channels)


class Pretending(Penalty):
    """Declare a trait that it does not have."""

    label = "pretending"
    traits = frozenset({Trait.INPUT_GRADIENTS})

    def term(self, discriminator, batch):
        return batch.real_logits.square().mean()


class Halved(nn.Module):
    """Divide a weight by twice its largest singular value."""

    def forward(self, weight):
        return weight / (2 * torch.linalg.matrix_norm(weight.flatten(1), 2))


class Spectral(Method):
    """Divide weights by their largest singular values, and say only that they are computed."""

    label = "spectral"
    traits = frozenset({Trait.REPARAMETRIZES})

    def wrap(self, discriminator):
        for layer in discriminator.layers():
            parametrize.register_parametrization(layer, "weight", Halved())
        return discriminator


class OfNorms(Method):
    """Divide weights by their Frobenius norms, and say that these are singular values."""

    label = "of norms"
    traits = frozenset({Trait.REPARAMETRIZES, Trait.DIVIDES_BY_SIGMA})

    class Divided(nn.Module):
        def forward(self, weight):
            return weight / weight.norm()

    def wrap(self, discriminator):
        for layer in discriminator.layers():
            parametrize.register_parametrization(layer, "weight", self.Divided())
        return discriminator


class Factored(Method):
    """Train two factors of the dense layer's weight, and say only that it is computed."""

    label = "factored"
    traits = frozenset({Trait.REPARAMETRIZES})

    class Product(nn.Module):
        def forward(self, left, right):
            return left @ right

        def right_inverse(self, weight):
            return torch.ones(1, 1), weight.clone()

    def wrap(self, discriminator):
        parametrize.register_parametrization(discriminator.head, "weight", self.Product())
        return discriminator


class Passing(Method):
    """Apply the square of a weight, and say only that it is computed."""

    label = "passing"
    traits = frozenset({Trait.REPARAMETRIZES})

    class Squared(nn.Linear):
        def forward(self, inputs):
            return nn.functional.linear(inputs, self.weight.square(), self.bias)

    def wrap(self, discriminator):
        discriminator.head = self.Squared(discriminator.head.in_features, 1)
        return discriminator


class Dividing(Method):
    """Divide D's logit by the norm of its gradient, and say only that it asks for that."""

    label = "dividing"
    traits = frozenset({Trait.INPUT_GRADIENTS})

    class Divided(Around):
        def compute(self, inputs):
            with torch.enable_grad():
                images = inputs if inputs.requires_grad else inputs.detach().requires_grad_()
                logits = self.inner(images)
                (slopes,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
            return logits / slopes.flatten(1).norm(dim=1)

    def wrap(self, discriminator):
        return self.Divided(discriminator)


class Shrinking(Penalty):
    """Penalize the head's weights, and not say so."""

    label = "shrinking"

    def term(self, discriminator, batch):
        return discriminator.head.weight.square().sum()


class TwoSided(Penalty):
    """Pull D's slopes at real images to 1, and say only that it takes them."""

    label = "two-sided"
    traits = frozenset({Trait.INPUT_GRADIENTS})

    def term(self, discriminator, batch):
        slopes = gradient(discriminator, batch.real)[1].flatten(1).norm(dim=1)
        return (slopes - 1).square().mean()


class OneSided(Penalty):
    """Penalize slopes above 1, and say that those below are too."""

    label = "one-sided"
    traits = frozenset({Trait.INPUT_GRADIENTS, Trait.TWO_SIDED_PENALTY})

    def term(self, discriminator, batch):
        slopes = gradient(discriminator, batch.real)[1].flatten(1).norm(dim=1)
        return (slopes - 1).relu().square().mean()


class Modest(Method):
    """Divide weights by their largest singular values, and say that this bounds nothing."""

    label = "modest"
    traits = frozenset({Trait.REPARAMETRIZES, Trait.DIVIDES_BY_SIGMA, Trait.BOUNDS_NOTHING})

    def wrap(self, discriminator):
        for layer in discriminator.layers():
            parametrize.register_parametrization(layer, "weight", Halved())
        return discriminator


class Contrary(Penalty):
    """Claim a bound, and say that nothing is bounded."""

    label = "contrary"
    traits = frozenset({Trait.BOUNDS_NOTHING})

    @property
    def claims(self):
        return (Claim("sigma_kernel", 100.0, tolerance=0.1),)

    def term(self, discriminator, batch):
        return batch.real_logits.square().mean()


class Boasting(Penalty):
    """Claim a bound that nothing keeps."""

    label = "boasting"

    @property
    def claims(self):
        return (Claim("sigma_kernel", 0.1, tolerance=0.1),)

    def term(self, discriminator, batch):
        return batch.real_logits.square().mean()


class Hidden(Method):
    """Hold an anchor in a Python attribute, from the late part of training on."""

    label = "hidden"

    def wrap(self, discriminator):
        discriminator.anchor = None
        return discriminator

    def penalty(self, discriminator, batch):
        if batch.step < exam.LATE:
            return batch.real_logits.square().mean()
        if discriminator.anchor is None:
            discriminator.anchor = batch.real_logits.mean().detach()
        return (batch.real_logits - discriminator.anchor).square().mean()


class Late(Penalty):
    """Penalize D's gradient late in training, by a backward pass, and not say so."""

    label = "late"

    def term(self, discriminator, batch):
        if batch.step < exam.LATE:
            return batch.real_logits.square().mean()
        images = batch.real.detach().requires_grad_()
        torch.autograd.backward(discriminator(images).sum(), inputs=[images], retain_graph=True)
        return images.grad.square().mean() * batch.real_logits.mean()


class Blind(Method):
    """Hide the images from D's layers."""

    label = "blind"

    class Constant(nn.Module):
        def forward(self, inputs):
            return inputs * 0 + 1

    def norm(self, channels):
        return self.Constant()


class Overlarge(Method):
    """Divide by seven tenths of the largest singular value, and claim all of it."""

    label = "overlarge"
    traits = frozenset({Trait.REPARAMETRIZES})

    class Divided(nn.Module):
        def forward(self, weight):
            return weight / (0.7 * torch.linalg.matrix_norm(weight.flatten(1), 2))

    @property
    def claims(self):
        return (Claim("sigma_kernel", 1.0, tolerance=0.01),)

    def wrap(self, discriminator):
        for layer in discriminator.layers():
            parametrize.register_parametrization(layer, "weight", self.Divided())
        return discriminator


class OfKernels(Method):
    """Claim of convolutions what holds of their kernels as matrices."""

    label = "of kernels"
    traits = frozenset({Trait.REPARAMETRIZES})

    class Divided(nn.Module):
        def forward(self, weight):
            flat = weight.flatten(1).abs()
            return weight / (flat.sum(0).max() * flat.sum(1).max()).sqrt()

    @property
    def claims(self):
        return (Claim("sigma_operator", 1.0, tolerance=0.01),)

    def wrap(self, discriminator):
        for layer in discriminator.layers():
            parametrize.register_parametrization(layer, "weight", self.Divided())
        return discriminator


class Remembering(Method):
    """Pair G's new logits with those of real images before D's last step (a trap)."""

    label = "remembering"

    def __post_init__(self):
        object.__setattr__(self, "memory", {})

    def penalty(self, discriminator, batch):
        self.memory["real"] = batch.real_logits.detach()
        return batch.real_logits.square().mean()

    def generator_loss(self, loss, generator, discriminator, batch):
        return nn.functional.softplus(self.memory["real"] - batch.fake_logits).mean()


class Sluggish(Method):
    """Divide G's weights by a norm that follows them by a thousandth at each evaluation."""

    label = "sluggish"

    class Divided(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("norm", torch.ones(()))

        def forward(self, weight):
            if self.training:
                self.norm.lerp_(weight.detach().norm(), 1e-3)
            return weight / self.norm.clone()

    def wrap_generator(self, generator):
        for layer in generator.layers():
            parametrize.register_parametrization(layer, "weight", self.Divided())
        return generator


@pytest.fixture
def make_method():
    """Return a function from an installed method's name and hyperparameters to the method."""
    return lambda name, **params: Registry("methods")[name].load(Method)(**params)


FAILURES = [
    (cases.it_leaves_the_process_as_it_found_it, Hasty, "it changes torch's threads: 1, now 2"),
    (cases.it_changes_the_training, Idle, "alters neither D, nor a loss, nor weights"),
    (cases.its_networks_keep_their_shapes, Doubling, r"logits \(10,\) of 5 images|\(2,\) of 1"),
    (cases.its_gradients_are_finite, Exploding, "head.weight is not finite"),
    (cases.its_gradients_are_finite, Idler, "unused gets no gradient"),
    (cases.it_can_be_differentiated_twice, Detached, "does not depend on D's weights"),
    (cases.eval_mode_changes_nothing, Restless, "in eval mode moves count"),
    (cases.its_state_survives_saving_and_copying, Forgetful, "the loaded state computes another"),
    (cases.a_resumed_run_ends_with_the_same_bits, Forgetful, "differs after a resume"),
    (cases.it_trains_in_bfloat16, Coarse, "off those in float32"),
    (cases.it_works_in_channels_last, Ordered, "logits differ by"),
    (cases.its_randomness_is_that_of_the_engine, Gambling, "numpy.random"),
    (cases.its_traits_are_what_it_does, Secretive, "does not declare Trait.BATCH_STATISTICS"),
    (
        cases.its_traits_are_what_it_does,
        Pretending,
        "declares Trait.INPUT_GRADIENTS, but does not",
    ),
    (cases.a_resumed_run_ends_with_the_same_bits, Hidden, "must be a buffer of D"),
    (cases.its_traits_are_what_it_does, Spectral, "does not declare Trait.DIVIDES_BY_SIGMA"),
    (cases.its_traits_are_what_it_does, OfNorms, "declares Trait.DIVIDES_BY_SIGMA, but does not"),
    (cases.its_traits_are_what_it_does, Factored, "does not declare Trait.TRAINS_OTHER_SHAPES"),
    (cases.its_traits_are_what_it_does, Passing, "does not declare Trait.APPLIES_TRANSFORM"),
    (cases.its_traits_are_what_it_does, Dividing, "does not declare Trait.DIVIDES_BY_GRADIENT"),
    (cases.its_traits_are_what_it_does, Shrinking, "does not declare Trait.PENALIZES_WEIGHTS"),
    (cases.its_traits_are_what_it_does, TwoSided, "does not declare Trait.TWO_SIDED_PENALTY"),
    (
        cases.its_traits_are_what_it_does,
        OneSided,
        "declares Trait.TWO_SIDED_PENALTY, but does not",
    ),
    (cases.its_traits_are_what_it_does, Modest, "BOUNDS_NOTHING, but D's gradient .* not grow"),
    (cases.its_traits_are_what_it_does, Contrary, "BOUNDS_NOTHING, but claims a bound"),
    (cases.its_traits_are_what_it_does, Late, "does not declare Trait.INPUT_GRADIENTS"),
    (cases.it_can_be_differentiated_twice, Blind, "do not depend on its images"),
    (cases.its_loss_of_g_sees_the_current_d, Remembering, "remembers values of an earlier D"),
    (cases.its_averaged_generator_is_at_rest, Sluggish, "% off what its parametrization computes"),
    (cases.it_keeps_what_it_claims, Overlarge, "before training: sigma_kernel"),
    (cases.it_keeps_what_it_claims, OfKernels, "weights alike: sigma_operator"),
    (cases.it_keeps_what_it_claims, Boasting, r"before training: sigma_kernel of \S+ is"),
]


@pytest.mark.parametrize(
    ("case", "method", "message"), FAILURES, ids=[f"{m.label}" for _, m, _ in FAILURES]
)
def test_a_method_that_must_fail_a_case_fails_it(case, method, message):
    with pytest.raises(AssertionError, match=message):
        case(exam.Candidate(method()))


def test_a_method_that_torch_cannot_compile_fails_unless_it_says_so():
    with pytest.raises(Exception, match=r"data-dependent|item|Unsupported|break"):
        cases.torch_compile_captures_it(exam.Candidate(Branching()))
    assert "not captured" in cases.torch_compile_captures_it(
        exam.Candidate(type("Honest", (Branching,), {"compiles": False, "__doc__": "Say so."})())
    )


def test_the_card_tells_an_error_of_the_methods_own_as_a_failure():
    class Broken(Method):
        """Raise."""

        label = "broken"

        def wrap(self, discriminator):
            raise KeyError("nonsense")

    (line,) = exam.examine(Broken())
    assert (line.case, line.passed) == ("its networks can be built", False)
    assert line.measured.startswith("KeyError: 'nonsense' (test_exam.py:")


def test_a_hook_that_returns_nothing_is_named():
    class Silent(Method):
        """Forget to return D."""

        label = "silent"

        def wrap(self, discriminator):
            discriminator.eval()

    (line,) = exam.examine(Silent())
    assert line.measured.startswith(
        "TypeError: Silent.wrap returned NoneType, not a Discriminator (loop.py:"
    )


def test_a_lazy_projection_keeps_its_claim(make_method):
    case = cases.it_keeps_what_it_claims
    assert "of 0.01" in case(exam.Candidate(make_method("weight_clipping", every=5)))


def test_the_baseline_may_change_nothing_and_nothing_else_may(make_method):
    for baseline in (Baseline(), make_method("none")):
        found = cases.it_changes_the_training(exam.Candidate(baseline))
        assert found == "nothing, as the baseline must"


def test_a_harness_that_scores_the_average_as_it_is_would_fail(make_method, monkeypatch):
    candidate = exam.Candidate(make_method("spectral_norm_generator"))
    assert "5 weights within" in cases.its_averaged_generator_is_at_rest(candidate)
    monkeypatch.setattr(loop.TrainState, "sampler", property(lambda s: s.average.module))
    with pytest.raises(AssertionError, match=r"of the averaged G is .*% off"):
        cases.its_averaged_generator_is_at_rest(candidate)


def test_a_harness_that_hands_the_logits_of_ds_last_step_to_gs_would_fail(
    make_method, monkeypatch
):
    """Put back the logits from before the step: those of the last `Batch.of`."""

    class Stale(Batch):
        @classmethod
        def of(cls, *given):
            batch = Batch.of(*given)
            monkeypatch.setattr(Stale, "last", batch.real_logits.detach(), raising=False)
            return batch

        def __new__(cls, real, fake, real_logits, fake_logits, *rest):
            return Batch(real, fake, cls.last, fake_logits, *rest)

    candidate = exam.Candidate(make_method("feature_matching"))
    assert "4 updates" in cases.its_loss_of_g_sees_the_current_d(candidate)
    monkeypatch.setattr(loop, "Batch", Stale)
    with pytest.raises(AssertionError, match=r"batch.real_logits are up to \S+ off D's logits"):
        cases.its_loss_of_g_sees_the_current_d(candidate)


def test_a_discriminator_without_a_head_is_examined():
    class Other(Around):
        body = head = None

        def __init__(self, inner):
            super().__init__(inner)
            del self.inner.body, self.inner.head
            self.dense = nn.Linear(768, 1)

        def features(self, images):
            return images.flatten(1)

        def compute(self, inputs):
            return self.dense(inputs.flatten(1)).squeeze(1)

    class Headless(Method):
        """Put another D in place of the architecture's."""

        label = "headless"

        def wrap(self, discriminator):
            return Other(discriminator)

    assert "differ" in cases.it_changes_the_training(exam.Candidate(Headless()))


def test_a_penaltys_cost_is_measured_against_none():
    """A penalty of four more passes through D cannot be cheaper than none."""

    class Costly(Penalty):
        """Pass the images through D again and again."""

        label = "costly"

        def term(self, discriminator, batch):
            return sum(discriminator(batch.real).square().mean() for _ in range(4))

    cost = exam.cost(Costly())
    assert cost.memory > 1.5  # time is printed and never asserted: machines are noisy
    assert cost.seconds > 0
