"""The Parzen window estimate of the real images' log-likelihood (Goodfellow et al., NeurIPS 2014).

Read it with Theis et al., "A note on the evaluation of generative models" (ICLR 2016): in many
dimensions and from any feasible number of fakes it is far from the likelihood, and it may rank
models wrongly; centroids of clusters of training images beat the true distribution. It is here to
compare with the papers that report it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lipbench.errors import UserError
from lipbench.measure import Features, Mean, Real, blocks, require_finite, require_training

if TYPE_CHECKING:
    from torch import Tensor

BANDWIDTHS = tuple(10 ** (exponent / 10) for exponent in range(-20, 1))  # 0.01 to 1; our choice


@dataclass(frozen=True)
class Parzen(Mean):
    """The mean log-likelihood of real images where Gaussians stand on the fakes.

    The Gaussians' bandwidth is the one of `BANDWIDTHS` under which training images are likeliest,
    as a validation set chose it in the paper. The mean is the estimate; it is of a density, so it
    may be positive.
    """

    title = "Parzen"
    description = (
        "Mean log-likelihood, in nats, of real images under a Gaussian kernel density at the "
        "generated ones (Goodfellow et al. 2014), on the {features}; it says little of "
        "samples or of likelihood (Theis et al. 2016), and stands here for old tables"
    )
    papers = ("goodfellow2014", "theis2016")
    higher_is_better = True
    unit = "nats"
    decimals = 1
    rewards = "blurred images"
    spaces = ("pixels",)
    needs_training = True
    resamples = "real"
    floor = "training, apart"

    def per_image(self, fake: Features, real: Real) -> Tensor:
        """Return each real image's log-likelihood, in nats; `pooled` holds pixels in [0, 1].

        Raises UserError for values outside [0, 1] and where the real side has no training images.
        """
        require_finite(fake)
        training = require_training(real, "parzen")
        for images in (fake.pooled, real.features.pooled, training.pooled):
            if images.min() < 0 or images.max() > 1:
                raise UserError(
                    "parzen needs pixels in [0, 1]; it was given values from "
                    f"{images.min().item():g} to {images.max().item():g}"
                )
        likelihoods = window(fake.pooled, training.pooled, BANDWIDTHS).mean(dim=1)
        best = BANDWIDTHS[int(likelihoods.argmax())]
        return window(fake.pooled, real.features.pooled, (best,))[0]


def window(centres: Tensor, points: Tensor, bandwidths: tuple[float, ...]) -> Tensor:
    """Return the log-densities of points (N, d) under each bandwidth, (bandwidths, N)."""
    import torch

    centres = centres.double()  # squares are divided by as little as 1e-4
    number, dimension = centres.shape
    found = []
    for _, rows in blocks(points.double()):
        squares = torch.cdist(rows, centres).square()
        sums = [torch.logsumexp(squares / (-2 * width**2), dim=1) for width in bandwidths]
        found.append(torch.stack(sums))
    widths = torch.tensor(bandwidths, dtype=torch.float64)
    normalisers = math.log(number) + dimension * (widths.log() + math.log(2 * math.pi) / 2)
    return torch.cat(found, dim=1) - normalisers[:, None]
