"""What the results say, in a few sentences: the caveats first."""

from __future__ import annotations

import math
from collections.abc import Iterator

from lipbench.outcome import Outcome
from lipbench.reporting import Exhibit, Sentences
from lipbench.results import Results
from lipbench.results.robustness import by_robustness
from lipbench.stats import FEWEST_SEEDS, against, overall, robustness, tidy
from lipbench.words import counted, listed

from ._grid import number, precise, worst_possible

_PAPERS_UPDATES = 100_000  # of G, of the CIFAR-10 runs of Miyato et al. 2018 (section 4)


class Answer(Exhibit):
    """Say which method is most robust, how sure that is, and what the suite cannot tell."""

    title = "Answer"
    order = 0
    part = "answer"

    def show(self, results: Results) -> Iterator[Sentences]:
        if results.tuning:  # the sections on trials say what came of them
            if results.remarks:
                yield Sentences(results.remarks)
            return
        if results.runs.empty:
            yield Sentences(("The plan has no runs.",))
            return
        yield Sentences((*results.remarks, *_caveats(results), *_verdict(results)))


def _caveats(results: Results) -> Iterator[str]:
    runs = results.runs
    seeds, updates = runs["seed"].nunique(), int(runs["planned_updates"].max())
    size = " x ".join(
        counted(number_, noun)
        for number_, noun in (
            (len(results.methods), "method"),
            (len(results.settings), "setting"),
            (seeds, "seed"),
        )
    )
    data = ", ".join(map(str, runs["dataset"].unique()))
    fewest = int(runs["planned_updates"].min())
    told = f"{size} on {data}, {_range(fewest, updates)} generator updates"
    info = results.provenance.dataset
    if info is not None and not info.is_of_images:
        told += "; what holds for points need not hold for images"
    elif updates < _PAPERS_UPDATES:
        share = f"{'at most ' if fewest < updates else ''}{_share(updates)}"
        told += (
            f": {share} of the {_PAPERS_UPDATES:,} of Miyato et al. (2018), too short to rank "
            "methods as they do"
        )
    yield f"{told}."
    lost = runs["outcome"].value_counts()
    missing = int(
        sum(n for o, n in lost.items() if o not in (Outcome.COMPLETED, Outcome.DIVERGED))
    )
    diverged = int(lost.get(Outcome.DIVERGED, 0))
    collapsed = int(runs["collapsed"].fillna(False).astype(bool).sum())
    parts = [
        f"{diverged} diverged" if diverged else "",
        f"{collapsed} collapsed" if collapsed else "",
        f"{missing} {'has' if missing == 1 else 'have'} no result" if missing else "",
    ]
    if any(parts):
        yield f"Of {counted(len(runs), 'run')}, {listed([p for p in parts if p])}."
    if seeds < FEWEST_SEEDS:
        few = "One seed" if seeds == 1 else f"{seeds} seeds"
        yield (
            f"{few} cannot tell a method's effect from chance: no interval and no winner is "
            f"given, which takes {FEWEST_SEEDS}."
        )


def _range(low: int, high: int) -> str:
    return f"{high:,}" if low == high else f"{low:,} to {high:,}"


def _share(updates: int) -> str:
    share = 100 * updates / _PAPERS_UPDATES
    return f"{share:.2g}%"


def _verdict(results: Results) -> Iterator[str]:
    about = precise(results, results.primary)
    table = tidy(results.runs, about.name, about.higher_is_better)
    if not table["ended"].any():
        yield "No run has a result yet."
        return
    if len(results.methods) == 1:
        return
    found = overall(table, results.methods, worst_possible(about))
    rows = robustness(table, results.methods).set_index("method")
    sign = -1 if about.higher_is_better else 1
    if not found.best:
        first = by_robustness(table, results.methods)[0]
        median = sign * float(rows["median"][first])
        ahead = (
            f"; {first} has the best median, {number(median, about)}, which is not called better"
        )
        yield (
            f"No method is called the most robust by {about.title}: {found.reason}"
            f"{ahead if math.isfinite(median) and len(rows['median'].unique()) > 1 else ''}."
        )
        return
    medians = [f"{m} ({number(sign * float(rows['median'][m]), about)})" for m in found.best]
    if not found.certain:
        yield (
            f"By the median {about.title} over settings and seeds {listed(medians)} are ahead of "
            "the others; no difference between them is called at 95%."
        )
        return
    (first,) = found.best
    others = [method for method in results.methods if method != first]
    nearest = max(against(table, first, others), key=lambda each: each.adjusted)
    yield (
        f"{first} is the most robust: its median {about.title} over settings and seeds is "
        f"{number(sign * float(rows['median'][first]), about)}, better than every other method's "
        f"at 95% (Wilcoxon's test over {nearest.pairs} pairs of setting and seed, Holm's "
        f"correction; nearest: {nearest.second}, beaten in {nearest.probability:.0%} of pairs, "
        f"p = {nearest.adjusted:.2g})."
    )
