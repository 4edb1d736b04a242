"""The share of real images that the fakes come near to (Kynkäänniemi et al., NeurIPS 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Le

from lipbench.measure import Features, Mean, Real

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Recall(Mean):
    """The share of real images in a ball around a fake."""

    title = "recall"
    description = (
        "Share of real images within the generated ones' 3 nearest neighbours, on the {features} "
        "(Kynkäänniemi et al. 2019, there on VGG-16)"
    )
    papers = ("kynkaanniemi2019",)
    higher_is_better = True
    if_diverged = 0.0
    resamples = "real"

    neighbours: Annotated[int, Ge(1), Le(10)] = 3

    def fewest(self, features: int) -> tuple[int, str]:
        return self.neighbours + 1, "more than its neighbours"

    def per_image(self, fake: Features, real: Real) -> Tensor:
        """Return whether each real image lies in a fake's ball."""
        from ._neighbours import whose_balls

        return whose_balls(fake, real, self.neighbours).in_fake_ball[:, self.neighbours - 1]
