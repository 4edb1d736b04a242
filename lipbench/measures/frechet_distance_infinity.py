"""The Frechet distance of infinitely many images, extrapolated (Chong and Forsyth, CVPR 2020)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NamedTuple

from annotated_types import Ge

from lipbench.errors import UserError
from lipbench.measure import Features, Measure, On, Real, require_finite

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

MOST_UNCERTAIN = 0.05  # a trusted intercept's standard error, of the largest distance; our choice
_LEAST_PER_FEATURE = 2  # images, below which 1/N² matters; our choice
_LEAST_RANGE = 1.5  # the largest N over the smallest; our choice
_SEED = 0  # of the subsets, the same for all fakes
_STREAM = "frechet distance infinity"


@dataclass(frozen=True)
class FrechetDistanceInfinity(Measure):
    """The distance at infinite N, on a line in 1/N through distances between subsets.

    It is nan where the distances lie on no line: where the intercept's own standard error is
    more than a twentieth of the largest of them. It may fall below 0 by that error.
    """

    title = "FD∞"
    description = (
        "Frechet distance of the {features} extrapolated to infinitely many images "
        "of either kind, linearly in 1/N (after Chong and Forsyth 2020, with as many real "
        "images as generated ones); not a number where the line's "
        "end is uncertain by more than a twentieth of the largest distance"
    )
    papers = ("chong2020",)
    higher_is_better = False
    prefix = "fd_infinity"
    axis = "log"
    decimals = 1
    on = (  # as of the Frechet distance
        On("inception", name="fid_infinity", title="FID∞", if_diverged=500.0),
        On("effnetlite0", if_diverged=2500.0),
        On("digits", if_diverged=1200.0, decimals=2),
    )

    points: Annotated[int, Ge(3)] = 6

    def fewest(self, features: int) -> tuple[int, str]:
        return 3 * features + 2, f"3 times its {features} features, to extrapolate from"

    def value(self, fake: Features, real: Real) -> float:
        """Return the extrapolated distance. Raises UserError as `subset_counts` does."""
        require_finite(fake)
        return _trusted(line(fake.pooled, real.features.pooled, self.points))

    def replicates(self, fake: Features, real: Real, counts: Tensor) -> Tensor:
        """Return the extrapolation on draws of the fakes, to first order in the draws' weights.

        Subsets stay, and an image's weight counts in each that holds it. All are nan where the
        value is: the error of what was not trusted is not estimated.
        """
        import numpy as np
        import torch

        from ._frechet import changes, fit, influences, moments

        require_finite(fake)
        images = real.features.pooled
        sizes = _counts(fake.pooled, images, self.points)
        shares = np.linalg.pinv(np.stack([np.ones(self.points), 1 / sizes], axis=1))[0]
        distances, derivatives = [], torch.zeros(len(fake.pooled), dtype=torch.float64)
        for size, share in zip(sizes.tolist(), shares.tolist(), strict=True):
            pairs = list(_pairs(fake.pooled, images, size))
            found = []
            for ours, theirs in pairs:
                distance, changed = influences(fit(moments(images[theirs])), fake.pooled[ours])
                derivatives[ours] += share * changed / len(pairs)
                found.append(distance)
            distances.append(np.mean(found))
        return _trusted(extrapolate(sizes, np.array(distances))) + changes(counts, derivatives)


class Line(NamedTuple):
    """Distances (points,) at several N, and the least-squares line through them in 1/N."""

    counts: NDArray[np.int64]
    distances: NDArray[np.float64]
    intercept: float
    slope: float
    error: float  # the intercept's standard error, from the points' distances to the line

    @property
    def is_trusted(self) -> bool:
        """Return whether the points lie on a line well enough to tell where it ends."""
        return self.error <= MOST_UNCERTAIN * float(self.distances.max())


def subset_counts(largest: int, dimension: int, points: int) -> NDArray[np.int64]:
    """Return the numbers of images, evenly spaced in 1/N, the smallest first.

    The smallest exceeds twice the features (where 1/N is not yet the whole bias, a line bends)
    and is at least a tenth of the largest. Raises UserError where that leaves too short a range.
    """
    import numpy as np

    smallest = max(_LEAST_PER_FEATURE * dimension + 1, -(-largest // 10))
    needed = int(np.ceil(_LEAST_RANGE * smallest))
    if largest < needed:
        raise UserError(
            f"extrapolating a Frechet distance on {dimension} features needs {needed:,} real and "
            f"as many generated images; the smaller set has {largest:,}"
        )
    return np.rint(1 / np.linspace(1 / smallest, 1 / largest, points)).astype(np.int64)


def extrapolate(counts: NDArray[np.int64], distances: NDArray[np.float64]) -> Line:
    """Return the least-squares line of distances in 1/N; its intercept is at infinite N."""
    import numpy as np

    design = np.stack([np.ones(len(counts)), 1 / counts], axis=1)
    (intercept, slope), *_ = np.linalg.lstsq(design, distances, rcond=None)
    residual = distances - design @ (intercept, slope)
    variance = np.square(residual).sum() / (len(counts) - 2)
    error = np.sqrt(variance * np.linalg.inv(design.T @ design)[0, 0])
    return Line(counts, distances, float(intercept), float(slope), float(error))


def line(fake: Tensor, real: Tensor, points: int) -> Line:
    """Return mean distances between equally large random subsets of both sets, and their line.

    Against a fixed reference the reference's own bias would stay, and 1/N be the wrong law. A
    point is the mean over as many pairs of subsets as there are without taking an image twice.
    """
    import numpy as np

    from ._frechet import distance_to, fit, moments

    counts = _counts(fake, real, points)
    distances = []
    for count in counts.tolist():
        pairs = [
            distance_to(fit(moments(real[theirs])), moments(fake[ours]))
            for ours, theirs in _pairs(fake, real, count)
        ]
        distances.append(np.mean(pairs))
    return extrapolate(counts, np.array(distances))


def _counts(fake: Tensor, real: Tensor, points: int) -> NDArray[np.int64]:
    return subset_counts(min(len(fake), len(real)), fake.shape[1], points)


def _pairs(fake: Tensor, real: Tensor, count: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the indices of disjoint subsets of both sets, drawn: they may be sorted by class."""
    import torch

    from lipbench import streams

    ours, theirs = (
        torch.randperm(len(images), generator=streams.generator(_SEED, _STREAM, side, count))
        for side, images in (("fake", fake), ("real", real))
    )
    for start in range(0, min(len(fake), len(real)) - count + 1, count):
        yield ours[start : start + count], theirs[start : start + count]


def _trusted(fitted: Line) -> float:
    return fitted.intercept if fitted.is_trusted else float("nan")
