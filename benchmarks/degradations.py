"""Degrade real images step by step, and see which scores tell.

    python -m benchmarks.degradations [--data FOLDER_OR_ZIP] [--count 2000]

Real images are of the test split. Fakes are images of the training split, blurred, noisy,
compressed, of fewer classes, or repetitions of a few training images (memorised). Features are
EfficientNet-Lite0's, at the size of the protocol `offline`; without `--data`, those of our digits
classifier on the digits. A Frechet distance needs more images than features (1280, or 64).
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from lipbench import data, streams
from lipbench.dataset import Source, load
from lipbench.datasets.digits import Digits
from lipbench.datasets.images import Images
from lipbench.measure import Measure, Real
from lipbench.measures.authenticity import Authenticity
from lipbench.measures.coverage import Coverage
from lipbench.measures.density import Density
from lipbench.measures.frechet_distance import FrechetDistance
from lipbench.measures.kernel_distance import KernelDistance
from lipbench.measures.precision import Precision
from lipbench.measures.recall import Recall
from lipbench.paths import cache_root
from lipbench.protocols import protocol
from lipbench.scoring import extractors
from lipbench.scoring.features import Extractor, extract
from lipbench.scoring.reference import stratified_index

COLUMNS: dict[str, Measure] = {
    "FD": FrechetDistance(),
    "KD x 1000": KernelDistance(subsets=50, subset_size=200),
    "precision": Precision(neighbours=3),
    "recall": Recall(neighbours=3),
    "density": Density(neighbours=5),
    "coverage": Coverage(neighbours=5),
    "authenticity": Authenticity(),
}
SCALES = {"KD x 1000": 1000.0}

BLURS = (0.5, 0.75, 1.0, 1.5, 2.0)  # the Gaussian's standard deviation in pixels
NOISES = (10.0, 20.0, 40.0, 80.0)  # the standard deviation of 255
QUALITIES = (50, 20, 10, 5)  # of JPEG
DROPPED = (1, 3, 5, 7)  # classes


class Pool(NamedTuple):
    """Images, uint8 (N, C, H, W), and their labels (N,), in a random order."""

    images: Tensor
    labels: Tensor


def blurred(images: Tensor, sigma: float) -> Tensor:
    """Return images under a Gaussian blur of `sigma` pixels."""
    return _through_pillow(images, lambda image: image.filter(ImageFilter.GaussianBlur(sigma)))


def compressed(images: Tensor, quality: int) -> Tensor:
    """Return images after JPEG."""

    def there_and_back(image: Image.Image) -> Image.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return _through_pillow(images, there_and_back)


def noisy(images: Tensor, sigma: float) -> Tensor:
    """Return images with Gaussian noise of `sigma` of 255, clamped."""
    noise = torch.randn(images.shape, generator=streams.generator(0, "noise", str(sigma)))
    return (images + sigma * noise).clamp(0, 255).round().to(torch.uint8)


def repeated(images: Tensor, different: int) -> Tensor:
    """Return as many images, of which only the first `different` ones are there."""
    return images[torch.arange(len(images)) % different]


def without_classes(pool: Pool, dropped: int, count: int) -> Tensor:
    """Return up to `count` images without the first `dropped` classes."""
    return pool.images[pool.labels >= dropped][:count]


def rows(pool: Pool, training: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield a name and images for each degradation, each kind from weak to strong."""
    count = len(training)
    fakes = pool.images[:count]
    yield "real", fakes
    for sigma in BLURS:
        yield f"blur {sigma:g}", blurred(fakes, sigma)
    for sigma in NOISES:
        yield f"noise {sigma:g}", noisy(fakes, sigma)
    for quality in QUALITIES:
        yield f"JPEG {quality}", compressed(fakes, quality)
    for dropped in DROPPED:
        yield f"{dropped} classes less", without_classes(pool, dropped, count)
    for different in (count, count // 2, count // 10, 10, 1):
        yield f"{different} memorised", repeated(training, different)


def table(pool: Pool, training: Tensor, real: Real, extractor: Extractor) -> Iterator[str]:
    """Yield the table's lines."""
    yield f"{'':18} {'images':>7}" + "".join(f"{name:>13}" for name in COLUMNS)
    for name, images in rows(pool, training):
        fake = extract(extractor, images)
        values = [
            SCALES.get(column, 1.0) * measure.value(fake, real)
            for column, measure in COLUMNS.items()
        ]
        yield f"{name:18} {len(images):7,}" + "".join(f"{value:13.4g}" for value in values)


def pools(dataset: data.Dataset, count: int) -> tuple[Tensor, Pool, Tensor]:
    """Return real images, fakes' source and training images, the three without a shared image."""
    test = stratified_index(dataset.test.labels, count, "degradations")
    real = dataset.test.samples[test].permute(0, 3, 1, 2)
    order = torch.randperm(len(dataset.train), generator=streams.generator(0, "degradations"))
    images = dataset.train.samples[order].permute(0, 3, 1, 2)
    source = Pool(images[count:], dataset.train.labels[order][count:])
    return real, source, images[:count]


def _through_pillow(images: Tensor, change: Callable[[Image.Image], Image.Image]) -> Tensor:
    changed = []
    for image in images.permute(0, 2, 3, 1).numpy():
        pixels = np.array(change(Image.fromarray(image.squeeze())))
        changed.append(torch.from_numpy(pixels.reshape(image.shape)))
    return torch.stack(changed).permute(0, 3, 1, 2)


def main() -> None:
    """Print the table, a line as soon as it is scored."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="a folder or zip [default: the digits]")
    parser.add_argument("--count", type=int, help="images in a set [default: 2000; digits: 590]")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cpu = torch.device("cpu")
    count, rule = (2000, "offline") if given.data else (590, "digits")
    where: Source = Images(str(given.data)) if given.data else Digits()
    dataset = load(where, where.inspect(cache_root()), cache_root(), cpu)
    real, source, training = pools(dataset, given.count or count)
    extractor = extractors.load(protocol(rule), cache_root()).to(cpu)
    reference = Real(extract(extractor, real), training=extract(extractor, training))
    for line in table(source, training, reference, extractor):
        print(line, flush=True)


if __name__ == "__main__":
    main()
