"""Weight normalization (Salimans & Kingma, NIPS 2016), as Miyato et al. 2018 compare it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from lipbench.discriminators import Discriminator, original
from lipbench.method import Claim, Method, Trait

from ._scale import scale


class WeightNorm(Method):
    """Divide each output's weights by their norm, w / |w| (Miyato et al. 2018, Eq. 25).

    Without the learned multiplier gamma, which would void any bound (section 4.1); the squared
    singular values of a layer then sum to its number of outputs (Eq. 27). The paper does not say
    which layers; here all, the final dense one included, without biases (our choice).

    With `gamma` it is Salimans & Kingma's g * v / |v|, one learned g for each output, which
    starts at the norm of the initial weights, so that D starts with these (our choice).
    """

    label = "WN"
    papers = ("salimans2016weight", "miyato2018")
    traits = frozenset({Trait.REPARAMETRIZES})

    gamma: bool = False

    @property
    def claims(self) -> tuple[Claim, ...]:
        return () if self.gamma else (Claim("row_norm", 1.0, tolerance=1e-5),)

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        for layer in discriminator.layers():
            parametrize.register_parametrization(layer, "weight", UnitRows())
            if self.gamma:
                weight = original(layer)
                inputs = tuple(range(1, weight.dim()))
                scale(layer, torch.linalg.vector_norm(weight, dim=inputs, keepdim=True))
        return discriminator


class UnitRows(nn.Module):
    """Scale each output's weights to Euclidean norm 1."""

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight, (outputs, ...), with rows of norm 1."""
        return F.normalize(weight.flatten(1), dim=1).view_as(weight)
