"""Scores small enough to solve by hand, and torch-fidelity's own way to the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch_fidelity
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from lipbench.protocols import PROTOCOLS, SCORES
from lipbench.scoring.extractors import EXTRACTORS
from lipbench.scoring.features import Features
from lipbench.scoring.measures import (
    MEASURES,
    classifier_score,
    collapsed,
    frechet_distance,
    kernel_distance,
    modes_covered,
    statistics,
)


def test_every_protocol_names_measures_and_an_extractor_that_exist() -> None:
    assert {score.measure for score in SCORES.values()} == set(MEASURES)
    assert {protocol.extractor for protocol in PROTOCOLS.values()} == set(EXTRACTORS)


def test_the_frechet_distance_of_diagonal_gaussians_is_solvable_by_hand() -> None:
    mean1, mean2 = np.float32([0, 1, 0]), np.float32([0, 3, 0])
    distance = frechet_distance(mean1, np.diag([1.0, 4, 0]), mean2, np.diag([9.0, 4, 16]))
    assert distance == pytest.approx(2**2 + (1 - 3) ** 2 + 0 + 4**2)


def test_the_kernel_distance_of_two_points_is_solvable_by_hand() -> None:
    origin, ones = torch.zeros(8, 4), torch.ones(8, 4)  # k = 1 at the origin, (1 + 1)³ at ones
    assert kernel_distance(origin, ones, 3, 8) == pytest.approx(1 + 8 - 2 * 1)


def test_confident_and_diverse_predictions_score_the_number_of_classes() -> None:
    one_hot = 100 * torch.eye(10).repeat(7, 1)
    assert classifier_score(one_hot) == pytest.approx(10)
    assert classifier_score(one_hot[one_hot.argmax(1) < 2]) == pytest.approx(2)


def test_undecided_or_equal_predictions_score_one() -> None:
    assert classifier_score(torch.zeros(50, 10)) == pytest.approx(1)
    assert classifier_score(torch.eye(10)[:1].repeat(50, 1)) == pytest.approx(1)


def test_a_mode_needs_one_percent_of_confident_images() -> None:
    logits = torch.zeros(200, 10)
    logits[:196, 0] = 9.0  # surely a 0
    logits[196:198, 1] = 9.0  # 1% of the images: enough
    logits[198:199, 2] = 9.0  # half a percent: too few
    logits[199:, 3] = 2.0  # not confident
    assert modes_covered(logits) == 2


def test_an_image_is_confident_from_nine_tenths_on() -> None:
    odds = torch.zeros(100, 2)
    odds[:, 0] = torch.tensor(0.91 / 0.09).log()
    assert modes_covered(odds) == 1
    odds[:, 0] = torch.tensor(0.89 / 0.11).log()
    assert modes_covered(odds) == 0


def test_collapse_is_a_variance_below_a_share_of_the_real_one() -> None:
    real = torch.randn(500, 8, generator=torch.Generator().manual_seed(0))
    moments = statistics(real, keep_features=False)
    for scale, expected in ((0.30, False), (0.22, True), (0.15, True), (0.0, True)):
        assert collapsed(Features(scale * real, real), moments, 0.05) == expected


class StandIn(FeatureExtractorBase):  # type: ignore[misc]
    """A fixed random projection of the pixels, in torch-fidelity's form."""

    def __init__(self, name: str, features_list: list[str], **keywords: Any) -> None:
        super().__init__(name, features_list)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(0)
        flat = images.flatten(1).float() / 255
        pooled = (flat @ torch.randn(flat.shape[1], 12, generator=generator)).relu()
        outputs = {"pooled": pooled, "logits": pooled[:, :5]}
        return tuple(outputs[name] for name in self.features_list)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return "pooled", "logits"

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return {"isc": "logits"}.get(metric, "pooled")

    @staticmethod
    def can_be_compiled() -> bool:
        return False


class Images(torch.utils.data.Dataset[Tensor]):
    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]


def test_the_scores_are_those_of_calculate_metrics() -> None:
    generator = torch.Generator().manual_seed(1)
    fake = torch.randint(0, 200, (90, 3, 8, 8), generator=generator, dtype=torch.uint8)
    real = torch.randint(0, 256, (120, 3, 8, 8), generator=generator, dtype=torch.uint8)
    torch_fidelity.register_feature_extractor("lipbench-stand-in", StandIn)
    settings: dict[str, Any] = {"isc_splits": 1, "kid_subsets": 7, "kid_subset_size": 40}
    with torch.random.fork_rng(devices=[]):
        theirs = torch_fidelity.calculate_metrics(
            input1=Images(fake),
            input2=Images(real),
            feature_extractor="lipbench-stand-in",
            isc=True,
            fid=True,
            kid=True,
            cuda=False,
            cache=False,
            save_cpu_ram=True,
            verbose=False,
            **settings,
        )
    extractor = StandIn("mine", ["pooled", "logits"])
    (fake_pooled, fake_logits), (real_pooled, _) = extractor(fake), extractor(real)
    first, second = (statistics(pooled, True) for pooled in (real_pooled, fake_pooled))
    fid = frechet_distance(first.mean, first.covariance, second.mean, second.covariance)
    assert fid == pytest.approx(theirs["frechet_inception_distance"], rel=1e-6)
    kid = kernel_distance(real_pooled, fake_pooled, 7, 40)
    assert kid == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-6)
    score = classifier_score(fake_logits)
    assert score == pytest.approx(theirs["inception_score_mean"], rel=1e-9)


def test_scoring_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    points = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    assert kernel_distance(points, points, 2, 10) < 1  # torch-fidelity remarks on negative ones
    assert capfd.readouterr() == ("", "")
