"""No control at all: the baseline that every method is measured against."""

from __future__ import annotations

from lipbench.method import Method, Recipe


class NoControl(Method):
    """Leave the discriminator as it is.

    The recipe is DCGAN's (Radford et al., Unsupervised Representation Learning with Deep
    Convolutional Generative Adversarial Networks, ICLR 2016).
    """

    label = "none"
    is_baseline = True
    papers = ("radford2016",)
    recipe = Recipe(lr=2e-4, beta1=0.5, beta2=0.999, n_dis=1)
