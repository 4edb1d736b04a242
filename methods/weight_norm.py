"""Weight normalization (Salimans & Kingma, NIPS 2016), as Miyato et al. 2018 compare it."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from lipbench.discriminators import Discriminator
from lipbench.method import Claim, Method, Trait


class UnitRows(nn.Module):
    """Scale each output's weights to Euclidean norm 1."""

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight, (outputs, ...), with rows of norm 1."""
        return F.normalize(weight.flatten(1), dim=1).view_as(weight)


class WeightNorm(Method):
    """Divide each output's weights by their norm, w / |w| (Miyato et al. 2018, Eq. 25).

    Without the learned multiplier gamma, which would void any bound (section 4.1); the squared
    singular values of a layer then sum to its number of outputs (Eq. 27). The paper does not say
    which layers; here all, the final dense one included, without biases (our choice).
    """

    label = "WN"
    papers = ("salimans2016weight", "miyato2018")
    traits = frozenset({Trait.REPARAMETRIZES})

    @property
    def claims(self) -> tuple[Claim, ...]:
        return (Claim("row_norm", 1.0, tolerance=1e-5),)

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        for layer in discriminator.layers():
            parametrize.register_parametrization(layer, "weight", UnitRows())
        return discriminator
