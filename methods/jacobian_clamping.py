"""Jacobian clamping of the generator (Odena et al., ICML 2018)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lipbench.discriminators import Discriminator
from lipbench.method import Batch, Method, NonNegative, Positive
from lipbench.networks import Generator


class JacobianClamping(Method):
    """Keep G's local gain between two bounds, by a term of G's loss; D is left as it is.

    coefficient * E[(max(Q, largest) - largest)^2 + (min(Q, smallest) - smallest)^2] with
    Q = |G(z) - G(z')| / |z - z'|, z' at `distance` from z in a random direction. The bounds are
    those that third parties use for the paper; coefficient and distance are our choice, the
    latter far enough for bfloat16 to tell G(z) from G(z'). z is drawn anew, and passes through G
    in one batch with z', so that G's batch statistics are the same for both.
    """

    label = "JacClamp"
    papers = ("odena2018",)

    coefficient: NonNegative = 1.0
    smallest: NonNegative = 1.0
    largest: Positive = 20.0
    distance: Positive = 1.0

    def generator_loss(
        self, loss: Tensor, generator: Generator, discriminator: Discriminator, batch: Batch
    ) -> Tensor:
        latents = generator.latents.random(len(batch.fake), batch.fake.device)
        values = latents[:, : generator.latents.dim]  # without the label of a conditional one
        step = self.distance * F.normalize(torch.randn_like(values), dim=1)
        moved_latents = torch.cat([values + step, latents[:, values.shape[1] :]], dim=1)
        images, moved = generator(torch.cat([latents, moved_latents])).flatten(1).chunk(2)
        gain = (images - moved).norm(dim=1) / step.norm(dim=1)
        above = (gain - self.largest).relu().square()
        below = (self.smallest - gain).relu().square()
        return loss + self.coefficient * (above + below).mean()
