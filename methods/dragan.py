"""DRAGAN (Kodali et al., On Convergence and Stability of GANs, arXiv 1705.07215, 2017)."""

from __future__ import annotations

import torch
from torch import Tensor

from lipbench.discriminators import Discriminator
from lipbench.method import Batch, NonNegative, Penalty, Recipe, Requires, Trait

from ._gradients import norms, one_each


class Dragan(Penalty):
    """Pull the norm of D's gradient to 1 near real images.

    coefficient * E[(|grad D(x)| - 1)^2] with x = real + a * scale * std * u: std is one number,
    the batch's deviation over all its pixels, u is uniform on [0, 1] for each pixel, a for each
    image. Noise, its one side, constants and recipe are those of the authors' code
    (github.com/kodalinaveen3/DRAGAN), which has the non-saturating loss.
    """

    label = "DRAGAN"
    papers = ("kodali2017",)
    traits = frozenset({Trait.INPUT_GRADIENTS, Trait.TWO_SIDED_PENALTY})
    requires = Requires(loss="non_saturating")
    recipe = Recipe(lr=1e-4, beta1=0.5, beta2=0.9, n_dis=1)

    coefficient: NonNegative = 10.0
    scale: NonNegative = 0.5

    def term(self, discriminator: Discriminator, batch: Batch) -> Tensor:
        real = batch.real
        noise = self.scale * real.std(correction=0) * torch.rand_like(real)
        slopes = norms(discriminator, real + one_each(real) * noise)
        return self.coefficient * (slopes - 1).square().mean()
