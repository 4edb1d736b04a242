"""The share of real images that have a fake in their neighbourhood (Naeem et al., ICML 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Le

from lipbench.measure import Features, Mean, Real

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Coverage(Mean):
    """The share of balls around real images that hold a fake."""

    title = "coverage"
    description = (
        "Share of real images with a generated one among their 5 nearest neighbours, on the "
        "{features} (Naeem et al. 2020)"
    )
    papers = ("naeem2020",)
    higher_is_better = True
    if_diverged = 0.0
    resamples = "real"

    neighbours: Annotated[int, Ge(1), Le(10)] = 5

    def fewest(self, features: int) -> tuple[int, str]:
        return self.neighbours + 1, "more than its neighbours"

    def per_image(self, fake: Features, real: Real) -> Tensor:
        """Return whether each real ball holds a fake."""
        from ._neighbours import whose_balls

        return whose_balls(fake, real, self.neighbours).holds_fake[:, self.neighbours - 1]
