"""Adversarial losses on D's logits, all minimised.

`real` is D(x) and `fake` is D(G(z)), 1-D tensors of logits; each loss is a mean over the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Loss:
    """One adversarial game: what D minimises and what G minimises, with the loss's source."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    source: str


def _logistic(real: Tensor, fake: Tensor) -> Tensor:
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def _hinge(real: Tensor, fake: Tensor) -> Tensor:
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


LOSSES = {
    "non_saturating": Loss(
        _logistic,
        lambda fake: F.softplus(-fake).mean(),
        "Goodfellow et al. 2014; Miyato et al. 2018, Eq. 15 and the alternate generator loss",
    ),
    "hinge": Loss(
        _hinge,
        lambda fake: -fake.mean(),
        "Lim & Ye 2017; Tran et al. 2017; Miyato et al. 2018, Eq. 16-17",
    ),
    "wasserstein": Loss(
        lambda real, fake: fake.mean() - real.mean(),
        lambda fake: -fake.mean(),
        "Arjovsky et al. 2017; Miyato et al. 2018, Eq. 29",
    ),
}
