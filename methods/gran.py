"""GraN-GAN (Bhaskara et al., Piecewise Gradient Normalization for GANs, WACV 2022)."""

from __future__ import annotations

from torch import Tensor

from lipbench.discriminators import Discriminator
from lipbench.method import Claim, Method, Positive, Trait

from ._gradients import GradientNormalized


class _Normalized(GradientNormalized):
    def __init__(self, inner: Discriminator, epsilon: float) -> None:
        super().__init__(inner)
        self.epsilon = epsilon

    def normalized(self, logits: Tensor, norms: Tensor) -> Tensor:
        return logits * norms / (norms.square() + self.epsilon)


class Gran(Method):
    """Divide D's logit by the norm of its gradient, f |grad f| / (|grad f|^2 + epsilon).

    Where f is linear, as pieces of D are between the kinks of its activations, the result's
    gradient has norm |grad f|^2 / (|grad f|^2 + epsilon) <= 1; at a kink it jumps, so this bounds
    no Lipschitz constant across them, and other layers than piecewise linear ones void it.
    The formula is as others give it for K = 1, not checked against the paper; epsilon is our
    choice.
    """

    label = "GraN"
    papers = ("bhaskara2022",)
    traits = frozenset({Trait.INPUT_GRADIENTS, Trait.DIVIDES_BY_GRADIENT})
    compiles = False

    epsilon: Positive = 0.1

    @property
    def claims(self) -> tuple[Claim, ...]:
        return (Claim("input_gradient", 1.0, tolerance=1e-5),)

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        return _Normalized(discriminator, self.epsilon)
