"""GN-GAN (Wu et al., Gradient Normalization for Generative Adversarial Networks, ICCV 2021)."""

from __future__ import annotations

import torch
from torch import Tensor

from lipbench.discriminators import Discriminator
from lipbench.method import Claim, Method, Recipe, Trait

from ._gradients import GradientNormalized


class _Normalized(GradientNormalized):
    def normalized(self, logits: Tensor, norms: Tensor) -> Tensor:
        scale = norms + logits.abs()
        return logits / torch.where(scale > 0, scale, 1)


class GradientNormalization(Method):
    """Divide D's logit by the norm of its gradient and its own magnitude, f / (|grad f| + |f|).

    Where f is linear, as pieces of D are between the kinks of its activations, the result's
    gradient has norm (|grad f| / (|grad f| + |f|))^2 <= 1; at a kink it jumps, so this bounds no
    Lipschitz constant across them, and other layers than piecewise linear ones void it. The
    logit lies in [-1, 1]. Recipe, of CIFAR-10's CNN, and formula are the authors' code's
    (github.com/basiclab/GNGAN-PyTorch); 0 / 0 is 0 here.
    """

    label = "GN-GAN"
    papers = ("wu2021",)
    recipe = Recipe(lr=2e-4, beta1=0.0, beta2=0.9, n_dis=1)
    traits = frozenset({Trait.INPUT_GRADIENTS, Trait.DIVIDES_BY_GRADIENT})
    compiles = False

    @property
    def claims(self) -> tuple[Claim, ...]:
        return (Claim("input_gradient", 1.0, tolerance=1e-5),)

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        return _Normalized(discriminator)
