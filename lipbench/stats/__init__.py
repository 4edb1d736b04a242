"""Statistics of runs: functions of a frame, seeded, that say how sure a number is.

`tidy` makes one value of each run; everything else works on what it returns. docs/statistics.md
has each formula with its source.
"""

from __future__ import annotations

from lipbench.stats.budgets import BUDGETS, at_equal
from lipbench.stats.intervals import Interval, mean_interval, stratified
from lipbench.stats.pairs import Comparison, against, compare, every_pair
from lipbench.stats.power import smallest_difference
from lipbench.stats.profiles import Profile, area, profile
from lipbench.stats.ranks import Ranking, ranking
from lipbench.stats.summaries import interquartile_mean, robustness
from lipbench.stats.tidy import FEWEST_SEEDS, tidy
from lipbench.stats.tuned import expected_best, regret
from lipbench.stats.winners import Verdict, overall, winners

__all__ = [
    "BUDGETS",
    "FEWEST_SEEDS",
    "Comparison",
    "Interval",
    "Profile",
    "Ranking",
    "Verdict",
    "against",
    "area",
    "at_equal",
    "compare",
    "every_pair",
    "expected_best",
    "interquartile_mean",
    "mean_interval",
    "overall",
    "profile",
    "ranking",
    "regret",
    "robustness",
    "smallest_difference",
    "stratified",
    "tidy",
    "winners",
]
