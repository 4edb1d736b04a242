"""How many of a classifier's classes the fakes show (thresholds are our choice)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Gt, Le

from lipbench.measure import Features, Measure, Real, require_finite

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ModesCovered(Measure):
    """The number of classes that at least `share` of the fakes show with confidence.

    A confident image gives one class a `probability` of at least that. Noise can look like a
    digit to a classifier, so this tells coverage and not quality.
    """

    title = "modes"
    description = (
        "Classes that at least 1% of the generated images show with a probability of at least "
        "0.9 by the classifier (both thresholds our choice); noise can look like a class"
    )
    higher_is_better = True
    unit = "classes"
    decimals = 0
    if_diverged = 0.0
    spaces = ("digits",)
    needs_real = False
    needs_classes = True

    probability: Annotated[float, Gt(0), Le(1)] = 0.9
    share: Annotated[float, Gt(0), Le(1)] = 0.01

    def value(self, fake: Features, real: Real) -> float:
        """Return the number of classes shown."""
        import torch

        ones = torch.ones(1, len(fake.logits), dtype=torch.float64)
        return self.replicates(fake, real, ones).item()

    def replicates(self, fake: Features, real: Real, counts: Tensor) -> Tensor:
        """Return the number of classes shown on draws of the fakes."""
        require_finite(fake)
        confident = fake.logits.softmax(dim=1) >= self.probability
        needed = self.share * counts.sum(dim=1, keepdim=True)
        return (counts @ confident.double() >= needed).sum(dim=1).double()
