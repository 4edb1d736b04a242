"""Spectral norm regularization (Yoshida & Miyato, arXiv 1705.10941, 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lipbench.discriminators import Discriminator, find, matrix
from lipbench.method import Batch, Count, NonNegative, Penalty, Trait
from lipbench.operators import MatrixNorm


class SpectralNormRegularization(Penalty):
    """Penalize the largest singular value of each weight.

    coefficient / 2 * sum over layers of sigma(W)^2, with W the kernel as a matrix (outputs, rest),
    sigma by power iteration with vectors that persist, and so the gradient coefficient * sigma *
    u v^T. It shrinks sigma without a bound. The layers are all, the final dense one included; the
    half and the coefficient are our choice.
    """

    label = "SNR"
    papers = ("yoshida2017",)
    traits = frozenset({Trait.PENALIZES_WEIGHTS})

    coefficient: NonNegative = 0.01
    power_iterations: Count = 1

    def prepare(self, discriminator: Discriminator, real: Tensor) -> None:
        norms = [
            MatrixNorm(matrix(layer.weight.detach()), self.power_iterations)
            for layer in discriminator.layers()
        ]
        discriminator.add_module("spectral_norms", SpectralNorms(norms))

    def term(self, discriminator: Discriminator, batch: Batch) -> Tensor:
        norms = find(discriminator, SpectralNorms)
        sigmas = [
            norm(matrix(layer.weight))
            for layer, norm in zip(discriminator.layers(), norms, strict=True)
        ]
        return self.coefficient / 2 * torch.stack(sigmas).square().sum()


class SpectralNorms(nn.ModuleList):
    """The power iterations of D's layers, in their order."""
