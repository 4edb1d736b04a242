"""How many runs there were and how they ended, how they were scored, and what that took."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from lipbench.outcome import Outcome
from lipbench.protocols import SCORES
from lipbench.protocols.scores import SPACES
from lipbench.reporting import citations, terms
from lipbench.reporting.citations import Citations
from lipbench.reporting.latex import breakable
from lipbench.reporting.prose.phrases import INLINE, duration, ended, seeds
from lipbench.reporting.terms import Term
from lipbench.results.cells import floor, numbers
from lipbench.results.results import Results
from lipbench.stats.intervals import DRAWS, LEVEL
from lipbench.stats.tidy import FEWEST_SEEDS
from lipbench.words import counted, listed


def runs(results: Results) -> Iterator[str]:
    """Yield how many runs there are, with which seeds, and how they ended."""
    unique = results.runs.drop_duplicates("run_id")
    noun = "confirmation run" if results.tuning else "run"
    yield _design(results, counted(len(unique), noun))
    if len(results.runs) > len(unique):
        yield "A run that stands at two settings of equal values was made once."
    if len(unique) > 1:
        yield (
            "Runs with the same seed share the draws of initial weights, of batches and of "
            "latents."
        )
    yield ended(unique, noun)
    outcomes = set(unique["outcome"])
    if Outcome.DIVERGED in outcomes:
        yield (
            f"A run diverged where a loss or a generated {_kinds(results)[:-1]} was not finite; "
            "it counts as worse than any score."
        )
    if outcomes - {outcome for outcome in Outcome if outcome.is_result}:
        yield "A run without a result is missing: it counts neither for nor against its method."
    flags = unique["collapsed"] if "collapsed" in unique else pd.Series(False, unique.index)
    if collapsed := int(flags.fillna(False).astype(bool).sum()):
        some = "1 completed run" if collapsed == 1 else f"{collapsed:,} completed runs"
        yield (
            f"{some} collapsed: the features of the generated {_kinds(results)} vary less than "
            f"{_percent(results.protocol.collapse_ratio)} as much as those of real ones. A "
            "collapsed run is never called the best."
        )


def _kinds(results: Results) -> str:
    """Return what samples are called: images or points."""
    return "points" if results.protocol.scores_points else "images"


def _design(results: Results, count: str) -> str:
    """Return which methods have which settings and seeds."""
    every = sorted(set(results.runs["seed"]))
    cells = results.runs.groupby(["method", "setting"])["seed"].nunique()
    full = len(results.methods) * len(results.settings) * len(every)
    if len(results.runs) == 1:
        return f"There was 1 run, with {seeds(every)}."
    if results.tuning is None and len(results.runs) == full:
        who = "The method" if len(results.methods) == 1 else "Each method"
        many = len(results.settings)
        places = "one setting" if many == 1 else f"each of {many} settings"
        return f"{who} was trained at {places} with {seeds(every)}: {count}."
    few, most = int(cells.min()), int(cells.max())
    each = counted(few, "seed") if few == most else f"{few} to {counted(most, 'seed')}"
    return (
        f"There were {count}, of {counted(len(cells), 'combination')} of a method and a setting "
        f"with {each} each, of {seeds(every)}."
    )


def evaluation(results: Results, cite: Citations) -> Iterator[str]:
    """Yield what scores there are, how they are computed, and which one ranks."""
    protocol = results.protocol
    scores = [SCORES[name] for name in protocol.scores]
    papers = citations.of_measures({s.measure for s in scores}, results.provenance.plugins)
    told = [f"{breakable(score.title)}{cite(*papers[score.measure])}" for score in scores]
    yield f"Generators were scored by {listed(told)}."
    primary = SCORES[results.primary]
    better = "higher" if primary.higher_is_better else "lower"
    yield (
        f"Methods are ranked by {breakable(primary.title)} ({better} is better) of the generator "
        "at the end of training, not of the best checkpoint."
    )
    yield f"{breakable(primary.title)}: {breakable(primary.description)}."
    spaces = dict.fromkeys(SCORES[score].space for score in protocol.scores)
    networks = [SPACES[space].title for space in spaces if terms.SPACES.get(space)]
    if networks:
        yield f"Features are those of {listed(networks)}{cite(*terms.of_features(protocol))}."
    record = breakable(protocol.sentence().removeprefix(f"{protocol.id} "))
    yield f"The protocol was {breakable(protocol.id)}{cite(*terms.of_protocol(protocol))} {record}"
    if (real := floor(results, results.primary)) is not None:
        yield (
            f"Real {_kinds(results)} in the place of the generated ones score "
            f"{real:,.{max(primary.decimals, 1)}f}."
        )
    if results.audits:
        yield _audited(results)


def _audited(results: Results) -> str:
    updates = sorted({int(row["update"]) for rows in results.audits.values() for row in rows})
    several = listed([f"{update:,}" for update in updates])
    if len(updates) > INLINE:
        several = f"{updates[0]:,} to {updates[-1]:,}"
    noun = "update" if updates == [1] else "updates"
    return (
        "Lipschitz bounds and singular values of the discriminator were measured in "
        f"{counted(len(results.audits), 'run')}, after {several} {noun} of the generator."
    )


def uncertainty(results: Results) -> Iterator[str]:
    """Yield what intervals and comparisons stand on."""
    counts = results.runs.groupby(["method", "setting"])["seed"].nunique()
    fewest, most = int(counts.min()), int(counts.max())
    if fewest < FEWEST_SEEDS:
        have = "1 seed" if fewest == 1 else f"{fewest} seeds"
        some = "" if most == fewest else ", and some have more"
        yield (
            f"Methods have {have} at a setting{some}. With fewer than {FEWEST_SEEDS} seeds there "
            "is no interval and no test: a difference between methods cannot be told from a "
            "difference between seeds."
        )
    if most < FEWEST_SEEDS:
        return
    yield (
        f"An interval, where one is given, has the level {_percent(LEVEL)}: it is the statistic "
        f"plus and minus Student's $t$ times the standard error of {DRAWS:,} bootstrap samples, "
        "which draw seeds with replacement within each setting."
    )
    yield (
        f"A method is called better than another at {_percent(LEVEL)}: at one setting by the "
        "paired $t$-test over seeds (of logarithms for distances), over several by Wilcoxon's "
        "signed-rank test over settings and seeds, both with Holm's correction."
    )


def computation(results: Results, cite: Citations) -> Iterator[str]:
    """Yield with what software and on which machines runs were made, and how long they took."""
    versions = results.provenance.versions
    machines = (
        f" on {listed([breakable(m) for m in results.machines])}" if results.machines else ""
    )
    software = []
    for package in sorted(versions, key=lambda name: name != "lipbench"):
        term = terms.PACKAGES.get(package, Term(package))
        ours = _revisions(results) if package == "lipbench" else ""
        seen = breakable(listed(versions[package]))
        software.append(f"{breakable(term.words)} {seen}{cite(*term.papers)}{ours}")
    if software or machines:
        yield f"Runs were made{machines}{f' with {listed(software)}' if software else ''}."
    if any(len(seen) > 1 for seen in (*versions.values(), results.revisions, results.machines)):
        yield (
            "Where several versions, revisions or machines are named, they made different runs, "
            "or parts of one."
        )
    yield from _took(results.runs.drop_duplicates("run_id"))


def _revisions(results: Results) -> str:
    """Return commits by their first 12 digits, and whether files differed from them."""
    told = []
    for revision in results.revisions:
        commit, _, changed = revision.partition("-")
        told.append(breakable(commit[:12] + (f", {changed}" if changed else "")))
    return f" (revision{'' if len(told) == 1 else 's'} {listed(told)})" if told else ""


def _took(unique: pd.DataFrame) -> Iterator[str]:
    parts = {part: numbers(unique, f"seconds_{part}") for part in ("training", "scoring")}
    parts["audits"] = numbers(unique, "seconds_auditing")
    told = [
        f"{duration(column.sum())} of {part}" for part, column in parts.items() if column.sum()
    ]
    known = max(int(column.notna().sum()) for column in parts.values())
    if told:
        all_ = "The run" if len(unique) == 1 else "All runs together"
        those = all_ if known == len(unique) else f"{known:,} of the runs together"
        yield f"{those} took {listed(told)}."


def _percent(share: float) -> str:
    return f"{100 * share:g}\\%"
