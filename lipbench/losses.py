"""Adversarial losses on D's logits, all minimised.

`real` is D(x) and `fake` is D(G(z)), 1-D tensors of logits; each loss is a mean over the batch.
torch is imported by the first loss that is computed: `lipbench losses` lists them without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Gt, Le
from pydantic import ConfigDict

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Loss:
    """One adversarial game: what D minimises and what G minimises. Fields are its parameters."""

    source: ClassVar[str]
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False
    )

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return D's loss, a scalar."""
        raise NotImplementedError

    def generator(self, fake: Tensor) -> Tensor:
        """Return G's loss, a scalar."""
        raise NotImplementedError


def _softplus(logits: Tensor) -> Tensor:
    from torch.nn import functional

    return functional.softplus(logits)


@dataclass(frozen=True)
class NonSaturating(Loss):
    """-log D for both players. `real_target` below 1 is one-sided label smoothing."""

    source = (
        "Goodfellow et al. 2014; Miyato et al. 2018, Eq. 15 and the alternate generator loss; "
        "one-sided label smoothing: Salimans et al. 2016"
    )

    real_target: Annotated[float, Gt(0), Le(1)] | None = None

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        wanted = _softplus(-real).mean()
        if self.real_target is not None:
            unwanted = _softplus(real).mean()
            wanted = self.real_target * wanted + (1 - self.real_target) * unwanted
        return wanted + _softplus(fake).mean()

    def generator(self, fake: Tensor) -> Tensor:
        return _softplus(-fake).mean()


@dataclass(frozen=True)
class Saturating(NonSaturating):
    """The original minimax game: G minimises log(1 - D), the negative of D's own term."""

    source = "Goodfellow et al. 2014"

    def generator(self, fake: Tensor) -> Tensor:
        return -_softplus(fake).mean()


@dataclass(frozen=True)
class Hinge(Loss):
    """Margins at 1 and -1 for D, the plain logit for G."""

    source = "Lim & Ye 2017; Tran et al. 2017; Miyato et al. 2018, Eq. 16-17"

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return (1 - real).relu().mean() + (1 + fake).relu().mean()

    def generator(self, fake: Tensor) -> Tensor:
        return -fake.mean()


@dataclass(frozen=True)
class Wasserstein(Loss):
    """The difference of the means. `drift` weighs E[D(x)^2], which pins D's free constant."""

    source = (
        "Arjovsky et al. 2017; Miyato et al. 2018, Eq. 29; drift: Karras et al. 2018, there 1e-3"
    )

    drift: Annotated[float, Ge(0)] | None = None

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        loss = fake.mean() - real.mean()
        return loss if self.drift is None else loss + self.drift * real.square().mean()

    def generator(self, fake: Tensor) -> Tensor:
        return -fake.mean()


@dataclass(frozen=True)
class LeastSquares(Loss):
    """Half the squared distances of logits from targets (the paper's a, b, c).

    The logits are not squashed, though code exists that squashes them.
    """

    source = "Mao et al. 2017, with a = 0, b = c = 1"

    fake_target: float = 0.0
    real_target: float = 1.0
    generator_target: float = 1.0

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        wanted = (real - self.real_target).square().mean()
        return 0.5 * (wanted + (fake - self.fake_target).square().mean())

    def generator(self, fake: Tensor) -> Tensor:
        return 0.5 * (fake - self.generator_target).square().mean()


LOSSES: dict[str, type[Loss]] = {
    "non_saturating": NonSaturating,
    "saturating": Saturating,
    "hinge": Hinge,
    "wasserstein": Wasserstein,
    "least_squares": LeastSquares,
}
