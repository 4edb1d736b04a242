"""What the exhibits of a study's search share: its trials, their parameters and their values."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import pandas as pd
from matplotlib.axes import Axes

from lipbench import words
from lipbench.outcome import Outcome
from lipbench.planning.tuning import Objective, Parameter, Tuning, Value
from lipbench.protocols import SCORES
from lipbench.reporting import Exhibit, Figure, Omitted, Table, pens, tag
from lipbench.results import Results
from lipbench.tuning.analysis import configuration, counted_trials

from ._audits import LONG, text
from ._draw import LARGEST, is_log, log_axis

BANDS = 6  # methods of a figure whose bands are drawn, at most: more can't be told apart
EXCHANGEABLE = ("RandomSampler", "QMCSampler")  # samplers that learn nothing from earlier trials
COUNTING = (
    "Trials: completed, diverged and pruned ones. A pruned trial has no value. What the machine "
    "failed, or what has not ended, is left out."
)
NONE_COMPLETED = Omitted("no trial completed with a value")


class OfTrials(Exhibit):
    """A section on a study's search; it is nothing in another report."""

    reads = "trials"
    waits: ClassVar[bool] = True  # until a trial completed, diverged or was pruned

    def show(self, results: Results) -> Iterator[Table | Figure | Omitted]:
        if results.tuning is None or results.trials.empty:
            return
        if not self.waits or len(counted_trials(results.trials, results.tuning.objectives[0])):
            yield from self.of(results, results.tuning)

    @abstractmethod
    def of(self, results: Results, tuning: Tuning) -> Iterator[Table | Figure | Omitted]:
        """Yield what the trials show."""


def stated(value: float, about: Objective) -> str:
    """Return an objective's value as it is printed; a dash where there is none."""
    return f"{value:z,.{about.decimals}f}" if abs(value) < LONG else text(value)


def better(about: Objective) -> str:
    """Return which values are better, in words."""
    return f"{'higher' if about.higher_is_better else 'lower'} is better"


def on_log_axis(about: Objective, values: pd.Series[float]) -> bool:
    """Return whether an objective is drawn on a logarithmic axis.

    Frechet distances are, as in every figure, and whatever spans more than two decades.
    """
    known = values[values.abs() < LARGEST]
    if known.empty or not (known > 1 / LARGEST).all():
        return False
    score = SCORES.get(about.name.removesuffix("_selection"))
    return bool((score and is_log(score)) or known.max() > 100 * known.min())


def value_axis(axes: Axes, about: Objective, values: pd.Series[float], log: bool) -> None:
    """Make the y axis one of these values, as far as they are not the ceiling."""
    known = values[(values != about.if_diverged) & (values.abs() < LARGEST)]
    if log:
        log_axis(axes)
    if known.empty:
        return
    low, high = float(known.min()), float(known.max())
    margin = 1.05 * 10 ** (0.06 * math.log10(high / low)) if log else 0.06 * (high - low) or 1.0
    axes.set_ylim(low / margin if log else low - margin, high * margin if log else high + margin)


def curve(
    axes: Axes,
    results: Results,
    method: str,
    x: pd.Series[float],
    middle: pd.Series[float],
    ends: tuple[pd.Series[float], pd.Series[float]] | None,
    hover: str,
    steps: bool,
) -> None:
    """Draw one method's line in its pen, over a band between its ends if it has any."""
    pen = pens(results.methods)[method]
    marker = pen.marker if len(x) == 1 else ""  # a line of one point is not seen
    drawn = "steps-post" if steps else "default"
    (line,) = axes.plot(
        x, middle, pen.dash, color=pen.colour, marker=marker, ms=4, drawstyle=drawn
    )
    tag(line, method, f"{method}: {hover}")
    if ends is not None:
        style: dict[str, Any] = {"color": pen.colour, "alpha": 0.13, "linewidth": 0}
        tag(axes.fill_between(x, *ends, step="post" if steps else "mid", **style), method)


def short_names(search: Sequence[Parameter]) -> dict[str, str]:
    """Return what parameters are called where their method is known: without its name."""
    last = [parameter.name.rpartition(".")[2] for parameter in search]
    return {
        parameter.name: short if last.count(short) == 1 else parameter.name
        for parameter, short in zip(search, last, strict=True)
    }


def written(value: Value) -> str:
    """Return a parameter's value as it is printed: three digits of a float."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def described(trial: Mapping[object, object], search: Sequence[Parameter]) -> str:
    """Return a trial's configuration in a line: `lr 0.0002, n_dis 5`."""
    names = short_names(search)
    found = configuration(trial, search)
    return ", ".join(f"{names[name]} {written(value)}" for name, value in found.items())


def drawn_methods(results: Results, having: pd.Series[str]) -> list[str]:
    """Return the study's methods among some, in the study's order."""
    present = set(having)
    return [method for method in results.methods if method in present]


def place(trial: float, seed: float, tuning: Tuning) -> str:
    """Return which trial it is: `trial 17`, and of which seed where there are several."""
    return f"trial {trial:.0f}" + (f", seed {seed:.0f}" if len(tuning.seeds) > 1 else "")


def searches(tuning: Tuning) -> str:
    """Return how many searches a method has: `1 search`, `2 searches`."""
    return words.counted(len(tuning.seeds), "search", "searches")


def ceiling(results: Results, about: Objective, off: bool = True) -> Iterator[str]:
    """Yield what a diverged trial counts as, if one did; `off` says that lines are cut there."""
    if (results.trials["outcome"] == Outcome.DIVERGED).any():
        cut = "; what only that reaches is cut off." if off else "."
        told = stated(about.if_diverged, about)
        yield f"A diverged trial counts as {told}, as the sampler was told{cut}"


def resampling(tuning: Tuning) -> Iterator[str]:
    """Yield how the best of k trials is computed, and what that assumes."""
    over = f", of its {searches(tuning)}" if len(tuning.seeds) > 1 else ""
    yield (
        f"Exact, for k trials drawn with replacement from all of a method's trials{over}. At "
        "large k it rests on the few best of them: as many draws as there are trials miss the "
        "best one in about 37 of 100 cases. A pruned trial counts as the worst completed one of "
        "all methods: how bad it would have been is not known."
    )
    if tuning.sampler not in EXCHANGEABLE:
        yield (
            f"{tuning.sampler} learns from earlier trials, so its trials are not exchangeable: "
            "this is the result of a random order of the same trials, and no statement about "
            f"{tuning.sampler} with k trials; for that see the progress of the search."
        )
