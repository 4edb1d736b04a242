"""The method cayley, on cases that can be solved by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lipbench.discriminators import input_shapes, original

from ._convolutions import (
    SHAPES,
    Convolved,
    circular,
    dense,
    draw,
    drawn,
)


@pytest.mark.parametrize("shape", [*SHAPES, (4, 1, 4, 2, 2)])
def test_cayley_convolutions_keep_norms_of_inputs_or_outputs(make, shape):
    outputs, inputs, _, stride, size = shape
    wrapped = make("cayley").wrap(drawn(*shape))
    (layer, *_) = wrapped.layers()
    found = dense(layer, (inputs, size, size))
    assert len(found) == outputs * (size // stride) ** 2
    gram = found @ found.mT if len(found) < len(found.mT) else found.mT @ found
    torch.testing.assert_close(gram, torch.eye(len(gram)), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "shape", [(3, 2, 3, 1, 4), (2, 3, 3, 1, 5), (9, 2, 4, 2, 4), (3, 1, 4, 2, 8)]
)
def test_a_cayley_convolution_is_the_cayley_transform_of_the_dense_circular_matrix(make, shape):
    outputs, inputs, side, stride, size = shape
    kernel = draw(outputs, inputs, side, side)
    wrapped = make("cayley").wrap(Convolved(kernel.clone(), size, stride))
    (layer, *_) = wrapped.layers()
    # Pixels in the order in which a stride takes them as channels.
    order = F.pixel_unshuffle(torch.arange(inputs * size**2.0).view(inputs, size, size), stride)
    order = order.flatten().long()
    centre = (side // stride - 1) // 2
    dense_weight = circular(kernel, stride, size, centre * stride)[:, order].double().numpy()
    wide = dense_weight.shape[0] < dense_weight.shape[1]
    tall = dense_weight.T if wide else dense_weight
    columns = tall.shape[1]
    u, v, eye = tall[:columns], tall[columns:], np.eye(columns)
    a = u - u.T + v.T @ v
    expected = np.vstack([np.linalg.solve(eye + a, eye - a), -2 * v @ np.linalg.inv(eye + a)])
    found = dense(layer, (inputs, size, size))[:, order].double()
    torch.testing.assert_close(
        found, torch.from_numpy(expected.T if wide else expected), atol=1e-5, rtol=0
    )


def test_a_cayley_convolution_adds_the_bias_and_computes_in_float32_under_autocast(make):
    wrapped = make("cayley").wrap(drawn(3, 2, 3, 1, 4))
    (layer, *_) = wrapped.layers()
    images = draw(2, 2, 4, 4)
    with torch.no_grad():
        expected = layer(images) + 1
        layer.bias.add_(1)
        torch.testing.assert_close(layer(images), expected)
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(layer(images), expected)


def test_cayley_learns_a_scale_that_starts_at_the_weights_norm(make):
    wrapped = make("cayley").wrap(drawn(3, 2, 3, 1, 4))
    for layer, module in zip(
        wrapped.layers(),
        [module for module in wrapped.modules() if hasattr(module, "alpha")],
        strict=True,
    ):
        assert module.alpha.requires_grad
        torch.testing.assert_close(module.alpha, original(layer).norm())
        with torch.no_grad():
            inputs = torch.randn(1, *input_shapes(wrapped)[layer])
            before = layer(inputs)
            original(layer).mul_(7.0)
            torch.testing.assert_close(layer(inputs), before)
