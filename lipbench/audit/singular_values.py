"""Singular values of kernels as matrices, and of layers as maps of images. All in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, svds
from torch import Tensor, nn

_DENSE = 64  # up to so many rows or columns, a dense SVD is as quick
_TOLERANCE = 1e-4  # svds squares it: within 1e-8 for certain, and where we looked within 1e-14
_KEPT = 256  # values of a spectrum that may hold many thousands

_ConvTranspose = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def kernel_matrix(layer: nn.Module, weight: Tensor) -> Tensor:
    """Return a layer's weight as the matrix of Miyato et al. 2018, section 3: (outputs, rest).

    A transposed convolution's is (inputs, outputs / groups, ...) in torch; its rows are outputs
    here too.
    """
    if not isinstance(layer, _ConvTranspose):
        return weight.flatten(1)
    return weight.unflatten(0, (layer.groups, -1)).transpose(1, 2).flatten(0, 1).flatten(1)


def singular_values(matrix: Tensor) -> Tensor:
    """Return a matrix's singular values in float64, on the CPU, descending."""
    return torch.linalg.svdvals(matrix.detach().double().cpu())


def effective_rank(values: Tensor) -> float:
    """Return exp(entropy of s / sum(s)) of singular values s (Roy and Vetterli 2007).

    Between 1 and their number; 0 of a matrix of zeros, for which it is not defined.
    """
    total = values.sum()
    return torch.special.entr(values / total).sum().exp().item() if total > 0 else 0.0


def stable_rank(values: Tensor) -> float:
    """Return |W|_F^2 / sigma^2 of a matrix's singular values, descending; 0 of zeros."""
    largest = values[0]
    return (values / largest).square().sum().item() if largest > 0 else 0.0


def operator_norm(
    apply: Callable[[Tensor], Tensor], shape: torch.Size, device: torch.device
) -> float:
    """Return the largest singular value of an affine map of an input (1, *shape), offset apart.

    By Lanczos iteration on the map, which computes in float64 on the device, and its transpose:
    whatever its stride, padding or groups are, the map itself is measured.
    """

    def forward(inputs: Tensor) -> Tensor:
        return apply(inputs.view(1, *shape)).flatten()

    zero = torch.zeros(math.prod(shape), dtype=torch.float64, device=device)
    with torch.no_grad():
        offset = forward(zero)
    transpose = torch.func.vjp(forward, zero)[1]

    def matvec(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        with torch.no_grad():
            image = forward(torch.from_numpy(vector.ravel()).to(device))
        return (image - offset).cpu().numpy()

    def rmatvec(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        output = torch.from_numpy(vector.ravel()).to(device)
        return transpose(output)[0].detach().cpu().numpy()

    sides = (offset.numel(), zero.numel())
    operator = LinearOperator(sides, matvec=matvec, rmatvec=rmatvec, dtype=np.float64)
    narrow = operator.T if sides[0] < sides[1] else operator
    start = np.random.default_rng(0).standard_normal(min(sides))
    size = np.linalg.norm(narrow @ start)
    if size == 0 or not np.isfinite(size):  # what the solvers refuse: no map, or not a number
        return float(size)
    if min(sides) <= _DENSE:
        return float(np.linalg.norm(narrow @ np.eye(min(sides)), 2))
    return float(svds(operator, k=1, v0=start, tol=_TOLERANCE, return_singular_vectors=False)[0])


class _Circular(NamedTuple):
    """A convolution on a torus: kernel (groups, o, i, h, w), stride, dilation, input (H, W)."""

    kernel: Tensor
    stride: tuple[int, int]
    dilation: tuple[int, int]
    size: tuple[int, int]


def circular_spectrum(
    layer: nn.Module, weight: Tensor, input_shape: torch.Size
) -> list[float] | None:
    """Return the singular values of a 2-D convolution as if its input (C, H, W) wrapped around.

    By Fourier transform (Sedghi et al., ICLR 2019). With a stride s, an output's frequency sees
    the s^2 frequencies that fold into it, side by side, divided by s. Descending; of more than
    256, evenly spaced order statistics with the largest and the smallest. Exact to 1e-8 of the
    largest: they are roots of eigenvalues of Gram matrices, several times cheaper than an SVD.
    None for other layers and where the stride does not divide the input.
    """
    torus = _torus(layer, weight.detach().double().cpu(), input_shape)
    if torus is None or any(n % s for n, s in zip(torus.size, torus.stride, strict=True)):
        return None
    blocks, twice = _frequencies(torus)
    wide = blocks.shape[-2] < blocks.shape[-1]
    grams = blocks @ blocks.mH if wide else blocks.mH @ blocks
    values = torch.linalg.eigvalsh(grams).clamp(min=0).sqrt()  # (frequencies, groups, the fewer)
    repeated = values.repeat_interleave(1 + twice.long(), dim=0)
    ordered = repeated.flatten().sort(descending=True).values
    chosen = torch.linspace(0, len(ordered) - 1, min(_KEPT, len(ordered)), dtype=torch.float64)
    return ordered[chosen.round().long()].tolist()


def _torus(layer: nn.Module, weight: Tensor, input_shape: torch.Size) -> _Circular | None:
    if not isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)) or len(input_shape) != 3:
        return None
    kernel = weight.unflatten(0, (layer.groups, -1))
    height, width = input_shape[1:]
    (down, right), (tall, wide) = layer.stride, layer.dilation
    if isinstance(layer, nn.ConvTranspose2d):  # the transpose of a convolution of its outputs
        height, width = height * down, width * right
    return _Circular(kernel, (down, right), (tall, wide), (height, width))


def _frequencies(torus: _Circular) -> tuple[Tensor, Tensor]:
    """Return the blocks (frequencies, groups, o, i s^2) and which of them count twice.

    Of the frequencies that are conjugates of each other, having the same singular values, one.
    """
    (height, width), (down, right) = torus.size, torus.stride
    rows, columns = height // down, width // right
    spectrum = torch.fft.fft2(_wrapped(torus))
    folded = spectrum.unflatten(4, (right, columns)).unflatten(3, (down, rows))
    half = folded[..., : columns // 2 + 1]  # (g, o, i, down, rows, right, half the columns)
    blocks = half.permute(4, 6, 0, 1, 2, 3, 5).flatten(4).flatten(0, 1)
    column = torch.arange(columns // 2 + 1).repeat(rows)
    twice = (column > 0) & (2 * column != columns)
    return blocks / math.sqrt(down * right), twice


def _wrapped(torus: _Circular) -> Tensor:
    """Return the kernel laid out on the torus (g, o, i, H, W), taps that meet added up."""
    kernel, (height, width) = torus.kernel, torus.size
    rows, columns = (
        torch.arange(taps) * dilation % size
        for taps, dilation, size in zip(kernel.shape[3:], torus.dilation, torus.size, strict=True)
    )
    places = (rows[:, None] * width + columns).flatten()
    flat = kernel.new_zeros(*kernel.shape[:3], height * width)
    return flat.index_add_(3, places, kernel.flatten(3)).unflatten(3, (height, width))
