"""How far a score would move with other latents, or with other real images."""

from __future__ import annotations

import torch

from lipbench.errors import UserError
from lipbench.measure import Features, Measure, Real


def standard_error(
    measure: Measure, fake: Features, real: Real, replicates: int, generator: torch.Generator
) -> float:
    """Return the standard deviation of a measure over bootstrap draws (Efron 1979).

    Only one side is drawn again, `measure.resamples`, and the other held fixed: it tells how far
    the number would move with other latents (or other real images), not with other training runs.
    Raises UserError for fewer than 2 replicates. It is nan where a replicate is.
    """
    if replicates < 2:
        raise UserError(f"a standard error needs 2 bootstrap replicates or more, not {replicates}")
    count = len((fake if measure.resamples == "fake" else real.features).pooled)
    drawn = torch.randint(count, (replicates, count), generator=generator)
    counts = torch.zeros(replicates, count, dtype=torch.float64)
    counts.scatter_add_(1, drawn, torch.ones((), dtype=torch.float64).expand_as(drawn))
    return measure.replicates(fake, real, counts).std().item()
