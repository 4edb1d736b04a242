"""The standard CNN with a last convolution of another width: Miyato et al. 2018, Figure 4."""

from __future__ import annotations

from dataclasses import dataclass

from lipbench.architecture import Width, scaled

from .standard_cnn import StandardCNN


@dataclass(frozen=True)
class WideEndCNN(StandardCNN):
    """The standard CNN of Miyato et al. 2018, but for the width of D's last convolution.

    `last` is a factor on the maps of the 7th convolution alone, which their Figure 4 varies
    from 0.5 to 8; the dense head grows with it, and G is the standard one.
    """

    title = "the standard CNN of Miyato et al. with another last layer"
    variants = ({"last": 4.0},)

    last: Width = 1.0

    def channels(self) -> tuple[int, ...]:
        *others, last = super().channels()
        return (*others, scaled(last, self.last))
