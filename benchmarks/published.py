"""Compute a published Inception score again: that of CIFAR-10's training images.

    python -m benchmarks.published --inception-weights FILE --cifar10 FOLDER [--device cuda]

torch-fidelity's README gives 11.23678 ± 0.09514 (50,000 images, 10 splits, shuffled with its
default seed). Exits with 1 where ours differs by more than a rounding of arithmetic, with 2 where
files are missing or others. It takes the real weights (96 MB, hash-verified) and the original
CIFAR-10: neither was at hand where this was written, so it has only been run, in
tests/lipbench/scoring/test_measures_published.py, with random weights of the real architecture.
An hour and a half on two cores, extrapolated; minutes on a GPU.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from lipbench.dataset import load
from lipbench.datasets.cifar10 import Cifar10
from lipbench.errors import UserError
from lipbench.measure import Real
from lipbench.measures.classifier_score import ClassifierScore
from lipbench.paths import cache_root
from lipbench.protocols import protocol
from lipbench.scoring import extractors
from lipbench.scoring.features import Extractor, extract

PUBLISHED = 11.23678
SPREAD = 0.09514  # over the 10 splits
TOLERANCE = 0.005  # our choice: features of other machines differ in their last digits
SPLITS = 10


def inception_score(extractor: Extractor, images: Tensor) -> float:
    """Return the score of images, uint8 (N, H, W, C), in their order."""
    features = extract(extractor, images.permute(0, 3, 1, 2))
    return ClassifierScore(splits=SPLITS).value(features, Real(features))


def verdict(score: float) -> tuple[int, str]:
    """Return the exit code and the sentence for a score."""
    difference = score - PUBLISHED
    agrees = abs(difference) <= TOLERANCE
    return int(not agrees), (
        f"Inception score of CIFAR-10's training images: {score:.5f}; published {PUBLISHED} ± "
        f"{SPREAD}; difference {difference:+.5f}, {'within' if agrees else 'NOT within'} "
        f"{TOLERANCE}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the score beside the published one; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inception-weights", type=Path, required=True)
    parser.add_argument("--cifar10", type=Path, required=True, help="torchvision's folder")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args(arguments)
    device = torch.device(given.device)
    try:
        rule = protocol("miyato2018")
        extractor = extractors.load(rule, cache_root(), given.inception_weights).to(device)
        source = Cifar10(str(given.cifar10))
        info = source.inspect(cache_root())
        images = load(source, info, cache_root(), device).train.samples
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    code, sentence = verdict(inception_score(extractor, images))
    print(sentence)
    return code


if __name__ == "__main__":
    sys.exit(main())
