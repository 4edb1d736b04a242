"""Orthogonal regularization as first coded (Brock et al., Neural Photo Editing, ICLR 2017)."""

from __future__ import annotations

import torch
from torch import Tensor

from lipbench.discriminators import Discriminator, convolutions
from lipbench.method import Batch, NonNegative, Penalty, Requires, Trait


class OrthogonalBrock(Penalty):
    """Penalize each filter's rows for not being orthonormal to each other.

    coefficient * sum |G_o - I| over the entries of G_o (height, height) of each output o of each
    convolution, with G_o[h, k] = sum over inputs i and columns w of K[o, i, h, w] K[o, i, k, w].
    So the authors' code has it (github.com/ajbrock/Neural-Photo-Editor), constant included: it
    compares no two filters, unlike |W^T W - I|_F^2, the form it is cited by. There G has it too;
    here only D.
    """

    label = "Ortho-Brock"
    papers = ("brock2017",)
    requires = Requires(convolutions=True)
    traits = frozenset({Trait.PENALIZES_WEIGHTS})

    coefficient: NonNegative = 1e-3

    def term(self, discriminator: Discriminator, batch: Batch) -> Tensor:
        defects = [_defect(layer.weight) for layer in convolutions(discriminator)]
        return self.coefficient * sum(defects, batch.real.new_zeros(()))


def _defect(kernel: Tensor) -> Tensor:
    grams = torch.einsum("oihw,oikw->ohk", kernel, kernel)
    eye = torch.eye(kernel.shape[2], dtype=kernel.dtype, device=kernel.device)
    return (grams - eye).abs().sum()
