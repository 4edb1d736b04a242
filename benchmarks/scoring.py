"""Time the scores beside the extractor's forward pass, and beside torch-fidelity's.

    python -m benchmarks.scoring [--count 10000] [--rounds 5] [--images 64] [--threads 1]

Four tables, in one process. (1) The Frechet distance at 2048 features of full rank against the
eigenvalues of the covariances' product, which torch-fidelity takes, interleaved: a round times
both, and a ratio is of one round. (2) FID, IS and KID of `--count` fakes from given features, the
real side known, against the forward pass of as many images; the pass is measured on `--images`
images and extrapolated. (3) Every measure and its standard error (200 draws). (4) Extraction and
scores of `--images` images against `torch_fidelity.calculate_metrics`, interleaved. Inception has
random weights in the real architecture, since only time is asked for, so (1) to (3) score random
features and (4) numbers without meaning. EfficientNet-Lite0 is the protocol `offline`'s.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import torch_fidelity
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from lipbench.measure import Features, Measure, Real
from lipbench.measures._frechet import distance_to, fit, moments
from lipbench.paths import cache_root
from lipbench.planning import parts
from lipbench.plugins import Plugins
from lipbench.protocols import protocol
from lipbench.scoring import extractors, inception
from lipbench.scoring.bootstrap import standard_error
from lipbench.scoring.features import Extractor, extract

DIMENSION, CLASSES = 2048, 1008  # Inception's
TRIO: dict[str, dict[str, float]] = {
    "frechet_distance": {},
    "classifier_score": {"splits": 10},
    "kernel_distance": {"subsets": 100, "subset_size": 1000},
}
OTHERS: dict[str, dict[str, float]] = {
    "frechet_distance_infinity": {"points": 8},
    "mmd": {},
    "precision": {"neighbours": 3},
    "recall": {"neighbours": 3},
    "density": {"neighbours": 5},
    "coverage": {"neighbours": 5},
    "authenticity": {},
    "modes_covered": {"probability": 0.9, "share": 0.01},
}
REPLICATES = 200


class _Unloaded(FeatureExtractorInceptionV3):  # type: ignore[misc]
    """The architecture as it was initialised."""

    def load_state_dict(self, *arguments: Any, **keywords: Any) -> None:
        """Load nothing."""


def random_inception() -> bytes:
    """Return a weights file of Inception's architecture with random weights."""
    nothing, file = io.BytesIO(), io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = _Unloaded("random", ["2048"], feature_extractor_weights_path=nothing)
    torch.save(network.state_dict(), file)
    return file.getvalue()


def random_features(count: int, seed: int, dimension: int = DIMENSION) -> Features:
    """Return correlated features as they are after a ReLU, of full rank, and logits."""
    mix = torch.randn(dimension, dimension, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(seed)
    pooled = (torch.randn(count, dimension, generator=generator) @ mix / dimension**0.5).relu()
    return Features(pooled, 2 * torch.randn(count, CLASSES, generator=generator))


def seconds(function: Callable[..., object], *arguments: object) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def frechet(fake: Features, real: Features, rounds: int) -> None:
    """Print table 1."""
    ours, theirs = moments(fake.pooled), moments(real.pooled)
    known = fit(theirs)

    def by_product() -> float:
        """What torch-fidelity computes."""
        values = np.linalg.eigvals(theirs.covariance @ ours.covariance).astype(complex)
        difference = theirs.mean - ours.mean
        traces = np.trace(theirs.covariance) + np.trace(ours.covariance)
        return float(difference @ difference + traces - 2 * np.sqrt(values).real.sum())

    times = [
        (seconds(distance_to, known, ours), seconds(fit, theirs), seconds(by_product))
        for _ in range(rounds)
    ]
    names = ("ours", "the real side, once", "eigvals(S1 @ S2)")
    print(f"(1) Frechet distance, {fake.pooled.shape[1]} features, full rank, {rounds} rounds")
    for name, column in zip(names, zip(*times, strict=True), strict=True):
        print(f"    {name:22} {median(column):7.2f} s")
    ratios = sorted(distance / product for distance, _, product in times)
    print(f"    ratio {median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})", end="")
    print(f"; relative difference {abs(distance_to(known, ours) / by_product() - 1):.1e}")


def against_forward(fake: Features, real: Real, per_image: dict[str, float]) -> None:
    """Print table 2."""
    count = len(fake.pooled)
    known = seconds(_score, "frechet_distance", fake, real, TRIO)
    times = {name: seconds(_score, name, fake, real, TRIO) for name in TRIO}
    total = sum(times.values())
    print(f"(2) FID, IS and KID of {count:,} from given features, the real side known")
    for name in TRIO:
        print(f"    {name:22} {times[name]:7.2f} s")
    print(f"    (a first Frechet distance, which fits the real side: {known:.2f} s)")
    for name, each in per_image.items():
        forward = each * count
        print(
            f"    forward pass of {name}: {forward:.0f} s (extrapolated, {1 / each:.1f} "
            f"images/s); with all three scores {1 + total / forward:.3f}x"
        )


def all_measures(fake: Features, real: Real) -> None:
    """Print table 3."""
    options = {**TRIO, **OTHERS}
    print(f"(3) all measures, {len(fake.pooled):,} and {len(real.features.pooled):,} images,")
    print(f"    {fake.pooled.shape[1]} features: the value, and its error from {REPLICATES} draws")
    for name in options:
        value = seconds(_score, name, fake, real, options)
        generator = torch.Generator().manual_seed(0)
        arguments = (_measure(name, options[name]), fake, real, REPLICATES, generator)
        error = seconds(standard_error, *arguments)
        print(f"    {name:26} {value:7.2f} s {error:7.2f} s", flush=True)


def against_torch_fidelity(weights: bytes, extractor: Extractor, count: int, rounds: int) -> None:
    """Print table 4."""
    fake, real = (torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8) for _ in range(2))
    kernel: dict[str, float] = {"subsets": 100, "subset_size": count // 2}
    options = {**TRIO, "kernel_distance": kernel}

    def ours() -> None:
        features, known = extract(extractor, fake), Real(extract(extractor, real))
        for name in options:
            if name != "frechet_distance":  # refused for fewer images than features
                _score(name, features, known, options)
        distance_to(fit(moments(known.features.pooled)), moments(features.pooled))

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "random.pth")
        file.write_bytes(weights)

        def theirs() -> None:
            torch_fidelity.calculate_metrics(
                input1=_Images(fake), input2=_Images(real), isc=True, fid=True, kid=True,
                kid_subset_size=count // 2, batch_size=extractor.batch_size, cuda=False,
                cache=False, save_cpu_ram=True, verbose=False,
                feature_extractor_weights_path=str(file),
            )  # fmt: skip

        times = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    ratios = sorted(mine / other for mine, other in times)
    print(f"(4) extraction and scores of {count} and {count} images, {rounds} rounds")
    print(f"    ours {median(mine for mine, _ in times):.1f} s, ", end="")
    print(f"calculate_metrics {median(other for _, other in times):.1f} s; ", end="")
    print(f"ratio {median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


class _Images(torch.utils.data.Dataset[Tensor]):
    """Images in the form that torch-fidelity reads."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]


def _score(name: str, fake: Features, real: Real, options: dict[str, dict[str, float]]) -> float:
    return _measure(name, options[name]).value(fake, real)


def _measure(name: str, options: dict[str, float]) -> Measure:
    return parts.measure(name, options, Plugins())


def _seconds_per_image(extractor: Extractor, count: int) -> float:
    images = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8)
    extract(extractor, images[: extractor.batch_size])  # warm-up
    return seconds(extract, extractor, images) / count


def main() -> None:
    """Print the four tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--count",
        type=int,
        default=10_000,
        help="fakes, and real images: 6,146 or more, for the extrapolation",
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=64, help="that Inception is timed on")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cpu = torch.device("cpu")
    weights = random_inception()
    network = inception.build(weights).to(cpu)
    lite = extractors.load(protocol("offline"), cache_root()).to(cpu)
    fake = random_features(given.count, seed=1)
    real = Real(random_features(given.count, seed=2), training=random_features(given.count, 3))
    with threadpool_limits(given.threads):  # numpy's library has threads of its own
        frechet(fake, real.features, given.rounds)
        per_image = {
            "Inception": _seconds_per_image(network, given.images),
            "EfficientNet-Lite0": _seconds_per_image(lite, 8 * given.images),
        }
        against_forward(fake, real, per_image)
        all_measures(fake, real)
        against_torch_fidelity(weights, network, given.images, max(given.rounds // 2, 1))


if __name__ == "__main__":
    main()
