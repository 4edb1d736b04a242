"""Kernel distances, classifier scores, modes and Parzen windows, by hand and by brute force."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import scipy.stats
import torch
from torch import Tensor
from torch_fidelity.metric_isc import isc_features_to_metric

from lipbench.errors import UserError
from lipbench.measure import Features, Real
from lipbench.measures._discrepancy import within
from lipbench.measures.classifier_score import ClassifierScore
from lipbench.measures.kernel_distance import KernelDistance, cubic
from lipbench.measures.mmd import Mmd, gaussians
from lipbench.measures.modes_covered import ModesCovered
from lipbench.measures.parzen import BANDWIDTHS, Parzen, window

MMD, PARZEN = Mmd(), Parzen()


def of_pooled(pooled: Tensor) -> Features:
    return Features(pooled, torch.zeros(len(pooled), 2))


def of_logits(logits: Tensor) -> Features:
    return Features(torch.zeros(len(logits), 2), logits)


ANY = Real(of_pooled(torch.rand(9, 2, generator=torch.Generator().manual_seed(0))))


def points(count: int, seed: int, shift: float = 0.0) -> Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(seed)) + shift


def direct(kernel: Callable[[Tensor, Tensor], float], fake: Tensor, real: Tensor) -> float:
    """The unbiased MMD² as Gretton et al. (2012, Eq. 3) write it: sums over pairs."""
    n, m = len(fake), len(real)
    first = sum(kernel(fake[i], fake[j]) for i in range(n) for j in range(n) if i != j)
    second = sum(kernel(real[i], real[j]) for i in range(m) for j in range(m) if i != j)
    cross = sum(kernel(x, y) for x in fake for y in real)
    return first / (n * (n - 1)) + second / (m * (m - 1)) - 2 * cross / (n * m)


def test_the_kernel_distance_of_two_points_is_solvable_by_hand() -> None:
    origin, ones = torch.zeros(8, 4), torch.ones(8, 4)  # k = 1 at the origin, (1 + 1)³ at ones
    options = {"subsets": 3, "subset_size": 8}
    assert KernelDistance(**options).value(
        of_pooled(origin), Real(of_pooled(ones))
    ) == pytest.approx(1 + 8 - 2)


def test_the_kernel_distance_of_whole_sets_is_the_unbiased_mmd() -> None:
    fake, real = points(12, 0), points(12, 1, shift=0.5)
    expected = direct(lambda x, y: (float(x @ y) / 4 + 1) ** 3, fake, real)
    options = {"subsets": 2, "subset_size": 12}
    ones = torch.ones(1, 12, dtype=torch.float64)
    assert KernelDistance(**options).value(
        of_pooled(fake), Real(of_pooled(real))
    ) == pytest.approx(expected)
    found = KernelDistance(**options).replicates(of_pooled(fake), Real(of_pooled(real)), ones)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_kernel_distances_of_one_law_lie_around_zero() -> None:
    options = {"subsets": 10, "subset_size": 60}
    real = Real(of_pooled(points(60, 0)))
    found = [
        KernelDistance(**options).value(of_pooled(points(60, seed)), real) for seed in range(1, 21)
    ]
    assert min(found) < 0 < max(found)


def test_a_draw_counts_an_image_as_often_as_it_holds_it_but_never_with_itself() -> None:
    images = points(5, 0)
    weights = torch.tensor([[2.0, 1, 0, 1, 1]], dtype=torch.float64)
    drawn = [0, 0, 1, 3, 4]
    pairs = [(i, j) for i in drawn for j in drawn if i != j]
    expected = sum(float(cubic(images[[i]], images[[j]])) for i, j in pairs) / len(pairs)
    assert within(cubic, images, weights).item() == pytest.approx(expected, rel=1e-5)


def test_more_images_than_a_block_give_the_same_mean_kernel() -> None:
    images = points(2300, 0)
    kernels = cubic(images.double(), images.double())
    expected = (kernels.sum() - kernels.diagonal().sum()) / (2300 * 2299)
    assert within(cubic, images).item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_mixture_mmd_is_the_pairs_sum() -> None:
    fake, real = points(9, 0), points(14, 1, shift=1.0)
    pairs = [math.dist(real[i], real[j]) for i in range(14) for j in range(i)]
    median = sorted(pairs)[(len(pairs) - 1) // 2]  # torch's median: the lower of two

    def kernel(x: Tensor, y: Tensor) -> float:
        square = math.dist(x, y) ** 2
        widths = [multiple * median for multiple in (0.25, 0.5, 1, 2, 4)]
        return sum(math.exp(-square / (2 * width**2)) for width in widths) / 5

    found = MMD.value(of_pooled(fake), Real(of_pooled(real)))
    assert found == pytest.approx(direct(kernel, fake, real), rel=1e-4)


def test_the_mixture_mmd_of_two_far_clusters_is_two() -> None:
    """Within a cluster of one point k is 1, between the two 0: 1 + 1 - 0, if widths are small."""
    line = torch.linspace(0, 1e-3, 10)[:, None]
    found = MMD.value(of_pooled(torch.full((5, 1), 1e4)), Real(of_pooled(line)))
    kernel = float(within(lambda x, y: gaussians(x, y, 1e-3 * 10 / 27), line))
    assert 1 < found < 2
    assert found == pytest.approx(1 + kernel, abs=0.2)


def test_scaling_all_features_leaves_the_mixture_mmd() -> None:
    fake, real = points(30, 0), points(40, 1, shift=0.5)
    first, second = (
        MMD.value(of_pooled(scale * fake), Real(of_pooled(scale * real))) for scale in (1, 50)
    )
    assert first == pytest.approx(second, rel=1e-4)


def test_real_images_that_are_all_alike_leave_an_mmd_no_width() -> None:
    with pytest.raises(UserError, match="real images that differ; of 6, half the pairs do not"):
        MMD.value(of_pooled(points(6, 0)), Real(of_pooled(torch.ones(6, 4))))


def test_confident_and_diverse_predictions_score_the_number_of_classes() -> None:
    one_hot = 100 * torch.eye(10).repeat(7, 1)
    assert ClassifierScore(splits=1).value(of_logits(one_hot), ANY) == pytest.approx(10)
    two = of_logits(one_hot[one_hot.argmax(1) < 2])
    assert ClassifierScore(splits=1).value(two, ANY) == pytest.approx(2)


def test_undecided_or_equal_predictions_score_one() -> None:
    assert ClassifierScore(splits=5).value(of_logits(torch.zeros(50, 10)), ANY) == pytest.approx(1)
    equal = torch.eye(10)[:1].repeat(50, 1)
    assert ClassifierScore(splits=5).value(of_logits(equal), ANY) == pytest.approx(1)


def test_predictions_without_any_doubt_have_a_finite_score_on_every_draw() -> None:
    certain = of_logits(1e4 * torch.eye(4).repeat(5, 1))
    weights = torch.ones(1, 20, dtype=torch.float64)
    weights[:, ::4] = 0  # a class that the draw does not hold
    assert ClassifierScore(splits=1).replicates(certain, ANY, weights).item() == pytest.approx(3)


@pytest.mark.parametrize("splits", [1, 10])
def test_the_classifier_score_is_torch_fidelitys(splits: int) -> None:
    logits = 3 * torch.randn(205, 7, generator=torch.Generator().manual_seed(0))
    expected = isc_features_to_metric(logits, splits, shuffle=True, rng_seed=2020)
    found = ClassifierScore(splits=splits).value(of_logits(logits), ANY)
    assert found == pytest.approx(expected["inception_score_mean"], rel=1e-12)
    ones = torch.ones(1, 205, dtype=torch.float64)
    drawn = ClassifierScore(splits=splits).replicates(of_logits(logits), ANY, ones)
    assert drawn.item() == pytest.approx(found, rel=1e-12)


def test_sorted_fakes_are_shuffled_before_they_are_split() -> None:
    one_hot = of_logits(100 * torch.eye(5).repeat_interleave(40, 0))
    assert ClassifierScore(splits=5).value(one_hot, ANY) > 4.5  # 1 where each split held one class


def test_a_mode_needs_its_share_of_confident_images() -> None:
    logits = torch.zeros(200, 10)
    logits[:196, 0] = 9.0  # surely a 0
    logits[196:198, 1] = 9.0  # 1% of the images: enough
    logits[198:199, 2] = 9.0  # half a percent: too few
    logits[199:, 3] = 2.0  # not confident
    options = {"probability": 0.9, "share": 0.01}
    assert ModesCovered(**options).value(of_logits(logits), ANY) == 2
    assert ModesCovered(**{**options, "share": 0.005}).value(of_logits(logits), ANY) == 3
    doubled = torch.ones(1, 200, dtype=torch.float64)
    doubled[0, 0], doubled[0, 198] = 0, 2  # the draw holds the lone 2 twice: 1%
    assert ModesCovered(**options).replicates(of_logits(logits), ANY, doubled).item() == 3


def test_an_image_is_confident_from_the_probability_on() -> None:
    odds = torch.zeros(100, 2)
    odds[:, 0] = torch.tensor(0.91 / 0.09).log()
    options = {"probability": 0.9, "share": 0.01}
    assert ModesCovered(**options).value(of_logits(odds), ANY) == 1
    odds[:, 0] = torch.tensor(0.89 / 0.11).log()
    assert ModesCovered(**options).value(of_logits(odds), ANY) == 0


def test_a_window_of_one_fake_is_its_gaussian() -> None:
    centre, point = torch.tensor([[0.2, 0.4]]), torch.tensor([[0.5, 0.8]])
    expected = -(0.5**2) / (2 * 0.1**2) - 2 * math.log(0.1 * math.sqrt(2 * math.pi))
    assert window(centre, point, (0.1,)).item() == pytest.approx(expected, rel=1e-6)


def test_a_window_is_the_mixture_that_scipy_sums() -> None:
    centres, tested = torch.rand(2, 30, 3, generator=torch.Generator().manual_seed(0))
    gaussians = [scipy.stats.multivariate_normal(c, 0.2**2) for c in centres.double().numpy()]
    densities = sum(gaussian.pdf(tested.double().numpy()) for gaussian in gaussians) / 30
    expected = torch.from_numpy(densities).log()
    torch.testing.assert_close(window(centres, tested, (0.2,))[0], expected)


def test_the_window_takes_the_width_under_which_training_images_are_likeliest() -> None:
    noise = torch.randn(3, 400, 2, generator=torch.Generator().manual_seed(0))
    fake, real, training = (
        (0.5 + scale * noise[i]).clamp(0, 1) for i, scale in enumerate((0.02, 0.03, 0.1))
    )
    reference = Real(of_pooled(real), training=of_pooled(training))
    of_training, of_real = (
        {width: window(fake, images, (width,)).mean().item() for width in BANDWIDTHS}
        for images in (training, real)
    )
    best = max(of_training, key=of_training.__getitem__)
    assert 0.07 < best < 0.14  # 0.02 widened by about 0.1 is what training images were drawn by
    assert of_real[best] < max(of_real.values()) - 0.1
    assert PARZEN.value(of_pooled(fake), reference) == pytest.approx(of_real[best], rel=1e-6)


def test_a_window_over_what_are_no_pixels_is_refused() -> None:
    pixels = of_pooled(torch.tensor([[0.0], [255.0]]))
    with pytest.raises(UserError, match=r"pixels in \[0, 1\]; it was given values from 0 to 255"):
        PARZEN.value(pixels, Real(ANY.features, training=ANY.features))
