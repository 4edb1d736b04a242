"""How many of a classifier's classes the fakes show (thresholds are our choice)."""

from __future__ import annotations

import torch
from torch import Tensor

from lipbench.scoring.features import Features
from lipbench.scoring.measures.contract import Measure, Options, Real, require_finite


def value(fake: Features, real: Real, options: Options) -> float:
    """Return the number of classes that at least `share` of the fakes show with confidence.

    A confident image gives one class a `probability` of at least that. Noise can look like a
    digit to a classifier, so this tells coverage and not quality.
    """
    ones = torch.ones(1, len(fake.logits), dtype=torch.float64)
    return replicates(fake, real, options, ones).item()


def replicates(fake: Features, real: Real, options: Options, weights: Tensor) -> Tensor:
    """Return the number of classes shown on draws of the fakes."""
    require_finite(fake)
    confident = fake.logits.softmax(dim=1) >= options["probability"]
    needed = options["share"] * weights.sum(dim=1, keepdim=True)
    return (weights @ confident.double() >= needed).sum(dim=1).double()


MEASURE = Measure(value, replicates)
