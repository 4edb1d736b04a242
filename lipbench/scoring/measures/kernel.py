"""The kernel distance: MMD² with a cubic kernel (Binkowski et al., ICLR 2018).

On Inception's features it is the KID.
"""

from __future__ import annotations

from torch import Tensor

from lipbench.errors import UserError
from lipbench.scoring.features import Features
from lipbench.scoring.measures.contract import Measure, Options, Real, require_finite, whole
from lipbench.scoring.measures.discrepancy import discrepancy, within

_SEED = 2020  # of the subsets: torch-fidelity's default


def cubic(first: Tensor, second: Tensor) -> Tensor:
    """Return (x·y / features + 1)³ of all pairs of (M, features) and (N, features)."""
    return (first @ second.T / first.shape[1] + 1) ** 3


def value(fake: Features, real: Real, options: Options) -> float:
    """Return the mean unbiased MMD² over random `subsets` of `subset_size` of both sets.

    It is unbiased, so a little below 0 is possible. Matches torch-fidelity's. Raises UserError
    for subsets larger than a set, or of fewer than 2 images.
    """
    from torch_fidelity.metric_kid import kid_features_to_metric  # takes seconds

    require_finite(fake)
    subsets, size = whole(options, "subsets"), whole(options, "subset_size", least=2)
    smaller = min(len(fake.pooled), len(real.features.pooled))
    if size > smaller:
        raise UserError(f"a kernel distance's subsets of {size:,} need as many; {smaller:,} given")
    found = kid_features_to_metric(
        fake.pooled,
        real.features.pooled,
        kid_subsets=subsets,
        kid_subset_size=size,
        rng_seed=_SEED,
        verbose=False,
    )
    return float(found["kernel_inception_distance_mean"])


def replicates(fake: Features, real: Real, options: Options, weights: Tensor) -> Tensor:
    """Return the unbiased MMD² of all images on draws of the fakes, without subsets.

    Counts of one give the full sample's MMD², of which `value` is a noisier estimate: a mean over
    random subsets spreads a little more than these replicates do. The spread over subsets that
    torch-fidelity prints is no standard error at all.
    """
    require_finite(fake)
    return discrepancy(cubic, fake.pooled, real.features.pooled, real.of(_within), weights)


def _within(real: Real) -> Tensor:
    return within(cubic, real.features.pooled)


MEASURE = Measure(value, replicates)
