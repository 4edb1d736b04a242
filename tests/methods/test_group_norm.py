"""The method group_norm, on cases that can be solved by hand."""

from __future__ import annotations

import pytest
import torch

from lipbench.architectures.standard_cnn import StandardDiscriminator
from lipbench.errors import UserError


def test_group_norm_normalizes_neighbouring_channels_together(make):
    layer = make("group_norm", groups=2).norm(4)
    activations = torch.tensor([1.0, 3.0, 10.0, 30.0])[None, :, None, None]
    expected = torch.tensor([-1.0, 1.0, -1.0, 1.0])[None, :, None, None]
    torch.testing.assert_close(layer(activations), expected, atol=1e-4, rtol=0)


def test_groups_that_do_not_divide_the_channels_are_refused_with_both_numbers(make):
    with pytest.raises(UserError, match=r"8 groups do not divide a layer's 12 channels"):
        make("group_norm").norm(12)


@pytest.mark.parametrize("width", [0.125, 0.25, 1.0])
def test_the_default_groups_divide_every_hidden_layer_of_the_standard_cnn(make, width):
    StandardDiscriminator((1, 16, 16), width, norm=make("group_norm").norm)
