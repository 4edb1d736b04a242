"""The mean over classes of the Frechet distance between real and generated images of one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lipbench.measure import Features, Measure, On, Real, require_finite, require_labels

if TYPE_CHECKING:
    from torch import Tensor

    from ._frechet import Fitted


@dataclass(frozen=True)
class IntraFrechetDistance(Measure):
    """The mean over classes of the distance between the Gaussians of one class's features.

    Miyato and Koyama (2018, section 4) call it intra FID on Inception's features. It sees classes
    that are mixed up, and modes that are lost within one, where the distance of all images does
    not. It is biased as that one is, by the images of a class.
    """

    title = "intra-class FD"
    description = (
        "Mean over classes of the Frechet distance between real and generated images of the "
        "class, by the {features} (Miyato and Koyama 2018)"
    )
    papers = ("miyato2018cgans",)
    higher_is_better = False
    prefix = "intra_fd"
    axis = "log"
    decimals = 1
    on = (On("inception", name="intra_fid", title="intra-class FID"),)
    needs_labels = True

    def fewest(self, features: int) -> tuple[int, str]:
        return 2 * (features + 1), f"in each of 2 classes, more images than {features} features"

    def value(self, fake: Features, real: Real) -> float:
        """Return the mean. Raises UserError where a class has no more images than features."""
        from ._frechet import distance_to, moments

        found = [
            distance_to(known, moments(fake.pooled[of])) for known, of in self._classes(fake, real)
        ]
        return sum(found) / len(found)

    def replicates(self, fake: Features, real: Real, counts: Tensor) -> Tensor:
        """Return the mean on draws of the fakes, to first order, as `FrechetDistance` does."""
        from ._frechet import changes, influences

        parts = []
        for known, of in self._classes(fake, real):
            distance, derivatives = influences(known, fake.pooled[of])
            parts.append(distance + changes(counts[:, of], derivatives))
        mean: Tensor = sum(parts[1:], parts[0]) / len(parts)
        return mean

    def _classes(self, fake: Features, real: Real) -> Iterator[tuple[Fitted, Tensor]]:
        """Yield for each class the Gaussian of its real images, and which fakes are of it."""
        from ._frechet import require_more_images_than_features

        require_finite(fake)
        asked = require_labels(fake.labels, self.title, "generated")
        for label, known in real.of(_gaussians).items():
            of = asked == label
            require_more_images_than_features(fake.pooled[of])
            yield known, of


def _gaussians(real: Real) -> dict[int, Fitted]:
    """Return the Gaussian of each class of real images."""
    from ._frechet import fit, moments, require_more_images_than_features

    labels = require_labels(real.labels, IntraFrechetDistance.title)
    found = {}
    for label in labels.unique().tolist():
        pooled = real.features.pooled[labels == label]
        require_more_images_than_features(pooled)
        found[label] = fit(moments(pooled))
    return found
