"""The contract of a measure: one number of generated images, and how it would spread.

A measure is one file with one frozen dataclass that extends `Measure`; its fields are the options
that a protocol sets, with their ranges. It is measured on a space of features (an extractor's, or
pixels), and each pair of a measure and a space is a score. Importing this module imports no torch,
and neither may a measure's file at its top: lists, plans and reports read it without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypeVar

from pydantic import ConfigDict

from lipbench import parameterized
from lipbench.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

_BLOCK = 1000  # rows of a pairwise matrix that are in memory at once


class NonFiniteFeatures(ArithmeticError):  # noqa: N818 - it names what happened
    """Features hold inf or nan, so nothing can be scored with them."""


class Features(NamedTuple):
    """What an extractor says of N images, or what they are themselves: float32 on the CPU."""

    pooled: Tensor  # (N, features)
    logits: Tensor  # (N, classes); no classes where the images themselves are compared
    labels: Tensor | None = None  # (N,), int64: of a conditional generator, what was asked for

    def at(self, index: Tensor | slice) -> Features:
        """Return those of some of the images."""
        labels = None if self.labels is None else self.labels[index]
        return Features(self.pooled[index], self.logits[index], labels)


@dataclass(frozen=True, eq=False)
class Real:
    """The real images that fakes are compared with.

    `training` is for the measures that compare with training images (`needs_training`). Whatever
    measures derive from real images alone is computed once (`of`), and what they derive from
    fakes too is kept until other fakes come (`with_fake`), so tensors must not be changed in
    place. Raises NonFiniteFeatures.
    """

    features: Features  # of n_real images
    training: Features | None = None
    labels: Tensor | None = None  # (n_real,), int64: the dataset's own of the real images
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
class On:
    """What is special of a measure on one space: another name, other decimals."""

    space: str
    name: str = ""  # of the score; empty: `<prefix>_<space>`
    title: str = ""  # of the score; empty: `<title> (<space>)`
    decimals: int | None = None
    if_diverged: float | None = None


@dataclass(frozen=True)
class Measure:
    """One number of a set of fakes, and its values on the bootstrap's draws. Fields are options.

    A subclass must say `title`, `description` and `higher_is_better`, and give both functions.
    `papers` are keys of a `references.bib` beside the file, or BibTeX entries; they are read
    without importing it.
    """

    title: ClassVar[str] = ""
    description: ClassVar[str] = ""  # with "{features}" where the space's are named
    higher_is_better: ClassVar[bool]
    prefix: ClassVar[str] = ""  # of its scores' names, `<prefix>_<space>`; empty: the file's name
    unit: ClassVar[str] = ""  # such as "nats"; empty: a plain number
    axis: ClassVar[Literal["linear", "log"]] = "linear"  # of figures, where all values are above 0
    decimals: ClassVar[int] = 3
    if_diverged: ClassVar[float | None] = None
    """What a diverged run counts as in a search; None: nothing bounds it."""

    rewards: ClassVar[str] = ""  # what scores well and should not: "blurred images"
    papers: ClassVar[tuple[str, ...]] = ()

    spaces: ClassVar[tuple[str, ...]] = ()
    """The spaces that it means something on (keys of `lipbench.protocols.scores.SPACES`), such as
    "pixels"; empty: the features of every network, those with classes if it `needs_classes`."""

    on: ClassVar[tuple[On, ...]] = ()  # what is special on some of them

    needs_real: ClassVar[bool] = True  # whether it compares with real images at all
    needs_training: ClassVar[bool] = False  # whether it compares with training images, too
    needs_classes: ClassVar[bool] = False  # whether it reads a classifier's logits
    needs_labels: ClassVar[bool] = False  # whether it is of a conditional generator's images
    needs_as_many: ClassVar[bool] = False  # whether it needs as many fakes as real images
    resamples: ClassVar[Literal["fake", "real"]] = "fake"  # whose images the bootstrap draws again
    floor: ClassVar[Literal["training", "held-out", "training, apart"]] = "training"
    """What stands in the fakes' place for the floor, what real images score. Where fakes are
    compared with training images, the floor's training images would be found among themselves:
    held-out ones stand there, or the comparison is with the other training images."""

    untold: ClassVar[tuple[tuple[str, float], ...]] = ()
    """Options, with the value at which a sentence need not name them."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False
    )

    @classmethod
    def refuse_traps(cls) -> None:
        """Raise TypeError for a class that is no measure yet, as when its file is loaded."""
        mean = issubclass(cls, Mean)
        functions = ("per_image",) if mean else ("value", "replicates")
        parameterized.refuse_traps(cls, Mean if mean else Measure, functions)

    def fewest(self, features: int) -> tuple[int, str]:
        """Return the fewest images, of either kind, that it means anything with, and why.

        `features` is how many the space has; 0 where that depends on the images.
        """
        return 2, "one alone does not vary"

    def value(self, fake: Features, real: Real) -> float:
        """Return the number. Raises UserError for too few images, or NonFiniteFeatures."""
        raise NotImplementedError

    def replicates(self, fake: Features, real: Real, counts: Tensor) -> Tensor:
        """Return its values (B,) on B draws of the images that it `resamples`, float64.

        `counts`, float64 (B, N), are how often each image is in each draw. Counts of one give
        `value`, unless the measure says what else. Raises as `value` does.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Mean(Measure):
    """A measure that is the mean of a value an image, (N,) of the side that it `resamples`.

    Its draws are of those values: what they were computed from stays.
    """

    def per_image(self, fake: Features, real: Real) -> Tensor:
        """Return the values, (N,). Raises as `value` does."""
        raise NotImplementedError

    def value(self, fake: Features, real: Real) -> float:
        return self.per_image(fake, real).double().mean().item()

    def replicates(self, fake: Features, real: Real, counts: Tensor) -> Tensor:
        return weighted_mean(counts, self.per_image(fake, real))


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
    for name, values in (("pooled", features.pooled), ("logits", features.logits)):
        bad = len(values) - int(values.isfinite().all(dim=1).sum())
        if bad:
            raise NonFiniteFeatures(f"{bad} of {len(values)} images have inf or nan in {name}")


def require_labels(labels: Tensor | None, measure: str, of: str = "real") -> Tensor:
    """Return labels of real or generated images; raise UserError where there are none."""
    if labels is None:
        raise UserError(f"{measure} needs the labels of {of} images; none were given")
    return labels


def require_training(real: Real, measure: str) -> Features:
    """Return the training images' features; raise UserError where there are none."""
    if real.training is None:
        raise UserError(f"{measure} needs features of training images; none were given")
    return real.training
