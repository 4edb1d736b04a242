"""SAGAN: the attention layer, where it stands, and what else differs from the ResNets."""

from __future__ import annotations

import pytest
import torch

from lipbench.architectures._attention import SelfAttention
from lipbench.architectures.sagan import SAGAN
from lipbench.errors import UserError


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def names(modules):
    return [name for name, _ in modules.named_children()]


def test_attention_with_gamma_0_is_the_identity():
    maps = noise(2, 16, 4, 4)
    assert torch.equal(SelfAttention(16)(maps), maps)


def test_attention_to_equal_keys_adds_the_mean_of_the_values():
    """Keys of zero weigh all pixels alike; v and h are units, and each quarter has one maximum."""
    layer = SelfAttention(2)
    with torch.no_grad():
        layer.gamma.fill_(1.0)
        layer.f.weight.zero_()
        layer.h.weight.copy_(torch.tensor([[1.0, 0.0]])[..., None, None])
        layer.v.weight.copy_(torch.tensor([[0.0], [1.0]])[..., None, None])
    maps = torch.zeros(1, 2, 4, 4)
    maps[0, 0, ::2, ::2] = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    added = layer(maps) - maps
    assert torch.equal(added[0, 0], torch.zeros(4, 4))
    torch.testing.assert_close(added[0, 1], torch.full((4, 4), 3.0))


def test_a_pixel_takes_the_value_of_the_key_that_its_query_points_to():
    layer = SelfAttention(2)
    with torch.no_grad():
        layer.gamma.fill_(1.0)
        layer.f.weight.copy_(torch.tensor([[100.0, 0.0]])[..., None, None])
        layer.g.weight.copy_(torch.tensor([[0.0, 1.0]])[..., None, None])
        layer.h.weight.copy_(torch.tensor([[1.0, 0.0]])[..., None, None])
        layer.v.weight.copy_(torch.tensor([[1.0], [0.0]])[..., None, None])
    maps = torch.zeros(1, 2, 4, 4)
    maps[0, 0, ::2, ::2] = torch.tensor([[1.0, 2.0], [3.0, 6.0]])  # keys and values
    maps[0, 1, 0, 1], maps[0, 1, 0, 3] = 1.0, -1.0  # queries: for the largest, for the smallest
    added = (layer(maps) - maps)[0, 0]
    assert added[0, 1].item() == pytest.approx(6.0)
    assert added[0, 3].item() == pytest.approx(1.0)
    assert added[1, 1].item() == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("size", "after_g", "after_d"),
    [(32, "block1", "block0"), (48, "block1", "block0"), (128, "block2", "block1")],
)
def test_attention_stands_on_the_largest_maps_of_up_to_32_pixels(size, after_g, after_d):
    with torch.device("meta"):
        g = names(SAGAN().generator((3, size, size), 10).blocks)
        d = names(SAGAN().discriminator((3, size, size), 10).body)
    assert g[g.index("attention") - 1] == after_g
    assert d[d.index("attention") - 1] == after_d


def test_attention_stands_where_a_suite_says_and_elsewhere_is_refused():
    with torch.device("meta"):
        d = names(SAGAN(attention=8).discriminator((3, 32, 32), 10).body)
        assert d[:3] == ["block0", "block1", "attention"]
        with pytest.raises(UserError, match=r"got 32; .* have maps of 16, 8 pixels"):
            SAGAN(attention=32).generator((3, 32, 32), 10)


def test_at_128_pixels_d_is_wide_and_attention_has_an_eighth_and_half_of_its_maps():
    with torch.device("meta"):
        body = SAGAN().discriminator((3, 128, 128), 1000).body
    assert body.block1.body.conv0.out_channels == 128
    assert [body.attention.f.out_channels, body.attention.h.out_channels] == [16, 64]
