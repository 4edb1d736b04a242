"""How many modes of the real points the fakes reach (Srivastava et al., VEEGAN, NIPS 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Gt

from lipbench.measure import Features, Measure, On, Real, require_finite

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ModesReached(Measure):
    """The number of modes with at least so many fakes that are nearest to them, and near.

    A mode is a label of the real points; near is within so many of its standard deviations, of a
    coordinate.
    """

    title = "modes reached"
    description = (
        "Modes of the real points (their labels) that at least one generated point is nearest to "
        "and within 3 standard deviations of; centres and deviations are those of the real points"
    )
    papers = ("srivastava2017",)
    higher_is_better = True
    unit = "modes"
    decimals = 0
    if_diverged = 0.0
    spaces = ("points",)
    on = (On("points", title="modes reached"),)
    untold = (("points", 1), ("deviations", 3))

    deviations: Annotated[float, Gt(0)] = 3.0
    points: Annotated[int, Ge(1)] = 1

    def value(self, fake: Features, real: Real) -> float:
        """Return the number of modes."""
        import torch

        ones = torch.ones(1, len(fake.pooled), dtype=torch.float64)
        return self.replicates(fake, real, ones).item()

    def replicates(self, fake: Features, real: Real, counts: Tensor) -> Tensor:
        """Return the number of modes on draws of the fakes."""
        import torch

        from ._modes import modes, places

        require_finite(fake)
        nearest, distances = real.with_fake(fake.pooled, places)
        near = torch.nn.functional.one_hot(nearest, len(real.of(modes).centres)).double()
        near = near * (distances <= self.deviations)[:, None]
        return (counts @ near >= self.points).sum(dim=1).double()
