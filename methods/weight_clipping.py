"""Weight clipping (Arjovsky et al., Wasserstein GAN, ICML 2017)."""

from __future__ import annotations

from lipbench.discriminators import Discriminator, convolutions, original
from lipbench.method import Method, Positive


class WeightClipping(Method):
    """Clamp the weights of the convolutions to [-bound, bound] after each update of D.

    As Miyato et al. 2018 (section 4.1) compare it: 0.01, convolution weights only (no dense
    layer, bias or BN), with the suite's loss (theirs is the non-saturating one) and Adam.
    """

    label = "WC"

    bound: Positive = 0.01

    def project(self, discriminator: Discriminator) -> None:
        for layer in convolutions(discriminator):
            original(layer).clamp_(-self.bound, self.bound)
