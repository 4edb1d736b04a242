"""A method under examination, on small networks, and what cases do with it."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from lipbench import data, paths
from lipbench.architecture import Architecture
from lipbench.architectures.resnet import ResNet
from lipbench.architectures.standard_cnn import StandardCNN
from lipbench.dataset import load
from lipbench.datasets.digits import Digits
from lipbench.loss import Loss
from lipbench.method import Batch, Method
from lipbench.planning import parts
from lipbench.planning.parts import Parts
from lipbench.planning.spec import (
    ArchitectureSpec,
    Budget,
    DatasetSpec,
    LossSpec,
    RunSpec,
    Setting,
)
from lipbench.plugins import Plugins
from lipbench.training import batches, loop
from lipbench.training.loop import TrainState

UPDATES = 4
LATE = 5_000  # an update by which whatever starts late has started
BATCH = 16
SHAPE = (3, 16, 16)  # of the images
PLAIN = ("standard_cnn", StandardCNN(width=0.125))
CONDITIONAL = ("resnet", ResNet(width=0.0625, condition="classifier"))  # where labels are needed
GENTLE = Setting(2e-4, 0.5, 0.999, 2)  # C of Miyato et al. 2018, but two updates of D
AGGRESSIVE = Setting(1e-3, 0.9, 0.999, 2)  # F, but two updates of D


@functools.cache
def digits() -> data.Split:
    """Return the embedded digits' training images, with two others in each as further colours."""
    cache = paths.cache_root()
    train = load(Digits(), Digits().inspect(cache), cache, torch.device("cpu")).train
    colours = [train.samples.roll(shift, 0) for shift in range(3)]
    return data.Split(torch.cat(colours, dim=3), train.labels, train.classes)


@dataclass(frozen=True)
class Candidate:
    """A method under examination, and the small networks that it is examined on."""

    method: Method

    @property
    def is_baseline(self) -> bool:
        """Return whether it says that it changes nothing, as `none` does."""
        return self.method.is_baseline

    @functools.cached_property
    def loss(self) -> Loss:
        """Return the loss that the method is examined with."""
        name = self.method.requires.loss or parts.DEFAULT_LOSS
        return parts.loss(name, {}, Plugins())

    @property
    def architecture(self) -> Architecture:
        """Return the small networks."""
        return (CONDITIONAL if self.method.requires.labels else PLAIN)[1]

    def spec(
        self,
        setting: Setting = GENTLE,
        precision: str = "float32",
        ema_decay: float | None = None,
    ) -> RunSpec:
        """Return the run that the exam makes, long enough to have a late part."""
        name, architecture = CONDITIONAL if self.method.requires.labels else PLAIN
        return RunSpec(
            methods=(),
            setting=setting,
            architecture=ArchitectureSpec(name, asdict(architecture)),
            initialisation="xavier_uniform",  # large enough for bounds to bind at once
            loss=LossSpec(self.method.requires.loss or parts.DEFAULT_LOSS, {}),
            dataset=DatasetSpec("digits", "", SHAPE),
            budget=Budget(2 * LATE, BATCH, BATCH, "constant"),
            precision=precision,
            ema_decay=ema_decay,
            seed=0,
        )

    def build(self, spec: RunSpec | None = None, with_method: bool = True) -> TrainState:
        """Return the state before the first update."""
        methods = (self.method,) if with_method else ()
        made = Parts(methods, self.loss, self.architecture)
        return loop.build(spec or self.spec(), made, digits())

    def train(
        self, state: TrainState, spec: RunSpec | None = None, updates: int = UPDATES
    ) -> TrainState:
        """Train a state for some updates, and return it."""
        steps = loop.train(spec or self.spec(), digits(), state)
        for _ in itertools.islice(steps, updates):
            pass
        return state

    def trained(self, spec: RunSpec | None = None) -> TrainState:
        """Return the state after a few updates, half of them late in the run."""
        state = self.train(self.build(spec), spec, UPDATES // 2)
        state.update = LATE
        return self.train(state, spec, UPDATES // 2)

    def images(self, count: int = BATCH) -> Tensor:
        """Return real images (count, 3, 16, 16)."""
        return batches.real_batch(digits(), count, 0, "exam")[0]

    def labels(self) -> Tensor | None:
        """Return the labels (16,) of those images, where the networks are conditional."""
        labels = batches.real_batch(digits(), BATCH, 0, "exam")[1]
        return labels if self.architecture.is_conditional else None

    def batch(self, state: TrainState, step: int = 0) -> Batch:
        """Return a batch of real and generated images, with D's logits of them."""
        labels = self.labels()
        with torch.no_grad(), seeded():
            latents = state.latents.random(BATCH, torch.device("cpu"))
            if labels is not None:
                latents[:, state.latents.dim] = labels
            fake = state.generator(latents)
        images = self.images()
        return Batch.of(state.discriminator, images, fake, step, step / (4 * LATE), labels)

    def networks(self, state: TrainState) -> list[tuple[nn.Module, Tensor]]:
        """Return D and G, each with inputs."""
        return [(state.discriminator, self.images()), (state.generator, latents(state))]


def latents(state: TrainState) -> Tensor:
    """Return the latents (16, columns) that G is looked at with."""
    return state.latents.draw(BATCH, 0, "exam")


@torch.no_grad()
def samples(state: TrainState) -> Tensor:
    """Return G's images of those latents, in eval mode."""
    state.generator.eval()
    images = state.generator(latents(state))
    state.generator.train()
    return images


@contextlib.contextmanager
def seeded(*networks: nn.Module) -> Iterator[None]:
    """Seed what hooks draw from, and compute the networks' weights once."""
    torch.manual_seed(0)
    with loop.computed(*networks):
        yield
