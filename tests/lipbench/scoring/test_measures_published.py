"""The published score's path, with random weights of the real architecture: no download here."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch_fidelity.metric_isc import isc_features_to_metric

from benchmarks import published
from benchmarks.scoring import random_inception
from lipbench.scoring import inception
from lipbench.scoring.features import extract


@pytest.mark.slow  # Inception takes long to initialise
def test_the_score_is_torch_fidelitys_of_the_same_images(cpu: torch.device) -> None:
    extractor = inception.build(random_inception()).to(cpu)
    images = torch.randint(0, 256, (20, 32, 32, 3), dtype=torch.uint8)
    logits = extract(extractor, images.permute(0, 3, 1, 2)).logits
    expected = isc_features_to_metric(logits, splits=10)["inception_score_mean"]
    assert published.inception_score(extractor, images) == pytest.approx(expected, rel=1e-9)


def test_only_a_score_as_published_is_a_success() -> None:
    assert published.verdict(11.23678)[0] == published.verdict(11.2402)[0] == 0
    for other in (11.25, 11.2, 1.0, float("nan")):
        code, sentence = published.verdict(other)
        assert code == 1
        assert "NOT within" in sentence


def test_other_weights_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.pth"
    other.write_bytes(b"not these")
    arguments = ["--inception-weights", str(other), "--cifar10", str(tmp_path)]
    assert published.main(arguments) == 2
    assert "scores are only defined on the latter" in capsys.readouterr().err
