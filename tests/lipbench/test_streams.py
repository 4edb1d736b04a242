"""Random draws by name."""

from __future__ import annotations

import torch

from lipbench import streams


def test_a_draw_depends_on_seed_stream_and_index_and_on_nothing_drawn_before():
    first = streams.Latents(8).draw(4, 0, "latents", 17, 2)
    torch.randn(100)
    assert torch.equal(first, streams.Latents(8).draw(4, 0, "latents", 17, 2))
    others = [
        streams.Latents(8).draw(4, 1, "latents", 17, 2),
        streams.Latents(8).draw(4, 0, "samples", 17, 2),
        streams.Latents(8).draw(4, 0, "latents", 17, 3),
        streams.Latents(8).draw(4, 0, "latents", 172),
    ]
    assert not any(torch.equal(first, other) for other in others)


def test_latents_are_standard_normal():
    drawn = streams.Latents(128).draw(2000, 0, "latents")
    assert abs(drawn.mean().item()) < 0.01
    assert abs(drawn.std().item() - 1) < 0.01
