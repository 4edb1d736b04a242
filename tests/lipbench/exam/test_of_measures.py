"""Every installed measure passes the exam's cases, and each case finds what it is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import torch
from annotated_types import Ge

from lipbench import exam
from lipbench.exam import of_measures
from lipbench.exam.of_measures import ExaminedMeasure
from lipbench.measure import Features, Mean, Measure, Real, require_finite
from lipbench.planning import parts
from lipbench.plugins import Plugins

PLUGINS = Plugins()
SMALLER = {"kernel_distance": {"subsets": 20, "subset_size": 60}}  # subsets of few images


@pytest.mark.parametrize("case", of_measures.CASES, ids=exam.title)
@pytest.mark.parametrize("name", PLUGINS.measures.plugins)
def test_a_measure_passes_the_exam(name, case):
    assert case(ExaminedMeasure(parts.measure(name, SMALLER.get(name, {}), PLUGINS)))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("frechet_distance", 0), ("precision", 1), ("recall", 1), ("coverage", 1),
        ("kernel_distance", 0), ("mmd", 0),
    ],
)  # fmt: skip
def test_a_set_against_itself_has_the_best_value(name, expected):
    subject = ExaminedMeasure(parts.measure(name, SMALLER.get(name, {}), PLUGINS))
    real = subject.sets().real
    # Unbiased discrepancies of a set and itself are a little below 0.
    assert subject.measure.value(real.features, real) == pytest.approx(expected, abs=0.01)


@dataclass(frozen=True)
class Distance(Measure):
    """The distance of the means: a sound measure, which the cases below spoil."""

    title = "distance"
    description = "Distance of the means of the {features}"
    higher_is_better = False

    least: Annotated[int, Ge(1)] = 2

    def value(self, fake, real):
        return self.replicates(fake, real, torch.ones(1, len(fake.pooled)).double()).item()

    def replicates(self, fake, real, counts):
        require_finite(fake)
        means = counts @ fake.pooled.double() / counts.sum(dim=1, keepdim=True)
        return (means - real.features.pooled.double().mean(dim=0)).norm(dim=1)


class Backwards(Distance):
    higher_is_better = True


class Sorted(Distance):
    def value(self, fake, real):
        return super().value(Features(fake.pooled[:50], fake.logits[:50]), real)


class Single(Distance):
    def replicates(self, fake, real, counts):
        return super().replicates(fake, real, counts).float()


class Biased(Distance):
    def replicates(self, fake, real, counts):
        return super().replicates(fake, real, counts) + (len(counts) > 1)


class Careless(Distance):
    def fewest(self, features):
        return 9, "it says so"


class Blind(Distance):
    def replicates(self, fake, real, counts):
        pooled = fake.pooled.nan_to_num()
        return super().replicates(Features(pooled, pooled), real, counts)


class Changing(Distance):
    def value(self, fake, real):
        fake.pooled.add_(1)
        return super().value(fake, real)


def test_a_sound_measure_passes_and_a_spoilt_one_is_told_why():
    def failed(measure: Measure) -> dict[str, str]:
        return {line.case: line.measured for line in exam.examine(measure) if not line.passed}

    assert failed(Distance()) == {}
    told = {cls: failed(cls()) for cls in Distance.__subclasses__()}
    assert {cls.__name__: [*cases] for cls, cases in told.items()} == {
        "Backwards": ["a set against itself is no worse than one moved away"],
        "Sorted": ["the order of images matters little", "counts of one give its value"],
        "Single": ["counts of one give its value"],
        "Biased": ["counts of one give its value"],
        "Careless": ["it needs the images that it says"],
        "Blind": ["features that are not finite are never scored"],
        "Changing": ["it gives a number", "counts of one give its value"],
    }
    assert "say higher_is_better = False" in next(iter(told[Backwards].values()))
    assert "float32, not float64" in next(iter(told[Single].values()))
    assert "it needs 9 images and takes 8" in next(iter(told[Careless].values()))


def test_a_mean_of_values_has_the_replicates_of_its_values():
    class First(Mean):
        higher_is_better = True

        def per_image(self, fake, real):
            return fake.pooled[:, 0]

    fake = Features(torch.tensor([[1.0], [2.0], [6.0]]), torch.zeros(3, 1))
    counts = torch.tensor([[1.0, 1, 1], [3, 0, 0], [0, 1, 1]], dtype=torch.float64)
    assert First().value(fake, Real(fake)) == 3
    assert First().replicates(fake, Real(fake), counts).tolist() == [3, 1, 4]
