"""The mathematics of the scores: from features of images to one number and its spread.

Where torch-fidelity has a score, ours is its number. Its functions on features are undocumented,
so its minor version is pinned and tests hold ours to `torch_fidelity.calculate_metrics`.
"""

from __future__ import annotations

from collections.abc import Mapping

from lipbench.scoring.measures import (
    authenticity,
    classifier,
    frechet,
    frechet_infinity,
    kernel,
    mmd,
    modes,
    neighbours,
    parzen,
)
from lipbench.scoring.measures.collapse import collapsed
from lipbench.scoring.measures.contract import (
    Measure,
    NonFiniteFeatures,
    Options,
    Real,
    standard_error,
)

__all__ = [
    "MEASURES",
    "Measure",
    "NonFiniteFeatures",
    "Options",
    "Real",
    "collapsed",
    "standard_error",
]

MEASURES: Mapping[str, Measure] = {  # options in the comments
    "frechet_distance": frechet.MEASURE,
    "frechet_distance_infinity": frechet_infinity.MEASURE,  # points
    "kernel_distance": kernel.MEASURE,  # subsets, subset_size
    "mmd": mmd.MEASURE,
    "classifier_score": classifier.MEASURE,  # splits
    "precision": neighbours.PRECISION,  # neighbours; so have the next three
    "recall": neighbours.RECALL,
    "density": neighbours.DENSITY,
    "coverage": neighbours.COVERAGE,
    "authenticity": authenticity.MEASURE,
    "modes_covered": modes.MEASURE,  # probability, share
    "parzen": parzen.MEASURE,
}
