"""Parseval networks (Cisse et al., ICML 2017)."""

from __future__ import annotations

import torch

from lipbench.discriminators import Discriminator, matrix, original
from lipbench.method import Fraction, Projection


class Parseval(Projection):
    """Take a step toward orthonormal weights after each update of D.

    W <- (1 + coefficient) W - coefficient * W W^T W: a singular value s becomes
    (1 + coefficient) s - coefficient s^3, nearer to 1 if it is below sqrt(3). One step does not
    reach 1, so no bound is promised. W is a layer's matrix (outputs, rest), the final dense one
    included, without a factor for the kernel's size (our choice). The coefficient is that of
    github.com/mathialo/parsnet, not the authors'.
    """

    label = "Parseval"
    papers = ("cisse2017",)

    coefficient: Fraction = 1e-3

    def constrain(self, discriminator: Discriminator) -> None:
        for layer in discriminator.layers():
            weight = original(layer)
            flat = matrix(weight)
            cubed = torch.linalg.multi_dot([flat, flat.mT, flat])
            step = (1 + self.coefficient) * flat - self.coefficient * cubed
            weight.copy_(step.view_as(weight))
