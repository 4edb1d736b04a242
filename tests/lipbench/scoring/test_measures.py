"""What all measures keep to, and torch-fidelity's own way to the same numbers."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
import torch_fidelity
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from lipbench.errors import UserError
from lipbench.measure import Features, Mean, Measure, NonFiniteFeatures, Real
from lipbench.planning import parts
from lipbench.plugins import Plugins
from lipbench.protocols import PROTOCOLS, SCORES
from lipbench.protocols.record import NO_EXTRACTOR
from lipbench.scoring.bootstrap import standard_error
from lipbench.scoring.collapse import collapsed
from lipbench.scoring.extractors import EXTRACTORS

PLUGINS = Plugins()
MEASURES = PLUGINS.measures.plugins
OPTIONS: dict[str, dict[str, float]] = {
    "frechet_distance_infinity": {"points": 5},
    "kernel_distance": {"subsets": 7, "subset_size": 40},
    "classifier_score": {"splits": 3},
    "precision": {"neighbours": 3},
    "recall": {"neighbours": 3},
    "density": {"neighbours": 5},
    "coverage": {"neighbours": 5},
    "modes_covered": {"probability": 0.9, "share": 0.01},
}


def of(name: str, options: dict[str, float] | None = None) -> Measure:
    """Return a measure with options that suit the sets below."""
    return parts.measure(name, OPTIONS.get(name, {}) if options is None else options, PLUGINS)


def drawn(count: int, seed: int, dimension: int = 6, shift: float = 0.0) -> Features:
    """Features in [0, 1], as the Parzen window needs them, and logits that are sure of little."""
    generator = torch.Generator().manual_seed(seed)
    pooled = (torch.randn(count, dimension, generator=generator) / 9 + 0.5 + shift).clamp(0, 1)
    logits = 2 * torch.randn(count, 5, generator=generator)
    return Features(pooled, logits, torch.arange(count) % 5)


@pytest.fixture(scope="module")
def real() -> Real:
    return Real(drawn(150, 0), training=drawn(90, 1), labels=torch.arange(150) % 5)


@pytest.fixture(scope="module")
def fake() -> Features:
    return drawn(120, 2, shift=0.05)


def cut(real: Real) -> Real:
    """Return as many real images as there are fake ones."""
    return Real(real.features.at(slice(120)))


def test_every_protocol_names_measures_and_an_extractor_that_exist() -> None:
    assert {score.measure for score in SCORES.values()} <= set(MEASURES)
    assert {protocol.extractor for protocol in PROTOCOLS.values()} == {*EXTRACTORS, NO_EXTRACTOR}


@pytest.mark.parametrize("name", MEASURES)
def test_counts_of_one_give_the_value(name: str, fake: Features, real: Real) -> None:
    measure = of(name)
    count = 120 if measure.resamples == "fake" else 150
    if name == "kernel_distance":  # whose replicates are the full sample's
        measure = of(name, {"subsets": 1, "subset_size": 120})
    if name in ("kernel_distance", "wasserstein"):
        real = cut(real)
    replicates = measure.replicates(fake, real, torch.ones(2, count).double())
    expected = measure.value(fake, real)
    assert replicates.dtype == torch.float64
    assert replicates.tolist() == pytest.approx([expected] * 2, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", MEASURES)
def test_the_order_of_images_matters_little(name: str, fake: Features, real: Real) -> None:
    """A set that is sorted by class must not lose its last classes to a subset."""
    real = cut(real) if name == "wasserstein" else real
    order = fake.pooled[:, 0].argsort()
    ordered = fake.at(order)
    value, again = (of(name).value(features, real) for features in (fake, ordered))
    tolerance = {"frechet_distance_infinity": 0.5, "kernel_distance": 0.3, "classifier_score": 0.1}
    assert again == pytest.approx(value, rel=tolerance.get(name, 1e-5))


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("field", ["pooled", "logits"])
def test_features_that_are_not_finite_are_never_scored(
    name: str, field: str, fake: Features, real: Real
) -> None:
    measure = of(name)
    values = getattr(fake, field).clone()
    values[3, 1] = torch.nan
    spoilt = fake._replace(**{field: values})
    ones = torch.ones(1, 120 if measure.resamples == "fake" else 150).double()
    message = f"1 of 120 images have inf or nan in {field}"
    with pytest.raises(NonFiniteFeatures, match=message):
        measure.value(spoilt, real)
    with pytest.raises(NonFiniteFeatures, match=message):
        measure.replicates(spoilt, real, ones)


def test_real_features_that_are_not_finite_are_refused_at_once(real: Real) -> None:
    spoilt = Features(torch.full((4, 2), torch.inf), torch.zeros(4, 2))
    with pytest.raises(NonFiniteFeatures):
        Real(spoilt)
    with pytest.raises(NonFiniteFeatures):
        Real(real.features, training=spoilt)


@pytest.mark.parametrize("name", MEASURES)
def test_scoring_prints_nothing(
    name: str, fake: Features, real: Real, capfd: pytest.CaptureFixture[str]
) -> None:
    of(name).value(real.features, real)  # a KID below 0 among them
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("kernel_distance", {"subsets": 7, "subset_size": 121}, "subsets of 121 .* 120 given"),
        ("kernel_distance", {"subsets": 0}, "subsets: got 0; .* greater than or equal to 1"),
        (
            "kernel_distance",
            {"subset_size": 1},
            "subset_size: got 1; .* greater than or equal to 2",
        ),
        ("classifier_score", {"splits": 61}, "61 splits needs 122 images or more, not 120"),
        ("classifier_score", {"splits": 1.5}, r"splits: got 1\.5; .* a valid integer"),
        ("precision", {"neighbours": 11}, "got 11; .* less than or equal to 10"),
        ("recall", {"neighbours": 0}, "neighbours: got 0; .* greater than or equal to 1"),
        ("modes_covered", {"share": 2}, "share: got 2; .* less than or equal to 1"),
        ("frechet_distance_infinity", {"points": 2}, "points: got 2; .* or equal to 3"),
        (
            "frechet_distance",
            {"points": 6},
            "measure 'frechet_distance': no option called 'points'",
        ),
    ],
)
def test_options_that_cannot_be_are_answered_with_the_numbers_needed(
    name: str, options: dict[str, float], message: str, fake: Features, real: Real
) -> None:
    with pytest.raises(UserError, match=message):
        of(name, options).value(fake, real)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("frechet_distance", "on 6 features needs more than 6 .* one set has 4"),
        ("frechet_distance_infinity", r"on 6 features needs 20 real .* smaller set has 4"),
        ("precision", "3 neighbours need 4 real .* smaller set has 3"),
        ("density", "5 neighbours need 6 real .* smaller set has 4"),
        ("mmd", "2 generated images or more, not 1"),
    ],
)
def test_too_few_images_are_answered_with_the_numbers_needed(
    name: str, message: str, real: Real
) -> None:
    count = {"precision": 3, "mmd": 1}.get(name, 4)
    with pytest.raises(UserError, match=message):
        of(name).value(drawn(count, 3), real)


@pytest.mark.parametrize("name", ["authenticity", "parzen"])
def test_what_compares_with_training_images_says_that_it_needs_them(
    name: str, fake: Features, real: Real
) -> None:
    with pytest.raises(UserError, match=f"{name} needs features of training images"):
        of(name).value(fake, Real(real.features))


def test_the_standard_error_of_a_mean_is_the_analytic_one(real: Real) -> None:
    fake = drawn(400, 3)

    class First(Mean):
        def per_image(self, fake: Features, real: Real) -> Tensor:
            return fake.pooled[:, 0]

    generator = torch.Generator().manual_seed(0)
    found = standard_error(First(), fake, real, 2000, generator)
    assert found == pytest.approx(fake.pooled[:, 0].std().item() / 400**0.5, rel=0.05)


def test_a_standard_error_draws_from_the_side_that_the_measure_names(real: Real) -> None:
    seen = []

    class OfFakes(Measure):
        def replicates(self, fake: Features, real: Real, counts: Tensor) -> Tensor:
            seen.append(counts)
            return counts[:, 0]

    class OfReal(OfFakes):
        resamples = "real"

    generator = torch.Generator().manual_seed(0)
    for measure in (OfFakes(), OfReal()):
        standard_error(measure, drawn(30, 0), real, 4, generator)
    assert [weights.shape for weights in seen] == [(4, 30), (4, 150)]
    assert all((weights.sum(dim=1) == weights.shape[1]).all() for weights in seen)
    assert not seen[0][0].equal(seen[0][1])


def test_a_standard_error_is_a_function_of_its_generator(fake: Features, real: Real) -> None:
    first, again, other = (
        standard_error(of("mmd"), fake, real, 20, torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    )
    assert first == again != other


def test_one_replicate_has_no_spread(fake: Features, real: Real) -> None:
    with pytest.raises(UserError, match="2 bootstrap replicates or more, not 1"):
        standard_error(of("mmd"), fake, real, 1, torch.Generator())


@pytest.mark.parametrize(
    "name", ["frechet_distance", "frechet_distance_infinity", "kernel_distance", "mmd",
             "classifier_score", "precision", "density"]
)  # fmt: skip
def test_a_standard_error_foretells_the_spread_over_fresh_fakes(name: str, real: Real) -> None:
    measure = of(name, {"subsets": 20, "subset_size": 100} if name == "kernel_distance" else None)
    fresh = [measure.value(drawn(120, seed, shift=0.08), real) for seed in range(40)]
    foretold = standard_error(
        measure, drawn(120, 99, shift=0.08), real, 300, torch.Generator().manual_seed(0)
    )
    scored = torch.tensor([value for value in fresh if not math.isnan(value)])
    assert len(scored) > 30  # an extrapolation may be refused
    assert 0.7 < foretold / scored.std().item() < 1.4


def test_what_real_images_give_is_computed_once(real: Real) -> None:
    calls = itertools.count()

    def quantity(real: Real) -> int:
        return next(calls)

    def other(real: Real) -> str:
        return "another"

    mine = Real(real.features)
    assert [mine.of(quantity), mine.of(quantity), mine.of(other)] == [0, 0, "another"]
    assert Real(real.features).of(quantity) == 1


def test_what_a_pair_gives_is_computed_again_for_other_fakes(real: Real, fake: Features) -> None:
    calls = itertools.count()

    def quantity(fake: Tensor, real: Real) -> int:
        return next(calls)

    copy = fake.pooled.clone()
    found = [real.with_fake(x, quantity) for x in (fake.pooled, fake.pooled, copy, fake.pooled)]
    assert found == [0, 0, 1, 2]


def test_collapse_is_a_variance_below_a_share_of_the_real_one() -> None:
    pooled = torch.randn(500, 8, generator=torch.Generator().manual_seed(0))
    real = Real(Features(pooled, pooled))
    for scale, expected in ((0.30, False), (0.22, True), (0.15, True), (0.0, True)):
        assert collapsed(Features(scale * pooled, pooled), real, 0.05) == expected


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
    settings: dict[str, Any] = {"isc_splits": 3, "kid_subsets": 7, "kid_subset_size": 40}
    with torch.random.fork_rng(devices=[]):
        theirs = torch_fidelity.calculate_metrics(
            input1=Images(fake),
            input2=Images(real),
            feature_extractor="lipbench-stand-in",
            isc=True,
            fid=True,
            kid=True,
            prc=True,
            cuda=False,
            cache=False,
            save_cpu_ram=True,
            verbose=False,
            **settings,
        )
    extractor = StandIn("mine", ["pooled", "logits"])
    mine = {
        name: of(name).value(Features(*extractor(fake)), Real(Features(*extractor(real))))
        for name in (
            "frechet_distance", "kernel_distance", "classifier_score", "precision", "recall"
        )
    }  # fmt: skip
    expected = {
        "frechet_distance": theirs["frechet_inception_distance"],
        "kernel_distance": theirs["kernel_inception_distance_mean"],
        "classifier_score": theirs["inception_score_mean"],
        "precision": theirs["precision"],
        "recall": theirs["recall"],
    }
    assert mine == pytest.approx(expected, rel=1e-6)
    assert 0 < mine["precision"] < 1
    assert 0 < mine["recall"] < 1
