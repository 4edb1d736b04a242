"""Score generated images under a protocol."""

from lipbench.measure import NonFiniteFeatures
from lipbench.scoring.extractors import prepare
from lipbench.scoring.features import Progress, silent
from lipbench.scoring.sampling import NonFiniteImages
from lipbench.scoring.scorer import Scorer, ScoreRecord

__all__ = [
    "NonFiniteFeatures",
    "NonFiniteImages",
    "Progress",
    "ScoreRecord",
    "Scorer",
    "prepare",
    "silent",
]
