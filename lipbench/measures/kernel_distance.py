"""The kernel distance: MMD² with a cubic kernel (Binkowski et al., ICLR 2018).

On Inception's features it is the KID.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge

from lipbench.errors import UserError
from lipbench.measure import Features, Measure, On, Real, require_finite

if TYPE_CHECKING:
    from torch import Tensor

_SEED = 2020  # of the subsets: torch-fidelity's default


@dataclass(frozen=True)
class KernelDistance(Measure):
    """The mean unbiased MMD² over random `subsets` of `subset_size` of both sets.

    It is unbiased, so a little below 0 is possible. Matches torch-fidelity's.
    """

    title = "KD"
    description = (
        "Kernel distance, the unbiased cubic-kernel MMD² (Binkowski et al. 2018), of the "
        "{features}; values below 0 are possible"
    )
    papers = ("binkowski2018",)
    higher_is_better = False
    prefix = "kd"
    decimals = 4
    on = (  # above what noise scores; measured, except on Inception (a guess)
        On("inception", name="kid", title="KID", if_diverged=1.0),
        On("effnetlite0", if_diverged=6.0),
        On("digits", decimals=0),
    )

    subsets: Annotated[int, Ge(1)] = 100
    subset_size: Annotated[int, Ge(2)] = 1000

    def fewest(self, features: int) -> tuple[int, str]:
        return self.subset_size, "the size of its subsets"

    def value(self, fake: Features, real: Real) -> float:
        """Return the mean MMD². Raises UserError for subsets larger than a set."""
        from torch_fidelity.metric_kid import kid_features_to_metric  # takes seconds

        require_finite(fake)
        size = self.subset_size
        smaller = min(len(fake.pooled), len(real.features.pooled))
        if size > smaller:
            raise UserError(
                f"a kernel distance's subsets of {size:,} need as many; {smaller:,} given"
            )
        found = kid_features_to_metric(
            fake.pooled,
            real.features.pooled,
            kid_subsets=self.subsets,
            kid_subset_size=size,
            rng_seed=_SEED,
            verbose=False,
        )
        return float(found["kernel_inception_distance_mean"])

    def replicates(self, fake: Features, real: Real, counts: Tensor) -> Tensor:
        """Return the unbiased MMD² of all images on draws of the fakes, without subsets.

        Counts of one give the full sample's MMD², of which `value` is a noisier estimate: a mean
        over random subsets spreads a little more than these replicates do. The spread over
        subsets that torch-fidelity prints is no standard error at all.
        """
        from ._discrepancy import discrepancy

        require_finite(fake)
        return discrepancy(cubic, fake.pooled, real.features.pooled, real.of(_within), counts)


def cubic(first: Tensor, second: Tensor) -> Tensor:
    """Return (x·y / features + 1)³ of all pairs of (M, features) and (N, features)."""
    return (first @ second.T / first.shape[1] + 1) ** 3


def _within(real: Real) -> Tensor:
    from ._discrepancy import within

    return within(cubic, real.features.pooled)
