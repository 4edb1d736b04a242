"""The share of fakes that a classifier takes for the class that was asked of the generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lipbench.measure import Features, Mean, On, Real, require_finite, require_labels

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ClassAgreement(Mean):
    """The share of a conditional generator's images that the classifier puts into their class.

    Odena et al. (2017, section 4.2) take it of an ImageNet classifier. It is measured where the
    classifier knows the data's own classes, in their order; real images fall short of 1 by the
    classifier's own errors.
    """

    title = "class agreement"
    description = (
        "Share of a conditional generator's images of which the classifier says the class that "
        "was asked for (Odena et al. 2017)"
    )
    papers = ("odena2017",)
    higher_is_better = True
    if_diverged = 0.0
    rewards = "images of a class that are all alike"
    spaces = ("digits",)
    on = (On("digits", title="class agreement"),)
    needs_real = False
    needs_classes = True
    needs_labels = True

    def per_image(self, fake: Features, real: Real) -> Tensor:
        """Return 1 for each fake in the class that was asked for, else 0."""
        require_finite(fake)
        asked = require_labels(fake.labels, "class agreement", "generated")
        return (fake.logits.argmax(dim=1) == asked).double()
