"""Real images made worse step by step: which scores tell, and which do not.

On the digits, by our classifier's features: another extractor sees other things.
`benchmarks/degradations.py`, whose steps these are, prints such a table for any images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice, pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.degradations import (
    BLURS,
    COLUMNS,
    DROPPED,
    NOISES,
    Pool,
    blurred,
    compressed,
    noisy,
    pools,
    repeated,
    rows,
    table,
    without_classes,
)
from lipbench.data import Dataset
from lipbench.measure import Real
from lipbench.protocols import protocol
from lipbench.scoring import extractors
from lipbench.scoring.features import Extractor, extract

COUNT = 400

Rank = Callable[[Sequence[Tensor]], dict[str, list[float]]]


@pytest.fixture(scope="module")
def sets(digits: Dataset) -> tuple[Tensor, Pool, Tensor]:
    return pools(digits, COUNT)


@pytest.fixture(scope="module")
def extractor(cpu: torch.device) -> Extractor:
    return extractors.load(protocol("digits"), Path()).to(cpu)


@pytest.fixture(scope="module")
def reference(sets: tuple[Tensor, Pool, Tensor], extractor: Extractor) -> Real:
    real, _, training = sets
    return Real(extract(extractor, real), training=extract(extractor, training))


@pytest.fixture
def score(reference: Real, extractor: Extractor) -> Rank:
    """What each set of images scores, by column of the benchmark's table."""

    def scores(sets_of_images: Sequence[Tensor]) -> dict[str, list[float]]:
        fakes = [extract(extractor, images) for images in sets_of_images]
        return {
            column: [measure.value(fake, reference) for fake in fakes]
            for column, measure in COLUMNS.items()
        }

    return scores


def rises(values: Sequence[float]) -> bool:
    return all(a < b for a, b in pairwise(values))


def falls(values: Sequence[float]) -> bool:
    return rises([-value for value in values])


def test_the_three_sets_share_no_image_and_hold_all_classes(
    digits: Dataset, sets: tuple[Tensor, Pool, Tensor]
) -> None:
    real, source, training = sets
    assert len(real) == len(training) == COUNT
    assert len(source.images) == len(digits.train) - COUNT
    known = {image.numpy().tobytes() for image in training}
    assert not known & {image.numpy().tobytes() for image in source.images}
    assert source.labels[:COUNT].unique().tolist() == list(range(10))  # not sorted by class


def test_blur_is_ranked(sets: tuple[Tensor, Pool, Tensor], score: Rank) -> None:
    fakes = sets[1].images[:COUNT]
    found = score([fakes, *(blurred(fakes, sigma) for sigma in BLURS)])
    assert rises(found["FD"])
    assert rises(found["KD x 1000"])
    assert falls(found["recall"])
    # Precision and density fail: slightly blurred digits are nearer to the middle of real ones.
    assert found["precision"][1] > found["precision"][0]
    assert found["density"][1] > found["density"][0]


def test_noise_is_ranked(sets: tuple[Tensor, Pool, Tensor], score: Rank) -> None:
    fakes = sets[1].images[:COUNT]
    found = score([fakes, *(noisy(fakes, sigma) for sigma in NOISES[1:])])
    assert rises(found["FD"])
    assert rises(found["KD x 1000"])
    assert falls(found["recall"])
    assert falls(found["precision"])
    assert rises(found["authenticity"])  # which is why it is no measure of quality


def test_compression_is_ranked_only_where_it_shows(
    sets: tuple[Tensor, Pool, Tensor], score: Rank
) -> None:
    fakes = sets[1].images[:COUNT]
    found = score([fakes, *(compressed(fakes, quality) for quality in (50, 20, 10, 5, 1))])
    for name in ("FD", "KD x 1000"):
        assert rises(found[name][2:])
    # Recall fails: it sees the strongest only.
    assert found["recall"][-1] < min(found["recall"][:-1])
    # No score tells a quality of 50 from none: differences are below their standard errors.
    assert found["FD"][1] == pytest.approx(found["FD"][0], rel=0.1)


def test_missing_classes_are_ranked(sets: tuple[Tensor, Pool, Tensor], score: Rank) -> None:
    source, count = sets[1], 230  # of the last three classes there are no more
    found = score([without_classes(source, dropped, count) for dropped in (0, *DROPPED)])
    assert rises(found["FD"])
    assert rises(found["KD x 1000"])
    assert falls(found["recall"])
    assert falls(found["coverage"])
    assert min(found["precision"]) > 0.85  # what is left is as good as before


def test_memorised_images_are_ranked(sets: tuple[Tensor, Pool, Tensor], score: Rank) -> None:
    source, training = sets[1].images, sets[2]
    levels = (COUNT, COUNT // 2, COUNT // 4, COUNT // 20, 1)
    found = score([source[:COUNT], *(repeated(training, different) for different in levels)])
    assert rises(found["FD"][1:])
    # The kernel distance fails: it sees which images are repeated before it sees how few they are.
    assert rises(found["KD x 1000"][-2:])
    assert falls(found["coverage"][1:])
    assert falls(found["recall"][1:4])
    assert found["recall"][4:] == [0, 0]
    # All of the training set, copied: only the authenticity tells it from fresh images.
    assert found["FD"][1] < 1.5 * found["FD"][0]
    assert found["recall"][1] > 0.9 * found["recall"][0]
    assert found["authenticity"][0] > 0.4
    assert found["authenticity"][1:] == [0] * 5
    # Precision takes them for better than fresh ones.
    assert min(found["precision"][2:]) > found["precision"][0]


def test_the_table_has_a_line_for_each_set(
    sets: tuple[Tensor, Pool, Tensor], reference: Real, extractor: Extractor
) -> None:
    head, real, weakest = islice(table(sets[1], sets[2], reference, extractor), 3)
    assert head.split()[:2] == ["images", "FD"]
    assert real.split()[:2] == ["real", str(COUNT)]
    assert weakest.startswith("blur 0.5")
    assert len(head) == len(real) == len(weakest)
    assert len(list(rows(sets[1], sets[2]))) == 1 + 5 + 4 + 4 + 4 + 5
