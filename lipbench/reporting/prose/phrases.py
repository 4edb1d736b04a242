"""Phrases that sentences share: values and where they hold, seeds, outcomes, numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from lipbench.outcome import Outcome
from lipbench.reporting.citations import Citations
from lipbench.reporting.latex import breakable
from lipbench.reporting.terms import Term
from lipbench.results.results import Results
from lipbench.words import counted, listed

INLINE = 8  # methods, or settings, that a sentence lists; a table has more
_ENDED: dict[str, tuple[str, str]] = {  # outcomes, of one run and of several
    Outcome.COMPLETED: ("completed", "completed"),
    Outcome.PRUNED: ("was pruned", "were pruned"),
    Outcome.DIVERGED: ("diverged", "diverged"),
    Outcome.FAILED: ("failed", "failed"),
    Outcome.OUT_OF_MEMORY: ("ran out of memory", "ran out of memory"),
    Outcome.RUNNING: ("has not ended yet", "have not ended yet"),
    Outcome.INTERRUPTED: ("was interrupted", "were interrupted"),
    Outcome.DAMAGED: ("left results that cannot be read", "left results that cannot be read"),
    Outcome.QUEUED: ("has not begun", "have not begun"),
}


def where(results: Results, column: str, form: Callable[[Any], str]) -> str:
    """Return a column's value; of several, for which methods or at which settings each holds."""
    known = results.runs[["method", "setting", column]].dropna(subset=[column])
    values = list(dict.fromkeys(known[column]))
    if len(values) <= 1:
        return "".join(map(form, values))
    places = (("method", "for", results.methods), ("setting", "at", results.settings))
    for place, word, labels in places:
        of = known.groupby(place, sort=False)[column].agg(lambda seen: list(dict.fromkeys(seen)))
        if of.map(len).max() == 1:
            groups = {v: [label for label in labels if of.get(label) == [v]] for v in values}
            *few, most = sorted(values, key=lambda value: len(groups[value]))
            told = [f"{form(v)} {word} {some(list(map(breakable, groups[v])))}" for v in few]
            rest = list(map(breakable, groups[most]))
            others = f"the other {place}s" if len(rest) > 3 else listed(rest)
            return listed([*told, f"{form(most)} {word} {others}"])
    return f"{listed([form(value) for value in values], 'or')} (it varied between runs)"


def some(labels: Sequence[str]) -> str:
    """Return labels as a list, of which a long one is cut."""
    if len(labels) <= INLINE:
        return listed(labels)
    return f"{', '.join(labels[:INLINE])} and {len(labels) - INLINE} more"


def term(known: Mapping[str, Term], name: str, cite: Citations) -> str:
    """Return what a paper calls a thing, with its citation; an unknown one by its name."""
    called = known.get(name, Term(str(name)))
    return breakable(called.words) + cite(*called.papers)


def ended(table: pd.DataFrame, noun: str) -> str:
    """Return the sentence of how runs or trials ended."""
    counts = table["outcome"].value_counts()
    names = [*Outcome, *sorted(set(counts.index) - set(Outcome))]
    told = [(name, int(counts[name])) for name in names if name in counts]
    if len(told) == 1:
        name, count = told[0]
        return f"{f'The {noun}' if count == 1 else f'All {count:,} {noun}s'} {_verb(name, count)}."
    parts = [f"{count:,} {_verb(name, count)}" for name, count in told]
    return f"Of {counted(len(table), noun)}, {listed(parts)}."


def _verb(outcome: str, count: int) -> str:
    one, several = _ENDED.get(outcome, (f"ended as {breakable(outcome)}",) * 2)
    return one if count == 1 else several


def seeds(numbers: Sequence[int]) -> str:
    """Return `3 seeds (0, 1 and 2)`; of many consecutive ones the first and the last."""
    ordered = sorted(map(int, numbers))
    if len(ordered) == 1:
        return f"seed {ordered[0]}"
    consecutive = len(ordered) > 5 and ordered == list(range(ordered[0], ordered[-1] + 1))
    which = f"{ordered[0]} to {ordered[-1]}" if consecutive else listed(list(map(str, ordered)))
    return f"{len(ordered)} seeds ({which})"


def called(name: str, options: Mapping[str, Any]) -> str:
    """Return a name with its options, as LaTeX."""
    given = ", ".join(f"{key} = {plain(value)}" for key, value in options.items())
    return breakable(f"{name} ({given})" if given else name)


def plain(value: object) -> str:
    """Return a hyperparameter's value as people write it."""
    if value is None:
        return "none"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:g}" if math.isfinite(value) else str(value)


def small(value: float) -> str:
    r"""Return a number as LaTeX, a small one as a power of ten: `$2 \times 10^{-4}$`."""
    if value == 0 or abs(value) >= 0.01:
        return f"{value:g}"
    mantissa, _, exponent = f"{value:e}".partition("e")
    factor = "" if float(mantissa) == 1 else rf"{float(mantissa):g} \times "
    return f"${factor}10^{{{int(exponent)}}}$"


def duration(seconds: float) -> str:
    """Return a time in the largest unit of which it has two or more."""
    units = {"day": 86400, "hour": 3600, "minute": 60, "second": 1}
    unit, size = next(((u, s) for u, s in units.items() if seconds >= 2 * s), ("second", 1))
    amount = seconds / size
    return f"{amount:.2g}~{unit}s" if amount < 10 else f"{amount:,.0f}~{unit}s"
