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


def test_labels_stand_beside_latents_and_change_none_of_them():
    plain, with_labels = streams.Latents(8), streams.Latents(8, classes=3)
    drawn = with_labels.draw(50, 0, "latents", 17, 2)
    assert drawn.shape == (50, 9)
    assert torch.equal(drawn[:, :8], plain.draw(50, 0, "latents", 17, 2))
    labels = with_labels.labels(drawn)
    assert set(labels.tolist()) == {0, 1, 2}
    assert torch.equal(labels, with_labels.labels(with_labels.draw(50, 0, "latents", 17, 2)))
    assert plain.labels(plain.draw(50, 0, "latents")) is None


def test_labels_have_the_shares_of_the_data_or_are_those_given():
    skewed = streams.Latents(2, classes=3, shares=(0.75, 0.0, 0.25))
    counts = skewed.labels(skewed.draw(10_000, 0, "latents")).bincount(minlength=3)
    assert counts[1] == 0
    assert abs(counts[0].item() / 10_000 - 0.75) < 0.02  # 4.6 standard errors
    asked = torch.tensor([2, 2, 1])
    assert torch.equal(skewed.labels(skewed.draw(3, 0, "latents", labels=asked)), asked)
