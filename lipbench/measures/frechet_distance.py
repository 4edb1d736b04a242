"""The Frechet distance; on Inception's features it is the FID."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lipbench.measure import Features, Measure, On, Real, require_finite

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class FrechetDistance(Measure):
    """The distance between Gaussians fitted to real and to fake features.

    It is biased upwards by about a constant over N, so compare it at one N only.
    """

    title = "FD"
    description = (
        "Frechet distance between Gaussians fitted to the {features} of real and of "
        "generated images (Heusel et al. 2017)"
    )
    papers = ("heusel2017",)
    higher_is_better = False
    prefix = "fd"
    axis = "log"
    decimals = 1
    on = (  # above what noise scores; measured, except on Inception (a guess)
        On("inception", name="fid", title="FID", if_diverged=500.0),
        On("effnetlite0", if_diverged=2500.0),
        On("digits", if_diverged=1200.0, decimals=2),
    )

    def fewest(self, features: int) -> tuple[int, str]:
        return features + 1, f"a covariance of {features} features has full rank only then"

    def value(self, fake: Features, real: Real) -> float:
        """Return the distance.

        Raises UserError where either set has no more images than there are features: its
        covariance would be singular by counting alone, and the bias larger than the distance.
        """
        from ._frechet import distance_to, fitted, moments, require_more_images_than_features

        require_finite(fake)
        require_more_images_than_features(fake.pooled, real.features.pooled)
        return distance_to(real.of(fitted), moments(fake.pooled))

    def replicates(self, fake: Features, real: Real, counts: Tensor) -> Tensor:
        """Return the distance on draws of the fakes, to first order in the draws' weights.

        An exact replicate costs as much as the score. It is also biased, since a draw holds only
        63% of the images and the distance's bias grows as their number falls; the first order is
        not.
        """
        from ._frechet import changes, fitted, influences, require_more_images_than_features

        require_finite(fake)
        require_more_images_than_features(fake.pooled, real.features.pooled)
        distance, derivatives = influences(real.of(fitted), fake.pooled)
        return distance + changes(counts, derivatives)
