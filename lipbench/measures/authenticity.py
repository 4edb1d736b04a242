"""Whether fakes are copies of training images (Alaa et al., ICML 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lipbench.errors import UserError
from lipbench.measure import Features, Mean, Real, blocks, require_finite, require_training

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Authenticity(Mean):
    """The share of fakes that are no copies of training images.

    A copy is not farther from its nearest training image than that one is from its own nearest
    other training image. (So a copy of an image that is there twice is one too.) The share is
    near 0 for copies, and no measure of quality: noise is authentic. Fresh images of the training
    law do not reach 1, so read it beside its floor.
    """

    title = "authenticity"
    description = (
        "Share of generated images that are not nearer to a training image than any other "
        "training image is (Alaa et al. 2022), by the {features}; near 0: copies"
    )
    papers = ("alaa2022",)
    higher_is_better = True
    if_diverged = 0.0
    rewards = "noise, which is like no training image"
    needs_training = True
    floor = "held-out"

    def per_image(self, fake: Features, real: Real) -> Tensor:
        """Return whether each fake is no copy.

        Raises UserError where the real side has fewer than 2 training images, or none.
        """
        import torch

        require_finite(fake)
        training = require_training(real, "authenticity").pooled
        if len(training) < 2:
            raise UserError(f"authenticity needs 2 training images or more, not {len(training)}")
        nearest = torch.cat(
            [torch.cdist(rows, training).argmin(dim=1) for _, rows in blocks(fake.pooled)]
        )
        return _lengths(fake.pooled - training[nearest]) > real.of(isolation)[nearest]


def isolation(real: Real) -> Tensor:
    """Return each training image's distance to its nearest other training image (N,)."""
    import torch

    training = require_training(real, "authenticity").pooled
    nearest = []
    for where, rows in blocks(training):
        distances = torch.cdist(rows, training)
        distances.diagonal(where.start).fill_(torch.inf)
        nearest.append(distances.argmin(dim=1))
    return _lengths(training - training[torch.cat(nearest)])


def _lengths(differences: Tensor) -> Tensor:
    """Return norms (N,). The matrix product in `cdist` would not see that a copy is at 0."""
    return differences.double().norm(dim=1)
