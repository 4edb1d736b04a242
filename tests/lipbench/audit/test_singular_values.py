"""Norms and spectra against dense matrices, ranks by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lipbench.audit import singular_values as sv

LAYERS = [
    *(
        (nn.Conv2d(2, 3, kernel, stride, padding), (2, size, size + 1))
        for kernel in (3, 4)
        for stride in (1, 2)
        for padding in (0, 1)
        for size in (6, 7)
    ),
    (nn.Conv2d(4, 6, 3, 2, 1, groups=2), (4, 7, 6)),
    (nn.Conv2d(2, 3, 3, 1, 2, dilation=2), (2, 6, 7)),
    (nn.Conv2d(2, 3, 3, 1, 1, padding_mode="circular"), (2, 6, 7)),
    (nn.ConvTranspose2d(2, 3, 4, 2, 1), (2, 5, 6)),
    (nn.ConvTranspose2d(4, 6, 3, 2, 1, output_padding=1, groups=2), (4, 3, 4)),
    (nn.Linear(100, 90), (100,)),
    (nn.Linear(7, 3), (5, 7)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=str)
def test_a_layers_norm_is_that_of_its_dense_matrix(layer, shape, filled, dense):
    layer = filled(layer).double()
    found = sv.operator_norm(layer, torch.Size(shape), torch.device("cpu"))
    expected = torch.linalg.matrix_norm(dense(layer, shape), 2).item()
    assert math.isclose(found, expected, rel_tol=1e-8)


def circular(layer: nn.Conv2d, size: tuple[int, int]):
    """Return the layer's convolution with what leaves one edge entering at the other.

    By hand: each output pixel is a sum over taps of pixels at positions modulo the sides.
    """

    def apply(inputs):
        rows, columns = size[0] // layer.stride[0], size[1] // layer.stride[1]
        outputs = inputs.new_zeros(len(inputs), layer.out_channels, rows, columns)
        group_in, group_out = layer.weight.shape[1], layer.out_channels // layer.groups
        for p in range(layer.kernel_size[0]):
            for q in range(layer.kernel_size[1]):
                down = (torch.arange(rows) * layer.stride[0] + p * layer.dilation[0]) % size[0]
                right = (torch.arange(columns) * layer.stride[1] + q * layer.dilation[1]) % size[1]
                seen = inputs[:, :, down][:, :, :, right]
                for o in range(layer.out_channels):
                    start = o // group_out * group_in
                    taps = layer.weight[o, :, p, q].view(1, -1, 1, 1)
                    outputs[:, o] += (taps * seen[:, start : start + group_in]).sum(1)
        return outputs

    return apply


@pytest.mark.parametrize(
    ("layer", "size"),
    [
        (nn.Conv2d(2, 3, 3), (5, 6)),
        (nn.Conv2d(3, 2, 4, 2), (6, 8)),
        (nn.Conv2d(2, 9, 3, 2), (4, 4)),
        (nn.Conv2d(2, 3, (3, 4), (1, 3)), (5, 6)),
        (nn.Conv2d(4, 6, 3, 2, groups=2), (6, 4)),
        (nn.Conv2d(2, 3, 3, dilation=2), (5, 6)),
        (nn.Conv2d(2, 3, 5), (3, 4)),  # the kernel is larger than the image
    ],
    ids=str,
)
def test_the_circular_spectrum_is_that_of_the_dense_circular_matrix(layer, size, filled, dense):
    layer = filled(layer).double()
    shape = (layer.in_channels, *size)
    found = sv.circular_spectrum(layer, layer.weight, torch.Size(shape))
    expected = torch.linalg.svdvals(dense(circular(layer, size), shape))
    assert len(found) == len(expected)
    assert torch.allclose(torch.tensor(found), expected.float(), rtol=1e-5, atol=1e-6)


def test_circular_padding_that_keeps_sizes_has_the_circular_norm(filled):
    layer = filled(nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular")).double()
    shape = torch.Size((3, 6, 5))
    found = sv.circular_spectrum(layer, layer.weight, shape)[0]
    assert math.isclose(found, sv.operator_norm(layer, shape, torch.device("cpu")), rel_tol=1e-8)


def test_a_transposed_convolution_has_the_spectrum_of_the_convolution_that_it_transposes(filled):
    layer = filled(nn.ConvTranspose2d(3, 2, 4, 2, 1))
    convolution = nn.Conv2d(2, 3, 4, 2, 1)
    found = sv.circular_spectrum(layer, layer.weight, torch.Size((3, 4, 5)))
    expected = sv.circular_spectrum(convolution, layer.weight, torch.Size((2, 8, 10)))
    assert found == pytest.approx(expected)


def test_a_long_spectrum_is_given_by_evenly_spaced_order_statistics(filled):
    layer = filled(nn.Conv2d(4, 4, 3))
    found = sv.circular_spectrum(layer, layer.weight, torch.Size((4, 16, 16)))
    transfer = torch.fft.fft2(layer.weight.detach().double(), s=(16, 16)).permute(2, 3, 0, 1)
    every = torch.linalg.svdvals(transfer).flatten().sort(descending=True).values
    places = [round(i * 1023 / 255) for i in range(256)]
    assert found == pytest.approx(every[places].tolist(), rel=1e-6)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(1, 1, 3, 2), (1, 5, 4)),
        (nn.Linear(4, 4), (4,)),
        (nn.Conv1d(1, 1, 3), (1, 6)),
    ],
    ids=str,
)
def test_there_is_no_circular_spectrum_where_strides_leave_a_rest_or_nothing_is_2d(layer, shape):
    assert sv.circular_spectrum(layer, layer.weight, torch.Size(shape)) is None


@pytest.mark.parametrize(
    ("diagonal", "effective", "stable"),
    [
        ([2.0, 2.0, 2.0], 3.0, 3.0),
        ([5.0, 0.0, 0.0], 1.0, 1.0),
        ([3.0, 1.0], math.exp(0.75 * math.log(4 / 3) + 0.25 * math.log(4)), 10 / 9),
        ([0.0, 0.0], 0.0, 0.0),
    ],
)
def test_ranks_of_diagonal_kernels(diagonal, effective, stable):
    values = sv.singular_values(torch.diag(torch.tensor(diagonal))[:, :, None, None].flatten(1))
    assert sv.effective_rank(values) == pytest.approx(effective)
    assert sv.stable_rank(values) == pytest.approx(stable)


def test_a_transposed_convolutions_rows_are_its_outputs(draw):
    layer = nn.ConvTranspose2d(4, 6, 3, groups=2)
    matrix = sv.kernel_matrix(layer, layer.weight)
    image = torch.zeros(1, 4, 1, 1)
    image[0, 2] = 1.0  # the first input of the second group, whose outputs are 3, 4, 5
    outputs = F.conv_transpose2d(image, layer.weight, groups=2)[0].flatten(1)
    assert torch.equal(matrix[3:, :9], outputs[3:])
    assert matrix.shape == (6, 2 * 9)
