"""Feature matching (Salimans et al., Improved Techniques for Training GANs, NIPS 2016)."""

from __future__ import annotations

import torch
from torch import Tensor

from lipbench.discriminators import Discriminator
from lipbench.method import Batch, Generator, Method


class FeatureMatching(Method):
    """Train the generator to match the mean of the discriminator's features on real images.

    |E f(x) - E f(G(z))|^2 is G's loss in place of the adversarial one, with f what the last dense
    layer of D sees and x the real images of D's last update; D's loss stays as it is. The authors'
    code (github.com/openai/improved-gan) has the mean absolute difference in place of the squared
    norm. Terms of G's loss from methods named before this one in a suite are replaced as well.
    """

    label = "Feature matching"
    papers = ("salimans2016improved",)

    def generator_loss(
        self, loss: Tensor, generator: Generator, discriminator: Discriminator, batch: Batch
    ) -> Tensor:
        with torch.no_grad(), discriminator.given(batch.real_labels):
            real = discriminator.features(batch.real).mean(dim=0)
        return (real - discriminator.features(batch.fake).mean(dim=0)).square().sum()
