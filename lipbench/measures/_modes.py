"""The modes of labelled points, and which of them other points are at."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lipbench.measure import Real, require_labels


class Modes(NamedTuple):
    """The modes of real points, one a label, as estimated from them: our choice.

    So a measure needs to know nothing of how the points were made; of 1,000 points of a mode, its
    deviation is within some 5% of the law's.
    """

    centres: Tensor  # (modes, D), float64
    deviations: Tensor  # (modes,), of a coordinate: the root of the mean variance over them


class Places(NamedTuple):
    """Where fakes are among the modes, (N,) each."""

    nearest: Tensor  # the mode whose centre is nearest
    distances: (
        Tensor  # from it, in its deviations; inf where it has none and the fake is not at it
    )


def modes(real: Real) -> Modes:
    """Return the modes of real points. Raises UserError for points without labels."""
    labels = require_labels(real.labels, "a measure of modes")
    points = real.features.pooled.double()
    known, index = labels.unique(return_inverse=True)
    counts = torch.bincount(index, minlength=len(known)).double()[:, None]
    centres = torch.zeros(len(known), points.shape[1], dtype=torch.float64)
    centres = centres.index_add(0, index, points) / counts
    squares = torch.zeros_like(centres).index_add(0, index, (points - centres[index]).square())
    return Modes(centres, (squares / counts).mean(1).sqrt())


def places(fake: Tensor, real: Real) -> Places:
    """Return where fakes (N, D) are among the modes of real points."""
    known = real.of(modes)
    distances, nearest = torch.cdist(fake.double(), known.centres).min(dim=1)
    own = known.deviations[nearest]
    scaled = torch.where(distances > 0, distances / own, 0.0)
    return Places(nearest, scaled)


def shares(counts: Tensor, nearest: Tensor, modes: int) -> Tensor:
    """Return the shares of fakes at each mode, (B, modes), on draws with counts (B, N)."""
    at = torch.nn.functional.one_hot(nearest, modes).double()
    return counts @ at / counts.sum(dim=1, keepdim=True)
