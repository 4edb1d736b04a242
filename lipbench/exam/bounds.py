"""What methods claim, measured: each quantity of a `Claim`, on a copy in float64 and eval mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor, nn

from lipbench.audit.layers import sigma_kernel, sigma_operator
from lipbench.discriminators import gradient, input_shapes, matrix
from lipbench.method import Claim
from lipbench.networks import Discriminator
from lipbench.rest import at_rest

__all__ = [
    "frobenius_norm", "input_gradient", "largest_weight", "measured", "row_norm", "sigma_kernel",
    "sigma_operator",
]  # fmt: skip


def frobenius_norm(layer: nn.Module) -> float:
    """Return the square root of the sum of a layer's squared weights."""
    return _weight(layer).norm().item()


def row_norm(layer: nn.Module) -> float:
    """Return the largest Euclidean norm of the weights of one output."""
    return matrix(_weight(layer)).norm(dim=1).max().item()


def largest_weight(layer: nn.Module) -> float:
    """Return the largest magnitude of a weight."""
    return _weight(layer).abs().max().item()


def input_gradient(discriminator: Discriminator, images: Tensor) -> float:
    """Return the largest norm of D's gradient at some images (B, C, H, W)."""
    discriminator = at_rest(discriminator).double()
    _, gradients = gradient(discriminator, images.double())
    return gradients.flatten(1).norm(dim=1).max().item()


_OF_WEIGHTS: dict[str, Callable[[nn.Module], float]] = {
    "sigma_kernel": sigma_kernel,
    "frobenius_norm": frobenius_norm,
    "row_norm": row_norm,
    "largest_weight": largest_weight,
}


def measured(
    claim: Claim, discriminator: Discriminator, images: Tensor
) -> Iterator[tuple[str, float]]:
    """Yield what a claim is about, as measured: (layer's name, value), or one of the network."""
    if claim.quantity == "input_gradient":
        yield "D", input_gradient(discriminator, images)
        return
    names = {module: name for name, module in discriminator.named_modules()}
    for layer, shape in input_shapes(discriminator).items():
        if claim.layers == "convolutions" and not isinstance(layer, nn.Conv2d):
            continue
        if claim.quantity == "sigma_operator":
            yield names[layer], sigma_operator(layer, shape)
        else:
            yield names[layer], _OF_WEIGHTS[claim.quantity](layer)


def _weight(layer: nn.Module) -> Tensor:
    return at_rest(layer).double().weight.detach()  # type: ignore[operator]
