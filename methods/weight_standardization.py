"""Weight standardization (Qiao et al., arXiv 1903.10520, 2019)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipbench.discriminators import Discriminator, convolutions
from lipbench.method import Method, Positive, Requires, Trait


class WeightStandardization(Method):
    """Shift and scale each filter's weights to mean 0 and deviation 1.

    (w - mean) / (std + epsilon) over a filter's inputs and pixels, std the unbiased one, as in the
    authors' PyTorch code (github.com/joe-siyuan-qiao/WeightStandardization). They use it only in
    convolutions that a normalization follows, so here in each but the first, and it is meant to
    be combined with one: a filter of n weights has norm sqrt(n - 1), so that without one D's
    logits grow by that with each layer. It bounds nothing.
    """

    label = "WS"
    papers = ("qiao2019",)
    requires = Requires(convolutions=True)
    traits = frozenset({Trait.REPARAMETRIZES, Trait.BOUNDS_NOTHING})

    epsilon: Positive = 1e-5

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        for layer in convolutions(discriminator)[1:]:
            module = Standardized(self.epsilon)
            parametrize.register_parametrization(layer, "weight", module)
        return discriminator


class Standardized(nn.Module):
    """Standardize each output's weights."""

    def __init__(self, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight (outputs, inputs, height, width), standardized."""
        filters = (1, 2, 3)
        centred = weight - weight.mean(filters, keepdim=True)
        return centred / (weight.std(filters, keepdim=True) + self.epsilon)
