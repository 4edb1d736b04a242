"""The method batch_norm, on cases that can be solved by hand."""

from __future__ import annotations

import math

import torch
from torch import nn


def test_batch_norm_normalizes_a_channel_over_the_batch(make):
    layer = make("batch_norm").norm(1)
    activations = torch.tensor([1.0, 3.0])[:, None, None, None]
    expected = torch.tensor([-1.0, 1.0])[:, None, None, None]
    torch.testing.assert_close(layer(activations), expected, atol=1e-4, rtol=0)


def test_batch_norms_running_variance_is_the_unbiased_one(make):
    """Of (1, 3): mean 2, variance 2; a tenth of it beside nine tenths of the start, 0 and 1."""
    layer = make("batch_norm").norm(1)
    layer(torch.tensor([1.0, 3.0])[:, None, None, None])
    assert math.isclose(layer[0].running_mean.item(), 0.2, rel_tol=1e-6)
    assert math.isclose(layer[0].running_var.item(), 0.9 + 0.1 * 2, rel_tol=1e-6)


def test_batch_norms_gamma_is_where_methods_that_bound_it_look(make):
    layer = make("batch_norm", gamma=True).norm(3)
    (found,) = [module for module in layer.modules() if isinstance(module, nn.BatchNorm2d)]
    assert found.weight.shape == (3,)
    assert found.bias is None
