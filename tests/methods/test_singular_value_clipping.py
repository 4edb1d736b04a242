"""The method singular_value_clipping, on cases that can be solved by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lipbench.discriminators import matrix

from ._weights import (
    flat,
    standard,
)


@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (5, 2)])
def test_singular_value_clipping_changes_only_the_values_above_the_bound(make, layers, shape):
    u, _, vh = torch.linalg.svd(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    values = torch.tensor([3.0, 0.5, 0.1])[: min(shape)]
    u, vh = u[:, : len(values)], vh[: len(values)]
    discriminator = layers((u * values @ vh)[:, :, None, None], torch.tensor([[3.0, 4.0]]))
    with torch.no_grad():
        make("singular_value_clipping").project(discriminator, 0)
    expected = u * values.clamp(max=1) @ vh
    torch.testing.assert_close(matrix(discriminator.body.weight), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(discriminator.head.weight, torch.tensor([[0.6, 0.8]]))


def test_singular_value_clipping_leaves_a_weight_within_the_bound_exactly_as_it_is(make, layers):
    kernel = flat([[0.3, 0.1], [-0.2, 0.4]])
    discriminator = layers(kernel.clone(), torch.ones(1, 2) / 2)
    with torch.no_grad():
        make("singular_value_clipping").project(discriminator, 0)
    assert torch.equal(discriminator.body.weight, kernel)


def test_singular_value_clipping_clamps_the_gains_of_batch_normalization(make):
    """TGAN: gamma in [0.01 std, std], with std the root of the running variance, 2 here."""
    discriminator = standard(norm=True)
    norm = discriminator.body.norm1
    gains = torch.tensor([-1.0, 0.01, 0.5, 7.0])
    with torch.no_grad():
        norm.running_var.fill_(4.0)
        norm.weight[:4] = gains
        make("singular_value_clipping", clip_batch_norm=False).project(discriminator, 0)
        assert torch.equal(norm.weight[:4], gains)
        make("singular_value_clipping").project(discriminator, 0)
    torch.testing.assert_close(norm.weight[:4].detach(), torch.tensor([0.02, 0.02, 0.5, 2.0]))


def test_singular_value_clipping_leaves_a_batch_normalization_without_gains_alone(make):
    discriminator = standard()
    discriminator.body.norm1 = nn.BatchNorm2d(32, affine=False)
    with torch.no_grad():
        make("singular_value_clipping").project(discriminator, 0)
    assert discriminator.body.norm1.weight is None
