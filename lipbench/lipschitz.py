"""Measured Lipschitz facts of a discriminator: what is so, whatever a method claims.

Everything is measured on a copy in float64 and eval mode, so a measurement changes nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, svds
from torch import Tensor, nn

from lipbench.discriminators import gradient, input_shapes, matrix
from lipbench.method import Claim
from lipbench.networks import Discriminator

_DENSE = 64  # up to so many rows or columns, a dense SVD is as quick


def sigma_kernel(layer: nn.Module) -> float:
    """Return the largest singular value of a layer's weight, reshaped to (outputs, rest)."""
    return torch.linalg.matrix_norm(matrix(_weight(layer)), 2).item()


def frobenius_norm(layer: nn.Module) -> float:
    """Return the square root of the sum of a layer's squared weights."""
    return _weight(layer).norm().item()


def row_norm(layer: nn.Module) -> float:
    """Return the largest Euclidean norm of the weights of one output."""
    return matrix(_weight(layer)).norm(dim=1).max().item()


def largest_weight(layer: nn.Module) -> float:
    """Return the largest magnitude of a weight."""
    return _weight(layer).abs().max().item()


def sigma_operator(layer: nn.Module, input_shape: torch.Size) -> float:
    """Return the largest singular value of a layer as a map of inputs, biases apart.

    The layer must be affine; its stride, padding and the input's shape (C, H, W) or (F,) count.
    By Lanczos iteration on the layer's own forward and its transpose, to machine precision.
    """
    layer = copy.deepcopy(layer).double().eval()
    device = next(iter([*layer.parameters(), *layer.buffers()])).device

    def forward(inputs: Tensor) -> Tensor:
        return layer(inputs.view(1, *input_shape)).flatten()

    zero = torch.zeros(input_shape, dtype=torch.float64, device=device).flatten()
    with torch.no_grad():
        offset = forward(zero)
    transpose = torch.func.vjp(forward, zero)[1]

    def matvec(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        with torch.no_grad():
            return (forward(torch.from_numpy(vector.ravel()).to(device)) - offset).cpu().numpy()

    def rmatvec(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        return transpose(torch.from_numpy(vector.ravel()).to(device))[0].detach().cpu().numpy()

    shape = (offset.numel(), zero.numel())
    operator = LinearOperator(shape, matvec=matvec, rmatvec=rmatvec, dtype=np.float64)
    narrow = operator.T if shape[0] < shape[1] else operator
    start = np.random.default_rng(0).standard_normal(min(shape))
    size = np.linalg.norm(narrow @ start)
    if size == 0 or not np.isfinite(size):  # what the solvers refuse: no map, or not a number
        return float(size)
    if min(shape) <= _DENSE:
        return float(np.linalg.norm(narrow @ np.eye(min(shape)), 2))
    return float(svds(operator, k=1, v0=start, return_singular_vectors=False)[0])


def input_gradient(discriminator: Discriminator, images: Tensor) -> float:
    """Return the largest norm of D's gradient at some images (B, C, H, W)."""
    discriminator = copy.deepcopy(discriminator).double().eval()
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
    return copy.deepcopy(layer).double().eval().weight.detach()  # type: ignore[operator]
