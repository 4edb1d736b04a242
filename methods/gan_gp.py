"""GAN-GP: WGAN-GP's penalty on the standard GAN (Miyato et al., ICLR 2018, section 4.1)."""

from __future__ import annotations

from lipbench.method import Requires

from .wgan_gp import WganGp


class GanGp(WganGp):
    """Add WGAN-GP's gradient penalty to the non-saturating loss (Miyato et al. 2018, Eq. 15).

    The paper recommends no Adam setting for it, so it has no recipe.
    """

    label = "GAN-GP"
    papers = ("gulrajani2017", "miyato2018")
    requires = Requires(loss="non_saturating")
    recipe = None
