"""The cases that every measure must pass, on drawn features: no image is needed."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from lipbench.errors import UserError
from lipbench.measure import Features, Measure, NonFiniteFeatures, Real

_DIMENSION, _CLASSES = 6, 5  # of features; points are in the plane
_FEWEST = 120  # images of each kind, or as many as the measure needs; our choice
_AWAY = 0.25  # how far fakes are moved, in the features' range of 0 to 1


class Sets(NamedTuple):
    """Fakes and the real side, in [0, 1] as pixels are, and logits that are sure of little."""

    fake: Features
    real: Real


@dataclass(frozen=True)
class ExaminedMeasure:
    """A measure with its options, and as many features as it needs."""

    measure: Measure

    @property
    def dimension(self) -> int:
        """Return how many features an image has."""
        return 2 if self.measure.spaces == ("points",) else _DIMENSION

    @functools.cached_property
    def count(self) -> int:
        """Return how many images of each kind are drawn."""
        fewest, _ = self.measure.fewest(self.dimension)
        return max(_FEWEST, 2 * fewest)

    def sets(self, seed: int = 2, moved: float = 0.0, count: int | None = None) -> Sets:
        """Return fakes of a seed, against real images and training images."""
        each = count or self.count
        labels = torch.arange(each) % (2 if self.measure.needs_labels else _CLASSES)
        fake, known, training = (
            self._drawn(each, *how)._replace(labels=labels) for how in ((seed, moved), (0,), (1,))
        )
        return Sets(fake, Real(known, training=training, labels=labels))

    def _drawn(self, count: int, seed: int, moved: float = 0.0) -> Features:
        draw = torch.Generator().manual_seed(seed)
        pooled = torch.randn(count, self.dimension, generator=draw) / 9 + 0.5
        pooled[:, 0] = torch.rand(count, generator=draw)  # so that sorted images are unlike others
        return Features(
            (pooled + moved).clamp(0, 1), 2 * torch.randn(count, _CLASSES, generator=draw)
        )

    def value(self, sets: Sets) -> float:
        """Return the number of some fakes."""
        return self.measure.value(sets.fake, sets.real)

    def replicates(self, sets: Sets, counts: Tensor) -> Tensor:
        """Return the numbers of draws."""
        return self.measure.replicates(sets.fake, sets.real, counts)


def it_gives_a_number(subject: ExaminedMeasure) -> str:
    """The number is a float, the same each time, and sets stay as they are."""
    sets = subject.sets()
    given = (*sets.fake[:2], *sets.real.features[:2])
    before = [values.clone() for values in given]
    first, again = subject.value(sets), subject.value(subject.sets())
    assert isinstance(first, float), f"it gives a {type(first).__name__}"
    assert not math.isinf(first), f"it gives {first}"
    same = first == again or (math.isnan(first) and math.isnan(again))
    assert same, f"it gives {first:.6g} and then {again:.6g} for the same features"
    kept = all(a.equal(b) for a, b in zip(before, given, strict=True))
    assert kept, "it changes the features that it is given"
    return f"{first:.4g} for {subject.count} images of each kind"


def a_set_against_itself_is_no_worse_than_one_moved_away(subject: ExaminedMeasure) -> str:
    """Real images in the fakes' place score at least as well as fakes somewhere else."""
    measure, sets = subject.measure, subject.sets()
    itself = measure.value(sets.real.features, sets.real)
    assert not math.isinf(itself), f"real images against themselves give {itself}"
    if not measure.needs_real or measure.rewards:
        why = "it rewards other things" if measure.rewards else "it compares with no real image"
        return f"itself {itself:.4g}; {why}"
    away = subject.value(subject.sets(moved=_AWAY))
    sign = 1 if measure.higher_is_better else -1
    assert not sign * itself < sign * away, (
        f"real images score {itself:.4g} against themselves and fakes far away {away:.4g}, which "
        f"is better: say higher_is_better = {not measure.higher_is_better}"
    )
    return f"itself {itself:.4g}, moved away {away:.4g}"


def the_order_of_images_matters_little(subject: ExaminedMeasure) -> str:
    """Sorted fakes score as shuffled ones, within a few standard errors."""
    sets = subject.sets()
    order = sets.fake.pooled[:, 0].argsort()
    ordered = sets.fake.at(order)
    value, again = subject.value(sets), subject.measure.value(ordered, sets.real)
    if math.isnan(value) or math.isnan(again):
        return f"{value:.4g} and {again:.4g}: not a number is told as such"
    spread = subject.replicates(sets, _draws(subject, sets, 20)).std().item()
    most = 4 * spread + 1e-4 * max(1.0, abs(value))
    difference = abs(value - again)
    assert difference <= most, (
        f"{value:.5g} becomes {again:.5g} where images are sorted, more than 4 standard errors "
        f"({spread:.2g} each)"
    )
    return f"{value:.5g} and {again:.5g}"


def counts_of_one_give_its_value(subject: ExaminedMeasure) -> str:
    """`replicates` gives a float64 for each draw, and the value where each image is there once."""
    sets = subject.sets()
    side = sets.fake if subject.measure.resamples == "fake" else sets.real.features
    found = subject.replicates(sets, torch.ones(2, len(side.pooled), dtype=torch.float64))
    assert found.shape == (2,), f"for 2 draws, its replicates have the shape {tuple(found.shape)}"
    assert found.dtype == torch.float64, f"its replicates are {found.dtype}, not float64"
    value = subject.value(sets)
    both = [value, *found.tolist()]
    if all(map(math.isnan, both)):
        return "not a number, and neither are its replicates"
    spread = subject.replicates(sets, _draws(subject, sets, 20)).std().item()
    close = 2 * spread + 1e-4 * max(1.0, abs(value))  # a value may be of random subsets
    assert all(abs(each - value) <= close for each in both), (
        f"its value is {value:.5g}, and with counts of one its replicates are {both[1]:.5g}"
    )
    return f"{value:.5g} and {both[1]:.5g}"


def it_needs_the_images_that_it_says(subject: ExaminedMeasure) -> str:
    """It gives a number of the fewest images, and refuses fewer with a UserError."""
    fewest, why = subject.measure.fewest(subject.dimension)
    assert fewest >= 1, f"its fewest images are {fewest}"
    assert why, "it does not say why it needs so many images"
    value = subject.value(subject.sets(count=fewest))
    assert not math.isinf(value), f"{fewest} images of each kind give {value}"
    if fewest > 2:
        try:
            subject.value(subject.sets(count=fewest - 1))
        except UserError:
            pass
        else:
            raise AssertionError(f"it needs {fewest} images and takes {fewest - 1}")
    return f"{fewest} on {subject.dimension} features: {why}"


def features_that_are_not_finite_are_never_scored(subject: ExaminedMeasure) -> str:
    """It raises NonFiniteFeatures for fakes with a nan, in its value and in its replicates."""
    sets = subject.sets()
    for name in ("pooled", "logits"):
        values = getattr(sets.fake, name).clone()
        values[3, 1] = torch.nan
        spoilt = Sets(sets.fake._replace(**{name: values}), sets.real)
        side = sets.fake if subject.measure.resamples == "fake" else sets.real.features
        ones = torch.ones(1, len(side.pooled), dtype=torch.float64)
        for what, of in (
            ("value", lambda sets=spoilt: subject.value(sets)),
            ("replicates", lambda sets=spoilt, ones=ones: subject.replicates(sets, ones)),
        ):
            try:
                of()
            except NonFiniteFeatures:
                continue
            raise AssertionError(f"{what} takes a nan in {name}; call require_finite(fake)")
    return "a nan in features and in logits"


Case = Callable[[ExaminedMeasure], str]
CASES: tuple[Case, ...] = (
    it_gives_a_number,
    a_set_against_itself_is_no_worse_than_one_moved_away,
    the_order_of_images_matters_little,
    counts_of_one_give_its_value,
    it_needs_the_images_that_it_says,
    features_that_are_not_finite_are_never_scored,
)


def _draws(subject: ExaminedMeasure, sets: Sets, replicates: int) -> Tensor:
    """Return the counts of bootstrap draws of the side that the measure draws again."""
    side = sets.fake if subject.measure.resamples == "fake" else sets.real.features
    count = len(side.pooled)
    draw = torch.Generator().manual_seed(0)
    drawn = torch.randint(count, (replicates, count), generator=draw)
    counts = torch.zeros(replicates, count, dtype=torch.float64)
    return counts.scatter_add_(1, drawn, torch.ones(drawn.shape, dtype=torch.float64))
