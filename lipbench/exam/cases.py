"""The cases: each returns a few words on what it measured, or raises AssertionError."""

from __future__ import annotations

import copy
import dataclasses
import random
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipbench import process_state
from lipbench.exam import bounds, traits
from lipbench.exam.candidate import (
    AGGRESSIVE,
    BATCH,
    LATE,
    UPDATES,
    Candidate,
    digits,
    samples,
    seeded,
)
from lipbench.loss import Loss
from lipbench.method import Batch, Discriminator, Generator, Method, Trait
from lipbench.planning.parts import Parts
from lipbench.planning.spec import RunSpec
from lipbench.rest import at_rest
from lipbench.training import loop
from lipbench.training.loop import TrainState
from lipbench.words import counted

Case = Callable[[Candidate], str]

_AT_REST = 1e-3  # a weight's relative distance from what it is at rest: our choice


def it_leaves_the_process_as_it_found_it(candidate: Candidate) -> str:
    """It sets nothing that other runs in the process would find: no option of torch, no folder."""
    candidate.train(candidate.build(with_method=False))  # torch's own first update sets variables
    before = process_state.capture()
    try:
        candidate.trained()
        changed = process_state.changes(before)
    finally:
        process_state.restore(before)
    _require(not changed, f"it changes {'; '.join(changed)}")
    return "no option, folder, hook or function is another"


def it_changes_the_training(candidate: Candidate) -> str:
    """It changes what is trained, unless it is `none`."""

    def results(with_method: bool) -> list[Tensor]:
        state = candidate.build(with_method=with_method)
        found = []
        for update, steepness in ((0, 1), (LATE, 100)):  # some act late, or on a steep D
            state.update = update
            with torch.no_grad():
                for weight in state.discriminator.layers()[-1].parameters():
                    weight.mul_(steepness)
            found.append(samples(candidate.train(state)))
        return found

    pairs = list(zip(results(True), results(False), strict=True))
    change = max((a - b).abs().max().item() for a, b in pairs)
    said = f"G's images differ by up to {change:.1g} after {counted(UPDATES, 'update')}"
    if candidate.is_baseline:
        _require(change == 0, f"the baseline itself changes training: {said}")
        return "nothing, as the baseline must"
    _require(
        change > 0, "it alters neither D, nor a loss, nor weights: training is that of `none`"
    )
    return said


def its_networks_keep_their_shapes(candidate: Candidate) -> str:
    """Logits are (B,), images (B, C, H, W), both float32, for any batch."""
    state = candidate.build()
    for count in (1, 5, BATCH):
        training_mode = count > 1
        state.discriminator.train(training_mode)
        state.generator.train(training_mode)
        logits = state.discriminator(candidate.images(count))
        _require(logits.shape == (count,), f"logits {tuple(logits.shape)} of {count} images")
        _require(logits.dtype == torch.float32, f"logits are {logits.dtype}")
        images = state.generator(state.latents.random(count, torch.device("cpu")))
        _require(images.shape == (count, 3, 16, 16), f"images {tuple(images.shape)}")
        _require(images.dtype == torch.float32, f"images are {images.dtype}")
        features = state.discriminator.features(candidate.images(count))
        _require(features.dim() == 2, f"features {tuple(features.shape)}")
        _require(len(features) == count, f"{len(features)} features of {count} images")
    return "batches of 1, 5 and 16"


def its_gradients_are_finite(candidate: Candidate) -> str:
    """Each weight of D and G gets a gradient, and each gradient is finite."""
    state, loss = candidate.build(), candidate.loss
    for step in (0, 2 * LATE):
        with seeded(state.generator, state.discriminator):
            batch = candidate.batch(state, step)
            loss_d = loss.discriminator(batch.real_logits, batch.fake_logits)
            penalty = candidate.method.penalty(state.discriminator, batch)
            _require(
                isinstance(penalty, Tensor) and penalty.shape == (),
                f"the penalty is {getattr(penalty, 'shape', penalty)}, not a scalar tensor",
            )
            (loss_d + penalty).backward()
    _check_gradients(state.discriminator)
    state.discriminator.requires_grad_(False)
    with seeded(state.generator, state.discriminator):
        latents = state.latents.random(BATCH, torch.device("cpu"))
        images = state.generator(latents)
        logits, labels = state.discriminator(images), state.latents.labels(latents)
        batch = dataclasses.replace(
            batch, fake=images, _real_logits=batch.real_logits.detach(), fake_logits=logits,
            labels=labels,
        )  # fmt: skip
        candidate.method.generator_loss(
            _of_g(loss, batch), state.generator, state.discriminator, batch
        ).backward()
    return f"largest of D {_check_gradients(state.discriminator, False):.2g}, of G " + (
        f"{_check_gradients(state.generator):.2g}"
    )


def it_can_be_differentiated_twice(candidate: Candidate) -> str:
    """A gradient penalty on the wrapped D has finite gradients by D's weights."""
    state = candidate.build()
    images = candidate.images().requires_grad_()
    with seeded(state.generator, state.discriminator):
        logits = state.discriminator(images)
        (by_image,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
        norms = by_image.flatten(1).norm(dim=1)
        _require(norms.requires_grad, "D's gradient by an image does not depend on D's weights")
        _require((norms > 0).any(), "D's logits do not depend on its images")
        (norms - 1).square().mean().backward()
    return f"largest second-order gradient {_check_gradients(state.discriminator, False):.2g}"


def eval_mode_changes_nothing(candidate: Candidate) -> str:
    """In eval mode the same images give the same bits, and no state moves."""
    state = candidate.trained()
    for network, inputs in candidate.networks(state):
        network.eval()
        before = copy.deepcopy(network.state_dict())
        first, second = network(inputs), network(inputs)
        _require(torch.equal(first, second), "two forwards in eval mode differ")
        with torch.no_grad():
            third = network(inputs)
        same = torch.allclose(first, third, rtol=1e-4, atol=1e-6)
        _require(same, "without gradients, the output is another")
        for name, value in network.state_dict().items():
            _require(torch.equal(value, before[name]), f"a forward in eval mode moves {name}")
    return "D and G"


def its_state_survives_saving_and_copying(candidate: Candidate) -> str:
    """A deepcopy, and fresh networks that load the state, compute the same bits."""
    state = candidate.trained()
    fresh = candidate.build(dataclasses.replace(candidate.spec(), seed=1))
    fresh.load_state_dict(copy.deepcopy(state.state_dict()))
    tensors = 0
    for (network, inputs), (other, _) in zip(
        candidate.networks(state), candidate.networks(fresh), strict=True
    ):
        expected = network.eval()(inputs)
        _require(torch.equal(copy.deepcopy(network)(inputs), expected), "a deepcopy differs")
        _require(torch.equal(other.eval()(inputs), expected), "the loaded state computes another")
        tensors += len(network.state_dict())
    return counted(tensors, "tensor")


def a_resumed_run_ends_with_the_same_bits(candidate: Candidate) -> str:
    """Training that stops at a checkpoint and goes on equals training that did not stop."""
    whole = candidate.trained()
    half = candidate.train(candidate.build(), updates=UPDATES // 2)
    half.update = LATE
    candidate.train(half, updates=1)
    resumed = candidate.build()
    resumed.load_state_dict(copy.deepcopy(half.state_dict()))
    candidate.train(resumed, updates=UPDATES // 2 - 1)
    _check_equal(whole, resumed, "after a resume")
    return f"stopped after update {LATE + 1:,}"


def it_trains_in_bfloat16(candidate: Candidate) -> str:
    """Under bfloat16 autocast, losses and weights stay finite and logits close."""
    spec = candidate.spec(precision="bfloat16")
    state = candidate.trained(spec)
    _require(state.is_finite(), "a loss or a weight is not finite")
    low, full = candidate.build(spec).discriminator, candidate.build().discriminator
    images = candidate.images()
    with seeded(low):
        rounded = low(images)
    with seeded(full):
        exact = full(images)
    _require(rounded.dtype == torch.float32, f"logits are {rounded.dtype}")
    error = ((rounded - exact).norm() / exact.norm()).item()
    _require(error < 0.2, f"logits are {error:.0%} off those in float32")
    return f"logits within {error:.1%} of those in float32"


def it_works_in_channels_last(candidate: Candidate) -> str:
    """The memory format of weights and images does not matter."""
    discriminator = candidate.build().discriminator.eval()
    images = candidate.images()
    other = copy.deepcopy(discriminator).to(memory_format=torch.contiguous_format)
    expected = other(images.contiguous())
    found = discriminator(images.to(memory_format=torch.channels_last))
    error = (found - expected).abs().max().item()
    _require(error < 1e-3 * (1 + expected.abs().max().item()), f"logits differ by {error:.1g}")
    return f"logits within {error:.1g} of those in channels first"


def torch_compile_captures_it(candidate: Candidate) -> str:
    """`torch.compile` captures the wrapped D whole, or `compiles = False` says that it doesn't."""
    if not candidate.method.compiles:
        return "it says that it is not captured"
    eager = candidate.build().discriminator
    inner = copy.deepcopy(eager)
    torch.compiler.reset()
    compiled = torch.compile(inner, backend="aot_eager", fullgraph=True)
    images = candidate.images()
    torch.manual_seed(0)
    expected = eager(images)
    torch.manual_seed(0)
    found = compiled(images)
    expected.mean().backward()
    found.mean().backward()
    error = (found - expected).abs().max().item()
    _require(error < 1e-3 * (1 + expected.abs().max().item()), f"logits differ by {error:.1g}")
    for (name, a), b in zip(eager.named_parameters(), inner.parameters(), strict=True):
        if a.grad is not None and b.grad is not None:
            scale = 1e-2 * (1e-3 + a.grad.abs().max().item())
            _require(torch.allclose(a.grad, b.grad, atol=scale), f"the gradient of {name} differs")
        else:
            _require(a.grad is b.grad, f"only one of the two gives {name} a gradient")
    return "one graph, forward and backward"


def its_randomness_is_that_of_the_engine(candidate: Candidate) -> str:
    """The same spec gives the same bits, whatever the global generators held before."""
    before = random.getstate(), repr(np.random.get_state())
    torch.manual_seed(1)
    first = candidate.trained()
    torch.manual_seed(2)
    second = candidate.trained()
    after = random.getstate(), repr(np.random.get_state())
    _require(
        before == after,
        "it draws from `random` or `numpy.random`, which nobody seeds: draw with torch.rand",
    )
    _check_equal(first, second, "between two trainings of one spec")
    return "two trainings, equal"


def its_traits_are_what_it_does(candidate: Candidate) -> str:
    """It declares the traits that combinations are judged by, and no others."""
    found = traits.found(candidate)
    for trait, does in found.items():
        declares = trait in candidate.method.traits
        _require(does or not declares, f"it declares {trait}, but does not: {trait.value}")
        _require(declares or not does, f"it does not declare {trait}, but {trait.value}")
    if Trait.BOUNDS_NOTHING in candidate.method.traits:
        _check_bounds_nothing(candidate)
    return ", ".join(sorted(trait.name.lower() for trait in candidate.method.traits)) or "none"


def it_keeps_what_it_claims(candidate: Candidate) -> str:
    """Each claimed bound holds on every layer: before training, after it, with weights alike.

    Held to it are weights that stand still, so that power iterations have caught up with them;
    in brackets is what they were as training left them. Training is at setting F. Weights that
    are all alike are the worst for a bound on kernels that is claimed of convolutions. To pass is
    not to be proven: it is not to be refuted here.
    """
    method, spec = candidate.method, candidate.spec(AGGRESSIVE)
    if not method.claims:
        return "it claims no bound"
    state = candidate.build(spec)
    said = [_check_claims(candidate, state, "before training")]
    candidate.train(state, spec, 2 * UPDATES)
    said.append(_check_claims(candidate, state, f"after {2 * UPDATES} updates"))
    said.append(
        _check_claims(candidate, _alike(candidate, spec), "with all weights alike", with_lag=False)
    )
    return "; ".join(said)


def its_loss_of_g_sees_the_current_d(candidate: Candidate) -> str:
    """In an update of G, logits are those of D after its last step, handed over or remembered."""
    method = candidate.method
    if "generator_loss" not in method.hooks():
        return "it leaves G's loss alone"
    errors: list[float] = []
    parts = Parts((_probe(errors), method), candidate.loss, candidate.architecture)
    state = loop.build(candidate.spec(), parts, digits())
    candidate.train(state)
    _require(
        max(errors) == 0,
        f"batch.real_logits are up to {max(errors):.1g} off D's logits of batch.real",
    )
    state = candidate.build()
    _penalize(candidate, state)
    _move(state.discriminator)
    moved = copy.deepcopy(state.state_dict())
    found = _loss_of_g(candidate, state)
    state = candidate.build()
    _move(state.discriminator)
    _penalize(candidate, state)
    state.load_state_dict(moved)  # with buffers, in which a method may remember
    expected = _loss_of_g(candidate, state)
    _require(
        torch.equal(expected, found),
        f"G's loss is {found.item():.6g}, and {expected.item():.6g} where D's last step is not "
        "between its penalty and it: it remembers values of an earlier D",
    )
    return f"{counted(len(errors), 'update')}; a loss after D has moved"


def its_averaged_generator_is_at_rest(candidate: Candidate) -> str:
    """Each computed weight of the moving average of G, which is scored, fits its originals.

    It is what its own parametrization computes of them once its buffers stand still. The weights
    of the live generator can lag behind; training is at setting F.
    """
    spec = candidate.spec(AGGRESSIVE, ema_decay=0.999)
    state = candidate.train(candidate.build(spec), spec, 2 * UPDATES)
    found = _computed_weights(state.sampler)
    if not found:
        return "G's weights are trained as they are"
    expected = _computed_weights(loop.settled(state.sampler))
    errors = {
        name: ((weight - expected[name]).norm() / expected[name].norm()).item()
        for name, weight in found.items()
    }
    worst = max(errors, key=lambda name: errors[name])
    _require(
        errors[worst] <= _AT_REST,
        f"{worst} of the averaged G is {errors[worst]:.1%} off what its parametrization computes "
        "at rest: what that remembers must follow the weights when it is evaluated",
    )
    return f"{counted(len(found), 'weight')} within {errors[worst]:.1g}"


CASES: tuple[Case, ...] = (
    it_leaves_the_process_as_it_found_it,  # the first: what a case changes, the next would find
    it_changes_the_training,
    its_networks_keep_their_shapes,
    its_gradients_are_finite,
    it_can_be_differentiated_twice,
    eval_mode_changes_nothing,
    its_state_survives_saving_and_copying,
    a_resumed_run_ends_with_the_same_bits,
    it_trains_in_bfloat16,
    it_works_in_channels_last,
    torch_compile_captures_it,
    its_randomness_is_that_of_the_engine,
    its_traits_are_what_it_does,
    its_loss_of_g_sees_the_current_d,
    its_averaged_generator_is_at_rest,
    it_keeps_what_it_claims,
)


def _probe(errors: list[float]) -> Method:
    """Return a method that notes how far the logits of real images in G's updates are from D's."""

    class Probe(Method):
        """Compare the logits with D's own."""

        label = "probe"

        def generator_loss(
            self, loss: Tensor, generator: Generator, discriminator: Discriminator, batch: Batch
        ) -> Tensor:
            with torch.no_grad(), torch.random.fork_rng(devices=[]):  # D may draw at each pass
                torch.manual_seed(0)
                own = discriminator(batch.real)
                torch.manual_seed(0)
                errors.append((batch.real_logits - own).abs().max().item())
            return loss

    return Probe()


def _penalize(candidate: Candidate, state: TrainState) -> None:
    """Call the method's penalty, as an update of D does."""
    with seeded(state.generator, state.discriminator):
        candidate.method.penalty(state.discriminator, candidate.batch(state, LATE))


@torch.no_grad()
def _move(network: nn.Module) -> None:
    """Change all weights of a network, as a step of an optimizer does."""
    draw = torch.Generator().manual_seed(0)
    for weight in network.parameters():
        weight.add_(0.1 * torch.randn(weight.shape, generator=draw))


def _of_g(loss: Loss, batch: Batch) -> Tensor:
    return loss.generator(batch.fake_logits, batch.real_logits if loss.needs_real else None)


def _loss_of_g(candidate: Candidate, state: TrainState) -> Tensor:
    """Return G's loss with the method, without the graph."""
    loss = candidate.loss
    with seeded(state.generator, state.discriminator):
        batch = candidate.batch(state, LATE)
        adversarial = _of_g(loss, batch)
        return candidate.method.generator_loss(
            adversarial, state.generator, state.discriminator, batch
        ).detach()


def _computed_weights(network: nn.Module) -> dict[str, Tensor]:
    """Return a network's reparametrized weights by name, as computed in eval mode."""
    network = at_rest(network)
    return {
        f"{name}.{weight}": getattr(module, weight)
        for name, module in network.named_modules()
        if parametrize.is_parametrized(module)
        for weight in module.parametrizations
    }


def _check_claims(
    candidate: Candidate, state: TrainState, when: str, with_lag: bool = True
) -> str:
    said = []
    images = torch.cat([candidate.images(), samples(state)])
    settled = _settled(candidate, state.discriminator)
    for claim in candidate.method.claims:
        moving = max(value for _, value in bounds.measured(claim, state.discriminator, images))
        lags = with_lag and moving > claim.bound * (1 + claim.tolerance)
        values = dict(bounds.measured(claim, settled, images))
        layer = max(values, key=lambda name: values[name])
        lag = f" ({moving:.4g})" if lags else ""
        said.append(f"{claim.quantity} {values[layer]:.4g}{lag} of {claim.bound:g}")
        _require(
            values[layer] <= claim.bound * (1 + claim.tolerance),
            f"{when}: {claim.quantity} of {layer} is {values[layer]:.6g}, "
            f"claimed {claim.bound:g} with tolerance {claim.tolerance:g}",
        )
    return f"{when}: {', '.join(said)}"


def _settled(candidate: Candidate, discriminator: Discriminator) -> Discriminator:
    """Return a copy whose projections are done, and whose power iterations have converged."""
    settled = loop.settled(discriminator)
    step = getattr(candidate.method, "every", 1) - 1  # one at which a projection acts
    with torch.no_grad():
        loop.until_still(
            lambda: candidate.method.project(settled, step), lambda: settled.state_dict().values()
        )
    return loop.settled(settled)


def _alike(candidate: Candidate, spec: RunSpec) -> TrainState:
    """Return a state whose layers' parameters are nearly constant."""
    state = candidate.build(spec)
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for layer in state.discriminator.layers():
            for weight in layer.parameters():
                if weight.dim() > 1:
                    weight.copy_(1 + 0.01 * torch.randn(weight.shape, generator=draw))
    return state


def _check_bounds_nothing(candidate: Candidate) -> None:
    """Raise AssertionError where a method that says it bounds nothing does bound something."""
    declares = f"it declares {Trait.BOUNDS_NOTHING}, but"
    _require(not candidate.method.claims, f"{declares} claims a bound")
    _require(
        traits.slope_grows(candidate),
        f"{declares} D's gradient by an image does not grow with what is trained",
    )


def _check_gradients(network: nn.Module, all_of_them: bool = True) -> float:
    """Return the largest gradient. Raises AssertionError for one that is missing or not finite."""
    largest = 0.0
    for name, weight in network.named_parameters():
        if weight.grad is None and not weight.requires_grad:
            continue
        if weight.grad is None:
            _require(not all_of_them, f"{name} gets no gradient, so it would never be trained")
            continue
        _require(weight.grad.isfinite().all(), f"the gradient of {name} is not finite")
        largest = max(largest, weight.grad.abs().max().item())
    return largest


def _require(condition: bool | Tensor, otherwise: str) -> None:
    """Raise AssertionError unless a condition holds, under `python -O` too."""
    if not condition:
        raise AssertionError(otherwise)


def _check_equal(first: TrainState, second: TrainState, which: str) -> None:
    for part in ("discriminator", "generator"):
        expected = getattr(first, part).state_dict()
        for name, value in getattr(second, part).state_dict().items():
            _require(
                torch.equal(value, expected[name]),
                f"{part}: {name} differs {which}; what a method remembers must be a buffer of D "
                "or G, and what it draws from torch's global generator",
            )
