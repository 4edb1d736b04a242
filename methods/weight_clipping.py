"""Weight clipping (Arjovsky et al., Wasserstein GAN, ICML 2017)."""

from __future__ import annotations

from lipbench.discriminators import Discriminator, hidden, original
from lipbench.method import Claim, Positive, Projection


class WeightClipping(Projection):
    """Clamp the weights of D's hidden layers to [-bound, bound] after each update of D.

    As Miyato et al. 2018 (section 4.1) compare it: 0.01, weights of convolutions only (not the
    dense head, no bias or BN; the hidden dense layers of an MLP are our choice), with the suite's
    loss (theirs is the non-saturating one) and Adam.
    """

    label = "WC"
    papers = ("arjovsky2017wgan",)

    bound: Positive = 0.01

    @property
    def claims(self) -> tuple[Claim, ...]:
        return (Claim("largest_weight", self.bound, tolerance=1e-6, layers="convolutions"),)

    def constrain(self, discriminator: Discriminator) -> None:
        for layer in hidden(discriminator):
            original(layer).clamp_(-self.bound, self.bound)
