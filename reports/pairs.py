"""Which method is better than which, in pairs of runs with one setting and one seed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from lipbench.protocols import SCORES, Score
from lipbench.reporting import Exhibit, Figure, Omitted
from lipbench.results import Results
from lipbench.results.robustness import by_robustness
from lipbench.stats import Comparison, every_pair, smallest_difference, tidy
from lipbench.stats.power import POWER
from lipbench.words import counted

from ._draw import is_log, paper, plain
from ._grid import number
from ._heat import coloured

_ROWS = 20
_INCHES = 0.36


class Pairs(Exhibit):
    """Draw how often each method is better than each other, and which differences are called."""

    title = "Method against method"
    order = 16

    def show(self, results: Results) -> Iterator[Figure | Omitted]:
        if results.tuning:
            return  # its configurations are the best of many, and not the same for all methods
        if len(results.methods) < 2:
            yield Omitted("one method is compared with no other")
            return
        about = SCORES[results.primary]
        table = tidy(results.runs, about.name, about.higher_is_better)
        found = every_pair(table, by_robustness(table, results.methods))
        if not any(each.pairs for each in found):
            yield Omitted("no two methods have results at one setting with one seed")
            return
        yield _figure(results, about, table, found)


def _figure(
    results: Results, about: Score, table: pd.DataFrame, found: Sequence[Comparison]
) -> Figure:
    order = by_robustness(table, results.methods)[:_ROWS]
    both = _both_ways(found)
    shares = pd.DataFrame(
        [[both[a, b][0] if a != b else math.nan for b in order] for a in order],
        index=[plain(method) for method in order],
        columns=[plain(method) for method in order],
    )
    texts = [[_text(both.get((a, b))) for b in order] for a in order]
    longest = max(map(len, order)) * 0.055
    side = _INCHES * len(order)
    drawing = paper(min(9.0, 0.9 + longest + side), min(7.2, 1.7 + longest + side))
    axes = drawing.add_subplot()
    label = "share of pairs that the row wins"
    coloured(axes, shares, pd.DataFrame(texts), label, "PuOr", (0, 1))
    axes.tick_params(axis="x", rotation=90)
    return Figure(
        "pairs",
        f"How often the method of a row has the better {about.title} than that of a column, of "
        "pairs of runs with one setting and one seed.",
        drawing,
        tuple(_notes(results, about, table, found)),
        raw=_numbers(found),
        column=len(order) <= 6,
    )


def _both_ways(found: Sequence[Comparison]) -> Mapping[tuple[str, str], tuple[float, bool]]:
    shares = {(each.first, each.second): (each.probability, each.called) for each in found}
    return shares | {(b, a): (1 - share, called) for (a, b), (share, called) in shares.items()}


def _text(entry: tuple[float, bool] | None) -> str:
    if entry is None or math.isnan(entry[0]):
        return ""
    return f"{100 * entry[0]:.0f}{'*' if entry[1] else ''}"


def _notes(
    results: Results, about: Score, table: pd.DataFrame, found: Sequence[Comparison]
) -> Iterator[str]:
    yield "Numbers are per cent; ties count half."
    called = sum(each.called for each in found)
    if called:
        yield (
            f"* the difference is called at 95%: {called} of {counted(len(found), 'pair')} of "
            "methods, by Wilcoxon's signed-rank test with Holm's correction for their number."
        )
    else:
        yield (
            f"No difference is called at 95%, of {counted(len(found), 'pair')} of methods: "
            "Wilcoxon's signed-rank test with Holm's correction."
        )
    log = is_log(about) and bool((table["loss"].dropna() > 0).all())
    smallest, seeds = smallest_difference(table, results.methods, log)
    if math.isfinite(smallest):
        size = f"a factor of {math.exp(smallest):.3g}" if log else number(smallest, about)
        yield (
            f"What {seeds} seeds can tell: at one setting, a mean difference of {size} between "
            f"two methods is called in {POWER:.0%} of cases (paired t-test at 95%, one "
            "comparison)."
        )
    if len(results.methods) > _ROWS:
        yield f"The {_ROWS} methods with the best medians; the CSV file has all pairs."


def _numbers(found: Sequence[Comparison]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "first": each.first,
            "second": each.second,
            "pairs": each.pairs,
            "seeds": each.seeds,
            "first_is_better": each.probability,
            "low": each.interval.low if each.interval else math.nan,
            "high": each.interval.high if each.interval else math.nan,
            "p": each.p if each.interval else math.nan,
            "p_holm": each.adjusted if each.interval else math.nan,
            "called": each.called,
        }
        for each in found
    )
