"""Precision, recall, density and coverage: who lies in whose neighbourhood.

Around each image stands the ball that reaches to its k-th nearest other image of its own set.
Precision and recall are those of Kynkaanniemi et al. (NeurIPS 2019), density and coverage those
of Naeem et al. (ICML 2020). A point on a ball's edge lies in it, as in torch-fidelity, with which
precision and recall agree; distances are float32, through a matrix product as there, so that
those of identical images come out as a little above 0.

All are means over images, and their draws keep the balls and draw again only what is averaged:
a draw's repeated images would be each other's nearest neighbours and shrink the balls to points.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lipbench.errors import UserError
from lipbench.measure import Features, Real, blocks, require_finite

MOST_NEIGHBOURS = 10  # for which balls are kept; the papers take 3 and 5


class Neighbourhoods(NamedTuple):
    """Who lies in whose ball, in column k - 1 for balls that reach to the k-th neighbour."""

    balls: Tensor  # (n_fake, most), of how many real balls each fake lies in
    holds_fake: Tensor  # (n_real, most), whether each real ball holds a fake
    in_fake_ball: Tensor  # (n_real, most), whether each real image lies in a fake's ball


def radii(images: Tensor) -> Tensor:
    """Return the distances to an image's nearest others of its set, ascending (N, most).

    `most` is 10, or one less than the images where these are fewer.
    """
    most = min(MOST_NEIGHBOURS, len(images) - 1)
    found = [torch.cdist(rows, images).topk(most + 1, largest=False) for _, rows in blocks(images)]
    return torch.cat([nearest.values for nearest in found])[:, 1:]  # the first is the image


def neighbourhoods(fake: Tensor, real: Real) -> Neighbourhoods:
    """Return who lies in whose ball, from one pass over the distances of fakes and real images.

    For all numbers of neighbours at once, since measures ask for different ones.
    """
    images, real_radii, fake_radii = real.features.pooled, real.of(_real_radii), radii(fake)
    most = min(real_radii.shape[1], fake_radii.shape[1])
    balls = torch.zeros(len(fake), most, dtype=torch.int64)
    in_fake_ball = torch.zeros(len(images), most, dtype=torch.bool)
    nearest_fake = torch.full((len(images),), torch.inf)
    for where, rows in blocks(fake):
        distances = torch.cdist(rows, images)
        nearest_fake = nearest_fake.minimum(distances.amin(dim=0))
        for k in range(most):
            balls[where, k] = (distances <= real_radii[:, k]).sum(dim=1)
            in_fake_ball[:, k] |= (distances <= fake_radii[where, k, None]).any(dim=0)
    return Neighbourhoods(balls, nearest_fake[:, None] <= real_radii[:, :most], in_fake_ball)


def whose_balls(fake: Features, real: Real, neighbours: int) -> Neighbourhoods:
    """Return who lies in whose ball; balls reach to `neighbours`, and are in that column less 1.

    Raises UserError where there are no more images than neighbours, or more than 10 of these.
    """
    require_finite(fake)
    count = min(len(fake.pooled), len(real.features.pooled))
    if neighbours > MOST_NEIGHBOURS:
        raise UserError(f"neighbours must be at most {MOST_NEIGHBOURS}, not {neighbours}")
    if count <= neighbours:
        raise UserError(
            f"balls that reach to {neighbours} neighbours need {neighbours + 1} real and "
            f"generated images or more; the smaller set has {count}"
        )
    return real.with_fake(fake.pooled, neighbourhoods)


def _real_radii(real: Real) -> Tensor:
    return radii(real.features.pooled)
