"""Jensen-Shannon regularizer of the standard GAN (Roth et al., NIPS 2017)."""

from __future__ import annotations

from torch import Tensor

from lipbench.discriminators import Discriminator, gradient
from lipbench.method import Batch, NonNegative, Penalty, Requires, Trait

_LAST_SHARE = 0.01  # of gamma, at the end of an annealed run


class JsRegularizer(Penalty):
    """Penalize the gradient of D's logit where D is unsure: noise on the images, in closed form.

    gamma / 2 * (E[(1 - p(real))^2 |grad D(real)|^2] + E[p(fake)^2 |grad D(fake)|^2]), with D the
    logit and p = sigmoid(D), which is differentiated too. Annealed, gamma falls exponentially to
    a hundredth of itself over the run. Formula and decay are those of the authors' code
    (github.com/rothk/Stabilizing_GANs), which has the non-saturating loss, and gamma 2 with
    annealing the example of its README; its own defaults are 0.1 without.
    """

    label = "JS-Reg"
    papers = ("roth2017",)
    traits = frozenset({Trait.INPUT_GRADIENTS})
    requires = Requires(loss="non_saturating")

    gamma: NonNegative = 2.0
    annealed: bool = True

    def term(self, discriminator: Discriminator, batch: Batch) -> Tensor:
        gamma = self.gamma * (_LAST_SHARE**batch.progress if self.annealed else 1)
        real_logits, real_gradients = gradient(discriminator, batch.real)
        fake_logits, fake_gradients = gradient(discriminator, batch.fake)
        of_real = (1 - real_logits.sigmoid()).square() * _squares(real_gradients)
        of_fake = fake_logits.sigmoid().square() * _squares(fake_gradients)
        return gamma / 2 * (of_real.mean() + of_fake.mean())


def _squares(gradients: Tensor) -> Tensor:
    return gradients.flatten(1).square().sum(1)
