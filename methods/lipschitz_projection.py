"""Lipschitz constant constraint (Gouk et al., Machine Learning 110, 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lipbench.discriminators import Discriminator, find, input_shapes, original
from lipbench.method import Claim, Count, Positive, Projection
from lipbench.operators import Convolution, ConvolutionNorm, MatrixNorm, PowerIteration


class LipschitzProjection(Projection):
    """Shrink each layer whose norm as a linear map is above `bound` to it, after D's updates.

    W <- W / max(1, |W| / bound), |W| the spectral norm of the convolution itself, with its stride,
    padding and input size, by `power_iterations` rounds of convolution and transpose, as in the
    authors' code (github.com/henrygouk/keras-lipschitz-networks). That code starts each time at
    random vectors; here they persist, to come closer at the same cost (our choice). What is found
    is a lower bound of the norm: in the first updates at setting F we measured norms of up to
    1.5 times `bound`; the claim is of repeated projections. A batch normalization with a gamma is
    shrunk likewise, its norm that of its running statistics, max |gamma| / sqrt(variance).
    """

    label = "LCC"
    papers = ("gouk2021",)

    bound: Positive = 1.0
    power_iterations: Count = 2

    @property
    def claims(self) -> tuple[Claim, ...]:
        return (Claim("sigma_operator", self.bound, tolerance=0.01),)

    def prepare(self, discriminator: Discriminator, real: Tensor) -> None:
        shapes = input_shapes(discriminator)
        norms = [
            operator_norm(layer, shapes[layer], self.power_iterations)
            for layer in discriminator.layers()
        ]
        discriminator.add_module("operator_norms", OperatorNorms(norms))

    def constrain(self, discriminator: Discriminator) -> None:
        norms = find(discriminator, OperatorNorms)
        for layer, norm in zip(discriminator.layers(), norms, strict=True):
            weight = original(layer)
            weight.div_((norm(weight) / self.bound).clamp(min=1))
        for module in discriminator.modules():
            if isinstance(module, nn.BatchNorm2d) and module.affine:
                shrink(module, self.bound)


def shrink(norm: nn.BatchNorm2d, bound: float) -> None:
    """Shrink gamma so that the running statistics give no channel a gain above the bound."""
    if norm.running_var is not None:
        gains = norm.weight.abs() / (norm.running_var + norm.eps).sqrt()
        norm.weight.div_((gains.max() / bound).clamp(min=1))


class OperatorNorms(nn.ModuleList):
    """The power iterations of D's layers, in their order."""


def operator_norm(
    layer: nn.Conv2d | nn.Linear, input_shape: torch.Size, rounds: int
) -> PowerIteration:
    """Return the power iteration of a layer as a map of inputs (C, H, W) or (F,)."""
    weight = original(layer).detach()
    if isinstance(layer, nn.Linear):
        return MatrixNorm(weight, rounds)
    return ConvolutionNorm(weight, Convolution.of(layer, input_shape), rounds)
