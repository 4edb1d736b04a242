"""How dense real images are where the fakes are (Naeem et al., ICML 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Le

from lipbench.measure import Features, Mean, Real

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Density(Mean):
    """The mean number of real balls that a fake lies in, over the neighbours."""

    title = "density"
    description = (
        "How many real images' 5 nearest neighbours, on the {features}, hold a generated image, "
        "over 5 (Naeem et al. 2020); above 1 is possible"
    )
    papers = ("naeem2020",)
    higher_is_better = True
    if_diverged = 0.0
    rewards = "one image again and again, where real images are dense"

    neighbours: Annotated[int, Ge(1), Le(10)] = 5

    def fewest(self, features: int) -> tuple[int, str]:
        return self.neighbours + 1, "more than its neighbours"

    def per_image(self, fake: Features, real: Real) -> Tensor:
        """Return a k-th of how many real balls each fake lies in."""
        from ._neighbours import whose_balls

        balls = whose_balls(fake, real, self.neighbours).balls[:, self.neighbours - 1]
        return balls / self.neighbours
