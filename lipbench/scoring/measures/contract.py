"""What a measure is: a number from fakes' features and real images', and how it would spread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from lipbench.errors import UserError
from lipbench.scoring.features import Features

Options = Mapping[str, float]  # of one measure, complete

T = TypeVar("T")

_BLOCK = 1000  # rows of a pairwise matrix that are in memory at once


class NonFiniteFeatures(ArithmeticError):  # noqa: N818 - it names what happened
    """Features hold inf or nan, so nothing can be scored with them."""


@dataclass(frozen=True, eq=False)
class Real:
    """The real images that fakes are compared with.

    `training` is for the measures that compare with training images: the authenticity, and the
    Parzen window's bandwidth. Whatever measures derive from real images alone is computed once
    (`of`), and what they derive from fakes too is kept until other fakes come (`with_fake`), so
    tensors must not be changed in place. Raises NonFiniteFeatures.
    """

    features: Features  # of n_real images
    training: Features | None = None
    _known: dict[Callable[..., Any], Any] = field(default_factory=dict, init=False, repr=False)
    _pairs: dict[Callable[..., Any], Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        require_finite(self.features)
        if self.training is not None:
            require_finite(self.training)

    def of(self, quantity: Callable[[Real], T]) -> T:
        """Return quantity(self), computed at the first call with this function only."""
        if quantity not in self._known:
            self._known[quantity] = quantity(self)
        found: T = self._known[quantity]
        return found

    def with_fake(self, fake: Tensor, quantity: Callable[[Tensor, Real], T]) -> T:
        """Return quantity(fake, self), computed again only where `fake` is another tensor."""
        known = self._pairs.get(quantity)
        if known is None or known[0] is not fake:
            known = self._pairs[quantity] = (fake, quantity(fake, self))
        found: T = known[1]
        return found


@dataclass(frozen=True)
class Measure:
    """One number of a set of fakes, and its values on the bootstrap's draws of that set.

    `replicates` takes counts, float64 (B, N): how often each image is in each of B draws. It
    returns B values, float64; counts of one give `value`, unless the measure says what else.
    """

    value: Callable[[Features, Real, Options], float]
    replicates: Callable[[Features, Real, Options, Tensor], Tensor]
    resamples: Literal["fake", "real"] = "fake"  # whose images are drawn again


def standard_error(
    measure: Measure,
    fake: Features,
    real: Real,
    options: Options,
    replicates: int,
    generator: torch.Generator,
) -> float:
    """Return the standard deviation of a measure over bootstrap draws (Efron 1979).

    Only one side is drawn again, `measure.resamples`, and the other held fixed: it tells how far
    the number would move with other latents (or other real images), not with other training runs.
    Raises UserError for fewer than 2 replicates. It is nan where a replicate is.
    """
    if replicates < 2:
        raise UserError(f"a standard error needs 2 bootstrap replicates or more, not {replicates}")
    count = len((fake if measure.resamples == "fake" else real.features).pooled)
    drawn = torch.randint(count, (replicates, count), generator=generator)
    weights = torch.zeros(replicates, count, dtype=torch.float64)
    weights.scatter_add_(1, drawn, torch.ones((), dtype=torch.float64).expand_as(drawn))
    return measure.replicates(fake, real, options, weights).std().item()


def mean_of(
    per_image: Callable[[Features, Real, Options], Tensor], resamples: Literal["fake", "real"]
) -> Measure:
    """Return the measure that is the mean of a value an image, (N,) of the `resamples` side.

    Its draws are of those values: what they were computed from stays.
    """

    def value(fake: Features, real: Real, options: Options) -> float:
        return per_image(fake, real, options).double().mean().item()

    def replicates(fake: Features, real: Real, options: Options, weights: Tensor) -> Tensor:
        return weighted_mean(weights, per_image(fake, real, options))

    return Measure(value, replicates, resamples)


def weighted_mean(weights: Tensor, values: Tensor) -> Tensor:
    """Return the means of values (N,) under each row of weights (B, N), float64 (B,)."""
    return weights @ values.double() / weights.sum(dim=1)


def blocks(rows: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield a tensor's rows by thousands, each with where it is."""
    for start in range(0, len(rows), _BLOCK):
        where = slice(start, start + _BLOCK)
        yield where, rows[where]


def require_finite(features: Features) -> None:
    """Raise NonFiniteFeatures where a feature or a logit is inf or nan."""
    for name, values in features._asdict().items():
        bad = len(values) - int(torch.isfinite(values).all(dim=1).sum())
        if bad:
            raise NonFiniteFeatures(f"{bad} of {len(values)} images have inf or nan in {name}")


def require_training(real: Real, measure: str) -> Features:
    """Return the training images' features; raise UserError where there are none."""
    if real.training is None:
        raise UserError(f"{measure} needs features of training images; none were given")
    return real.training


def whole(options: Options, name: str, least: int = 1) -> int:
    """Return an option as an integer; raise UserError if it is not one or is below `least`."""
    value = options[name]
    if value != int(value) or value < least:
        raise UserError(f"{name} must be a whole number from {least} on, not {value:g}")
    return int(value)
