"""Which traits a method has, by what it does."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from lipbench.discriminators import Around, Discriminator, gradient, matrix
from lipbench.exam.candidate import LATE, Candidate, seeded
from lipbench.method import Batch, Trait
from lipbench.training import loop

_STEPS = (0, 2 * LATE)  # updates of D at which a penalty is looked at: some start late
_FAR = (1e3, 1e6)  # factors of D's last layer, both beyond any constant of a method


def found(candidate: Candidate) -> dict[Trait, bool]:
    """Return, for each trait that can be told by what a method does, whether it has it."""
    return {trait: has(candidate) for trait, has in _FOUND.items()}


def slope_grows(candidate: Candidate) -> bool:
    """Return whether D's gradient by an image grows with what is trained of D.

    Each time the method projects first.
    """
    slopes = []
    for factor in (10.0, 1000.0):
        discriminator = candidate.build().discriminator
        with torch.no_grad():
            for layer in discriminator.layers():
                for weight in layer.parameters():
                    if weight.dim() > 1:
                        weight.mul_(factor)
            every = getattr(candidate.method, "every", 1)
            candidate.method.project(discriminator, every - 1)
        slopes.append(_slope(loop.settled(discriminator), candidate.images()))
    return slopes[1] > 10 * slopes[0]


def _slope(discriminator: nn.Module, images: Tensor) -> float:
    """Return the largest norm of D's gradient by an image."""
    with seeded():
        return gradient(discriminator, images)[1].double().flatten(1).norm(dim=1).max().item()


def _depends_on_the_batch(candidate: Candidate) -> bool:
    """Return whether an image's logit changes, in training mode, with the rest of its batch."""
    logits = []
    for rest in (candidate.images(), candidate.images().flip(0).mul(0.5)):
        discriminator = candidate.build().discriminator
        images = torch.cat([candidate.images(1), rest[1:]])
        with seeded():
            logits.append(discriminator(images)[0])
    return not torch.allclose(logits[0], logits[1], rtol=1e-4, atol=1e-5)


@contextlib.contextmanager
def _gradients_asked(discriminator: Discriminator) -> Iterator[list[bool]]:
    """Yield a list that notes of each gradient asked for whether it is by other than weights."""
    asked: list[bool] = []
    weights = list(discriminator.parameters())

    def spy(function: Callable[..., Any]) -> Callable[..., Any]:
        def spied(*args: Any, **kwargs: Any) -> Any:
            inputs = inspect.signature(function).bind(*args, **kwargs).arguments.get("inputs")
            for tensor in [inputs] if isinstance(inputs, Tensor) else inputs or []:
                asked.append(not any(tensor is weight for weight in weights))
            return function(*args, **kwargs)

        return spied

    grad, backward = spy(torch.autograd.grad), spy(torch.autograd.backward)
    with (
        mock.patch("torch.autograd.grad", grad),
        mock.patch("torch.autograd.backward", backward),
    ):
        yield asked


def _differentiates_by_images(candidate: Candidate) -> bool:
    """Return whether a forward or the penalty asks for a gradient by other than D's weights."""
    found: list[bool] = []
    for step in _STEPS:
        state = candidate.build()
        with _gradients_asked(state.discriminator) as asked:
            candidate.method.penalty(state.discriminator, candidate.batch(state, step))
        found += asked
    return any(found)


def _divides_by_gradient(candidate: Candidate) -> bool:
    """Return whether D's forward asks for its gradient, and its slope does not follow its head."""
    state = candidate.build()
    with _gradients_asked(state.discriminator) as asked:
        state.discriminator(candidate.images())
    if not any(asked):
        return False
    slopes = []
    for factor in _FAR:
        discriminator = candidate.build().discriminator
        with torch.no_grad():
            for weight in discriminator.head.parameters():
                weight.mul_(factor)
        slopes.append(_slope(discriminator.eval(), candidate.images()))
    return slopes[1] < 2 * slopes[0]


def _inputs(discriminator: Discriminator, images: Tensor) -> dict[nn.Module, Tensor]:
    """Return what each of D's layers gets for images."""
    inputs: dict[nn.Module, Tensor] = {}
    handles = [
        layer.register_forward_pre_hook(lambda layer, args: inputs.update({layer: args[0]}))
        for layer in discriminator.layers()
    ]
    with torch.no_grad():
        discriminator(images)
    for handle in handles:
        handle.remove()
    return inputs


@torch.no_grad()
def _computes_weights(candidate: Candidate) -> bool:
    """Return whether halving a layer's weight in place does not halve what the layer does."""
    discriminator = candidate.build().discriminator.eval()
    for layer, given in _inputs(discriminator, candidate.images()).items():
        bias = layer(torch.zeros_like(given))
        before = layer(given) - bias
        layer.weight.mul_(0.5)  # type: ignore[operator]
        after = layer(given) - bias
        if not torch.allclose(after, before / 2, rtol=1e-3, atol=1e-5):
            return True
    return False


@torch.no_grad()
def _applies_transform(candidate: Candidate) -> bool:
    """Return whether a layer does something else than to apply its `.weight`."""
    discriminator = candidate.build().discriminator.eval()
    for layer, given in _inputs(discriminator, candidate.images()).items():
        found = layer(given) - layer(torch.zeros_like(given))
        weight: Tensor = layer.weight  # type: ignore[assignment]
        if isinstance(layer, nn.Conv2d):
            expected = layer._conv_forward(given, weight, None)
        else:
            expected = F.linear(given, weight)
        if not torch.allclose(found, expected, rtol=1e-3, atol=1e-4):
            return True
    return False


def _trained(layer: nn.Module) -> Tensor | None:
    """Return what is trained in place of a layer's weight, None if it is not one of its shape."""
    if not parametrize.is_parametrized(layer, "weight"):
        return None
    one = getattr(layer.parametrizations["weight"], "original", None)  # type: ignore[index]
    return one if isinstance(one, Tensor) and one.shape == layer.weight.shape else None


def _trains_other_shapes(candidate: Candidate) -> bool:
    """Return whether what is trained in place of a layer's weight is not of the weight's shape."""
    layers = candidate.build().discriminator.eval().layers()
    computed = [layer for layer in layers if parametrize.is_parametrized(layer, "weight")]
    return any(_trained(layer) is None for layer in computed)


def _divides_by_sigma(candidate: Candidate) -> bool:
    """Return whether each weight is a multiple of what is trained, of one sigma whatever that is.

    Looked at with matrices of two singular values, and with ones whose entries are all alike: of
    these other norms are in other proportions. Power iterations soon converge on both.
    """
    sigmas = []
    for alike in (False, True):
        discriminator = candidate.build().discriminator
        draw = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for layer in discriminator.layers():
                trained = _trained(layer)
                if trained is None:
                    return False
                rows, columns = matrix(trained).shape
                left = torch.randn(rows, 2, generator=draw) * torch.tensor([1.0, 0.5])
                right = torch.randn(2, columns, generator=draw)
                trained.copy_(torch.ones(()) if alike else (left @ right).view_as(trained))
        settled = loop.settled(discriminator).layers()
        weights = [(layer.weight.detach(), _trained(layer)) for layer in settled]
        if not all(_is_multiple(weight, trained) for weight, trained in weights):
            return False
        sigmas.append([torch.linalg.matrix_norm(matrix(w), 2).item() for w, _ in weights])
    return all(abs(a - b) < 0.02 * a for a, b in zip(*sigmas, strict=True))


def _is_multiple(one: Tensor, other: Tensor | None) -> bool:
    assert other is not None
    return F.cosine_similarity(one.flatten(), other.flatten(), dim=0).item() > 1 - 1e-4


def _penalizes_weights(candidate: Candidate) -> bool:
    """Return whether the penalty is of weights, not biases, and of no image."""
    method, images = candidate.method, candidate.images()
    if "penalty" not in method.hooks():
        return False
    others = torch.rand(images.shape, generator=torch.Generator().manual_seed(0)).mul(2).sub(1)
    for step in _STEPS:
        values, follows = [], [False, False]
        for seen in (images, others):
            discriminator = candidate.build().discriminator
            parts = [p for layer in discriminator.layers() for p in layer.parameters()]
            with seeded(discriminator):
                batch = Batch.of(discriminator, seen, -seen, step, labels=candidate.labels())
                value = method.penalty(discriminator, batch)
            values.append(value.detach())
            if value.requires_grad:
                for part, slope in zip(
                    parts, torch.autograd.grad(value, parts, allow_unused=True), strict=True
                ):
                    moves = slope is not None and bool(slope.abs().max() > 0)
                    follows[part.dim() > 1] |= moves
        if follows == [False, True] and torch.equal(*values):
            return True
    return False


class _Plane(Around):
    """A discriminator whose gradient by an image has the same norm everywhere."""

    def __init__(self, inner: Discriminator, slope: float) -> None:
        super().__init__(inner)
        self.slope = slope

    def compute(self, inputs: Tensor) -> Tensor:
        """Return the logits."""
        return self.slope * inputs.flatten(1).sum(1) / inputs[0].numel() ** 0.5


def _penalizes_both_sides(candidate: Candidate) -> bool:
    """Return whether the penalty of D's gradients is least where their norm is 1."""
    method, images = candidate.method, candidate.images()
    if "penalty" not in method.hooks() or not _differentiates_by_images(candidate):
        return False
    for step in _STEPS:
        penalties = []
        for slope in (0.9, 1.0, 1.1):
            plane = _Plane(candidate.build().discriminator, slope)
            with seeded():
                batch = Batch.of(plane, images, -images, step, labels=candidate.labels())
                penalties.append(method.penalty(plane, batch).item())
        if penalties[1] < min(penalties[0], penalties[2]):
            return True
    return False


_FOUND: dict[Trait, Callable[[Candidate], bool]] = {
    Trait.BATCH_STATISTICS: _depends_on_the_batch,
    Trait.INPUT_GRADIENTS: _differentiates_by_images,
    Trait.REPARAMETRIZES: _computes_weights,
    Trait.TRAINS_OTHER_SHAPES: _trains_other_shapes,
    Trait.APPLIES_TRANSFORM: _applies_transform,
    Trait.DIVIDES_BY_SIGMA: _divides_by_sigma,
    Trait.DIVIDES_BY_GRADIENT: _divides_by_gradient,
    Trait.PENALIZES_WEIGHTS: _penalizes_weights,
    Trait.TWO_SIDED_PENALTY: _penalizes_both_sides,
}
