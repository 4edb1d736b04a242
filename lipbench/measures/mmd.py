"""MMD² with a mixture of Gaussian kernels (Gretton et al., JMLR 2012).

The distance that generative moment matching networks train on (Li et al., ICML 2015; Dziugaite
et al., UAI 2015), here on pixels. That the bandwidths follow the data is our choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from lipbench.errors import UserError
from lipbench.measure import Features, Measure, Real, require_finite

if TYPE_CHECKING:
    from torch import Tensor

    from ._discrepancy import Kernel

MULTIPLES = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the median distance; our choice
_MEDIAN_IMAGES = 2000  # at most; our choice: their 2 million pairs settle a median


@dataclass(frozen=True)
class Mmd(Measure):
    """The unbiased MMD²; a little below 0 is possible."""

    title = "MMD²"
    description = (
        "Unbiased MMD² with a mixture of Gaussian kernels (Gretton et al. 2012; bandwidths "
        "our choice), on the {features}; on pixels it says little of what people see"
    )
    papers = ("gretton2012",)
    higher_is_better = False
    decimals = 4
    spaces = ("pixels",)

    def value(self, fake: Features, real: Real) -> float:
        """Return the MMD².

        Raises UserError for fewer than 2 fakes or where real images are alike
        (`median_distance`).
        """
        import torch

        ones = torch.ones(1, len(fake.pooled), dtype=torch.float64)
        return self.replicates(fake, real, ones).item()

    def replicates(self, fake: Features, real: Real, counts: Tensor) -> Tensor:
        """Return the unbiased MMD² on draws of the fakes; no draw pairs an image with itself."""
        from ._discrepancy import discrepancy

        require_finite(fake)
        if len(fake.pooled) < 2:
            raise UserError(f"an MMD needs 2 generated images or more, not {len(fake.pooled)}")
        within_real = real.of(_within)
        return discrepancy(_kernel(real), fake.pooled, real.features.pooled, within_real, counts)


def gaussians(first: Tensor, second: Tensor, scale: float) -> Tensor:
    """Return the mean of exp(-|x - y|² / (2 (multiple scale)²)) over `MULTIPLES` (M, N)."""
    import torch

    squares = torch.cdist(first, second).square_().div_(-2 * scale**2)
    return torch.stack([(squares / multiple**2).exp_() for multiple in MULTIPLES]).mean(dim=0)


def median_distance(real: Real) -> float:
    """Return the median distance of two real images, among 2,000 at random where there are more.

    Raises UserError where it is 0, which leaves the kernels no width.
    """
    import torch

    from lipbench import streams

    pooled = real.features.pooled
    draw = streams.generator(0, "median distance")
    chosen = pooled[torch.randperm(len(pooled), generator=draw)[:_MEDIAN_IMAGES]]
    median = torch.nn.functional.pdist(chosen).median().item() if len(chosen) > 1 else 0.0
    if median == 0:
        raise UserError(
            f"an MMD needs real images that differ; of {len(pooled)}, half the pairs do not"
        )
    return median


def _kernel(real: Real) -> Kernel:
    return partial(gaussians, scale=real.of(median_distance))


def _within(real: Real) -> Tensor:
    from ._discrepancy import within

    return within(_kernel(real), real.features.pooled)
