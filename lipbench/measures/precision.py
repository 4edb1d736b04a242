"""The share of fakes that look real (Kynkäänniemi et al., NeurIPS 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Le

from lipbench.measure import Features, Mean, Real

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Precision(Mean):
    """The share of fakes in a ball around a real image."""

    title = "precision"
    description = (
        "Share of generated images within the real ones' 3 nearest neighbours, on the {features} "
        "(Kynkäänniemi et al. 2019, there on VGG-16)"
    )
    papers = ("kynkaanniemi2019",)
    higher_is_better = True
    if_diverged = 0.0
    rewards = "blurred images, and one image again and again"

    neighbours: Annotated[int, Ge(1), Le(10)] = 3

    def fewest(self, features: int) -> tuple[int, str]:
        return self.neighbours + 1, "more than its neighbours"

    def per_image(self, fake: Features, real: Real) -> Tensor:
        """Return whether each fake lies in a real ball."""
        from ._neighbours import whose_balls

        return whose_balls(fake, real, self.neighbours).balls[:, self.neighbours - 1] > 0
