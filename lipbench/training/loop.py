"""Train one GAN. This loop is the only place that calls a method's hooks."""

from __future__ import annotations

import contextlib
import copy
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lipbench import streams
from lipbench.data import Split
from lipbench.method import Batch, Method, Trait, hidden_layers
from lipbench.networks import Discriminator, Generator, initialise
from lipbench.planning.parts import Parts
from lipbench.planning.spec import RunSpec
from lipbench.rest import undisturbed
from lipbench.streams import Latents
from lipbench.training import batches, optimizers
from lipbench.training.batches import real_batch
from lipbench.training.optimizers import rate_of_g
from lipbench.training.shares import ALONE, Share

Kind = TypeVar("Kind")
Module = TypeVar("Module", bound=nn.Module)

SCHEDULES: dict[str, Callable[[float], float]] = {  # progress in [0, 1) to a factor on the lr
    "constant": lambda progress: 1.0,
    "linear": lambda progress: 1.0 - progress,
}

DTYPES = {"float32": None, "bfloat16": torch.bfloat16}

ROUNDS_TO_REST = 200  # of power iterations and projections, at most: our choice

METRICS = ("loss_d", "penalty", "real_logit", "fake_logit", "loss_g")


class Meter:
    """Sums of the training metrics, kept on the device: a step never waits for the host."""

    def __init__(self, device: torch.device) -> None:
        self.sums = torch.zeros(len(METRICS), dtype=torch.float64, device=device)
        self.first_non_finite = torch.tensor(-1, device=device)
        self.count = 0

    def add(self, update: int, values: Tensor) -> None:
        """Add one update's metrics, a tensor of shape (5,), and note the first not finite."""
        self.sums += values
        self.count += 1
        bad = ~values.isfinite().all() & (self.first_non_finite < 0)
        self.first_non_finite = torch.where(bad, update, self.first_non_finite)

    def read(self) -> dict[str, float]:
        """Return the means since the last reading (this waits for the device)."""
        means = (self.sums / self.count).tolist()
        self.sums.zero_()
        self.count = 0
        return dict(zip(METRICS, means, strict=True))

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold."""
        return {"sums": self.sums, "first": self.first_non_finite, "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.sums.copy_(state["sums"])
        self.first_non_finite.copy_(state["first"])
        self.count = state["count"]


@dataclass
class TrainState:
    """Everything that training changes: two networks, two optimizers, a meter, the update.

    And what it does not: `latents` are what G maps to samples, with labels as the data has them
    where the architecture is conditional.
    """

    parts: Parts
    latents: Latents
    generator: Generator
    discriminator: Discriminator
    optimizer_g: torch.optim.Optimizer
    optimizer_d: torch.optim.Optimizer
    average: AveragedModel | None
    meter: Meter
    update: int = 0
    share: Share = ALONE  # of each batch, where several processes train

    @property
    def sampler(self) -> nn.Module:
        """Return the generator to score: the moving average where a suite asks for one.

        The average is of parameters; buffers are the live generator's. So the buffers that belong
        to a parametrization (a power iteration's vectors) are computed anew, in a copy: whatever
        the parametrization promises holds for the averaged weights too. The copy is a function of
        the state in a checkpoint. The other buffers, such as the running statistics of batch
        normalization, stay the live generator's.
        """
        return settled(self.average.module) if self.average else self.generator

    def is_finite(self) -> bool:
        """Return whether all weights, and all metrics so far, are finite."""
        weights = itertools.chain(self.generator.parameters(), self.discriminator.parameters())
        return int(self.meter.first_non_finite) < 0 and all(
            bool(weight.isfinite().all()) for weight in weights
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the state as tensors and numbers, for a checkpoint."""
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        return {**parts, "update": self.update}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint; raises where it is of other networks."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.update = state["update"]

    def _parts(self) -> dict[str, Any]:
        parts = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "optimizer_g": self.optimizer_g,
            "optimizer_d": self.optimizer_d,
            "meter": self.meter,
        }
        return {**parts, "average": self.average} if self.average else parts


@dataclass(frozen=True)
class Snapshot:
    """Training after an update. The state is live: copy what must not change."""

    update: int
    state: TrainState


def build(spec: RunSpec, parts: Parts, data: Split) -> TrainState:
    """Return the state before the first update, on the device of the data.

    Build the networks, initialise, move and wrap them, prepare the methods, make the optimizers.
    """
    device, methods, architecture = data.device, parts.methods, parts.architecture
    shape, classes = spec.dataset.shape, architecture.classes_of(data.classes)

    streams.seed_torch(streams.derive(spec.seed, "method", "build"), device)
    generator = architecture.generator(shape, classes)
    discriminator = architecture.discriminator(shape, classes, **hidden_layers(methods))
    discriminator.classes = classes
    for network, name in ((generator, "generator"), (discriminator, "discriminator")):
        initialise(network, spec.initialisation, spec.seed, name)
        network.autocast_dtype = DTYPES[spec.precision]
        network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    # Those that compute weights come last, so that they reach the layers that others add.
    for method in sorted(methods, key=lambda method: Trait.REPARAMETRIZES in method.traits):
        discriminator = _returned(method, "wrap", method.wrap(discriminator), Discriminator)
        generator = _returned(
            method, "wrap_generator", method.wrap_generator(generator), Generator
        )
    discriminator.to(device)
    generator.to(device)
    if preparing := [method for method in methods if "prepare" in method.hooks()]:
        count, augmentation = spec.budget.batch_size, spec.augmentation
        reference, labels = real_batch(
            data, count, spec.seed, "reference", augmentation=augmentation
        )
        for method in preparing:  # weights are computed anew: the last one may have moved D
            with torch.no_grad(), discriminator.given(labels), computed(discriminator):
                method.prepare(discriminator, reference)
    optimizer_g = optimizers.make(spec.setting, generator.parameters(), rate_of_g(spec.setting))
    optimizer_d = optimizers.make(spec.setting, discriminator.parameters(), spec.setting.lr)
    average = None
    if spec.ema_decay is not None:
        average = AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(spec.ema_decay))
    latents = replace(architecture.latents_of(classes), shares=data.shares(classes))
    return TrainState(
        parts, latents, generator, discriminator, optimizer_g, optimizer_d, average, Meter(device)
    )


def _returned(method: Method, hook: str, value: object, kind: type[Kind]) -> Kind:
    """Return what a hook gave. Raises TypeError where it is of another kind."""
    if not isinstance(value, kind):
        returned = type(value).__name__
        raise TypeError(
            f"{type(method).__name__}.{hook} returned {returned}, not a {kind.__name__}"
        )
    return value


def train(spec: RunSpec, data: Split, state: TrainState) -> Iterator[Snapshot]:
    """Train from `state.update` to the end of the budget, yielding after each update of G.

    One update is `n_dis` updates of D, each with a new real batch (drawn with replacement) and new
    latents, and then one of G with new latents. Where training is conditional, the images
    generated for an update of D are of the real ones' classes, so that D is bound to one set of
    labels for both and for what lies between them; for G's, classes are drawn as the data has
    them. Real images are augmented as the spec says. Real and generated images pass through D
    apart from each other. Reparametrized weights are computed once for each update of D or G, in
    float32. Only G's batch statistics move in D's updates, none of its weights.
    """
    budget, seed, device, share = spec.budget, spec.seed, data.device, state.share
    generator, discriminator = state.generator, state.discriminator
    methods, loss = state.parts.methods, state.parts.loss
    trainable = [weight for weight in discriminator.parameters() if weight.requires_grad]
    of_g, of_d = reparametrized(generator), reparametrized(discriminator)
    rates = (
        (state.optimizer_g.param_groups, rate_of_g(spec.setting)),
        (state.optimizer_d.param_groups, spec.setting.lr),
    )

    def latents(count: int, *index: int | str, labels: Tensor | None = None) -> Tensor:
        drawn = state.latents.draw(count, seed, "latents", *index).to(device, non_blocking=True)
        if labels is not None and state.latents.classes:  # on the device, which nobody waits for
            drawn[:, -1] = labels
        return share.of(drawn)

    steps = (
        (update, inner)
        for update in range(state.update, budget.generator_updates)
        for inner in range(spec.setting.n_dis)
    )
    real_batches = batches.in_order(data, budget.batch_size, seed, spec.augmentation, steps)
    generator.train()
    discriminator.train()
    for update in range(state.update, budget.generator_updates):
        progress = update / budget.generator_updates
        for groups, rate in rates:
            for group in groups:
                group["lr"] = rate * SCHEDULES[budget.schedule](progress)

        measured = []
        for inner in range(spec.setting.n_dis):
            step = update * spec.setting.n_dis + inner
            streams.seed_torch(streams.derive(seed, "method", update, inner, *share.index), device)
            real, classes = next(real_batches)
            drawn = latents(budget.batch_size, update, inner, labels=classes)
            real, labels = share.of(real), state.latents.labels(drawn)
            with torch.no_grad(), cached(of_g):
                fake = generator(drawn)
            with discriminator.given(labels), cached(of_d):
                batch = Batch.of(discriminator, real, fake, step, progress, labels)
                loss_d = loss.discriminator(batch.real_logits, batch.fake_logits)
                penalties = [method.penalty(discriminator, batch) for method in methods]
            penalty = sum(penalties, torch.zeros((), device=device))
            state.optimizer_d.zero_grad()
            (loss_d + penalty).backward()
            share.average_gradients(state.optimizer_d)
            state.optimizer_d.step()
            with torch.no_grad():
                for method in methods:
                    method.project(discriminator, step)
            means = (loss_d, penalty, batch.real_logits.mean(), batch.fake_logits.mean())
            measured.append(torch.stack([mean.detach() for mean in means]))

        stream = streams.derive(seed, "method", update, "generator", *share.index)
        streams.seed_torch(stream, device)
        set_requires_grad(trainable, False)
        drawn = latents(budget.generator_batch_size, update, "generator")
        wanted = state.latents.labels(drawn)
        with discriminator.given(wanted), cached([*of_g, *of_d]):
            fake = generator(drawn)
            fake_logits = discriminator(fake)
            fresh = functools.partial(_without_graph, discriminator, real, labels)
            batch = Batch(real, fake, fresh, fake_logits, step + 1, progress, wanted, labels)
            loss_g = loss.generator(fake_logits, batch.real_logits if loss.needs_real else None)
            for method in methods:
                loss_g = method.generator_loss(loss_g, generator, discriminator, batch)
        state.optimizer_g.zero_grad()
        loss_g.backward()
        share.average_gradients(state.optimizer_g)
        state.optimizer_g.step()
        set_requires_grad(trainable, True)
        if state.average:
            state.average.update_parameters(generator)

        values = torch.cat([torch.stack(measured).mean(0), loss_g.detach()[None]])
        state.meter.add(update + 1, share.mean_(values))
        state.update = update + 1
        yield Snapshot(state.update, state)


def computed(*networks: nn.Module) -> contextlib.AbstractContextManager[None]:
    """Compute the networks' reparametrized weights once, now, and outside of autocast.

    Autocast would round a power iteration to bfloat16; every access within takes this result.
    """
    return cached([weight for network in networks for weight in reparametrized(network)])


def reparametrized(network: nn.Module) -> list[tuple[nn.Module, str]]:
    """Return the modules of a network whose tensors are computed, with the tensors' names."""
    return [
        (module, name)
        for module in network.modules()
        if parametrize.is_parametrized(module)
        for name in module.parametrizations  # type: ignore[union-attr]
    ]


@contextlib.contextmanager
def cached(weights: Sequence[tuple[nn.Module, str]]) -> Iterator[None]:
    """Compute reparametrized weights once, for all accesses within; see `computed`."""
    with parametrize.cached():
        for module, name in weights:
            getattr(module, name)
        yield


@torch.no_grad()
def _without_graph(discriminator: Discriminator, inputs: Tensor, labels: Tensor | None) -> Tensor:
    """Return D's logits of samples of some classes, as constants."""
    with discriminator.given(labels):
        logits: Tensor = discriminator(inputs)
    return logits


def settled(network: Module) -> Module:
    """Return a copy in which what parametrizations remember has caught up with the weights.

    Each is evaluated in training mode until its buffers stand still, or `ROUNDS_TO_REST` times.
    Nothing else moves: no parameter, no running statistics, no random generator. A
    parametrization without buffers is not evaluated: it holds for any weights.
    """
    twin = copy.deepcopy(network)
    parametrizations = [
        part
        for module in twin.modules()
        if parametrize.is_parametrized(module)
        for part in module.parametrizations.values()  # type: ignore[operator]
    ]

    def buffers() -> list[Tensor]:
        return [buffer for part in parametrizations for buffer in part.buffers()]

    def evaluate() -> None:
        for part in parametrizations:
            part()

    if not buffers():
        return twin
    modes = [(module, module.training) for part in parametrizations for module in part.modules()]
    for part in parametrizations:
        part.train()
    with undisturbed(buffers()[0].device, seed=0), torch.no_grad():
        until_still(evaluate, buffers)
    for module, mode in modes:
        module.training = mode
    return twin


def until_still(act: Callable[[], None], state: Callable[[], Iterable[Tensor]]) -> None:
    """Act until it changes no tensor of a state, or `ROUNDS_TO_REST` times."""
    for _ in range(ROUNDS_TO_REST):
        before = [tensor.clone() for tensor in state()]
        act()
        if all(map(torch.equal, before, state())):
            return


def set_requires_grad(weights: Sequence[nn.Parameter], requires: bool) -> None:
    """Let a backward pass compute these weights' gradients, or spare it that."""
    for weight in weights:
        weight.requires_grad_(requires)
