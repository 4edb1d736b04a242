"""Decide what is left to do of a plan, given the results that are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lipbench import atomic, dataset, scoring
from lipbench.errors import UserError
from lipbench.outcome import Outcome
from lipbench.planning import parts
from lipbench.planning.plan import Plan, PlannedRun, unique
from lipbench.plugins import Plugins
from lipbench.runs.estimates import in_order
from lipbench.runs.provenance import provenance
from lipbench.runs.run import Task
from lipbench.runs.run_folder import RunFolder
from lipbench.runs.suite_folder import SuiteFolder
from lipbench.training import arithmetic
from lipbench.words import were


@dataclass(frozen=True)
class Choices:
    """What a user asks to be done again."""

    retry_failed: bool = False
    rerun_changed: bool = False
    keep_changed: bool = False


def adopt(plan: Plan, suite: SuiteFolder, registry: Plugins) -> list[str]:
    """Rename run folders to the ids that their runs have now; return those.

    An upgraded spec, or one whose method gained a field since, is the same run; and a folder that
    somebody renamed is still the run of the spec in it. Of two folders of one training, which
    older versions scored by two protocols, one takes the scores of the other.
    """
    planned = {run.spec.hash: run for run in plan.runs}
    folders, adopted = suite.folders(), []
    misnamed = [
        folder
        for hash_, folder in folders.items()
        if hash_ not in planned or not folder.path.name.endswith(hash_)
    ]
    for folder in [*misnamed, *map(RunFolder, suite.uncounted())]:
        try:
            hash_ = parts.complete(folder.spec(), registry).hash
        except UserError:  # of a method that is not here, or of a newer lipbench: left alone
            continue
        if hash_ not in planned:
            continue
        kept = folders.get(hash_, folder)
        place = suite.new_folder(planned[hash_])
        if kept.path != folder.path:
            _merge(kept, folder, suite)
        elif place.path == folder.path or not place.path.exists():
            suite.take_over(folder, planned[hash_])
            folders[hash_] = place
            adopted.append(planned[hash_].id)
    return adopted


def _merge(kept: RunFolder, copy: RunFolder, suite: SuiteFolder) -> None:
    """Give a completed run the scores that a copy of its folder has by other protocols."""
    if {kept.status().outcome, copy.status().outcome} != {Outcome.COMPLETED}:
        return
    have = {row.get("protocol") for row in kept.readable("scores").rows}
    others = [row for row in copy.readable("scores").rows if row.get("protocol") not in have]
    for row in others:
        kept.put("scores", row, ("protocol", "checkpoint", "update"))
    if others:
        suite.set_aside(copy)


def clear(runs: Sequence[PlannedRun], suite: SuiteFolder) -> list[str]:
    """Set aside the folders that stand in a run's place and are not that run.

    Returns a line on each folder that counts as no run; the others stay where they are.
    """
    lines = []
    places = {suite.new_folder(run).path for run in runs}
    for path, reason in suite.uncounted().items():
        if path in places:
            suite.set_aside(RunFolder(path))
            reason = f"{reason}, and is moved to {suite.path / 'replaced'}"
        lines.append(reason)
    return lines


def mend(runs: Sequence[PlannedRun], suite: SuiteFolder, shared: bool = False) -> list[str]:
    """Put the damaged files of runs aside, each under another name; return a line on each.

    See `RunFolder.mend`. Where they are `shared`, those that other processes hold are left alone.
    """
    lines = []
    folders = suite.folders()
    for run in unique(runs):
        folder = folders.get(run.spec.hash) or suite.new_folder(run)
        if not folder.path.exists():
            continue
        hold = suite.hold(run.spec.hash) if shared else None
        if shared and hold is None:
            continue
        if folder.path.is_dir():
            lines += folder.mend(run.spec)
        else:
            lines.append(f"{folder.path} is no folder; it is kept as {suite.set_aside(folder)}")
        if hold:
            hold.release()
    return lines


def changed(
    runs: Sequence[PlannedRun], suite: SuiteFolder, registry: Plugins
) -> list[tuple[RunFolder, str]]:
    """Return the runs made, or begun, by other code of their plugins than there is now.

    Manifests of older versions have that of methods alone. The code of a dataset of lipbench's is
    passed over: its fingerprint, of the content, is part of the run.
    """
    folders = suite.folders()
    found = []
    for run in runs:
        folder = folders.get(run.spec.hash)
        sessions = folder.sessions() if folder else []
        if folder is None or not sessions:
            continue
        sources = (
            (kind[name], source)
            for kind in registry.kinds
            for name, source in sessions[-1].get(kind.sources, {}).items()
            if kind.kind != "datasets" or kind[name].origin == "file"
        )
        for plugin, source in sources:
            if plugin.source_hash != source:
                found.append((folder, str(plugin.path)))
                break
    return found


def tasks(
    plan: Plan,
    runs: Sequence[PlannedRun],
    suite: SuiteFolder,
    registry: Plugins,
    choices: Choices,
    cache: Path,
    weights: Path | None,
) -> list[Task]:
    """Return what is left to do of some runs of a plan, in the order of `estimates.in_order`.

    Raises UserError where methods' code has changed since and the user has not chosen.
    """
    runs = unique(runs)
    _settle_changes(changed(runs, suite, registry), suite, choices)
    folders = suite.folders()
    made_with = provenance()
    left = []
    for run in runs:
        folder = folders.get(run.spec.hash) or suite.new_folder(run)
        outcome = folder.status().outcome
        retried = choices.retry_failed and outcome.is_failure
        unscored = outcome == Outcome.COMPLETED and not folder.is_scored(
            plan.protocol.id, run.spec.budget.generator_updates
        )
        if outcome.ended and not retried and not unscored:
            continue
        left.append(task(plan, run, folder, made_with, cache, weights))
    by_hash = {task.run.spec.hash: task for task in left}
    return [by_hash[run.spec.hash] for run in in_order([task.run for task in left])]


def task(
    plan: Plan,
    run: PlannedRun,
    folder: RunFolder,
    made_with: dict[str, Any],
    cache: Path,
    weights: Path | None,
) -> Task:
    """Return one run of a plan as a task, with paths that hold in any folder."""
    return Task(
        run,
        folder.path.absolute(),
        plan.dataset,
        plan.dataset_params,
        plan.protocol,
        plan.intervals,
        plan.plugins,
        made_with,
        cache.absolute(),
        weights and weights.absolute(),
    )


def prepare(
    plan: Plan,
    cache: Path,
    weights: Path | None,
    device: str,
    report: scoring.Progress = scoring.silent,
) -> tuple[str, ...]:
    """Make once, before any worker needs them: weights, dataset and real images' features.

    `report` hears how far the features are. Returns the notes on the dataset that the plan has
    not. Raises UserError where the weights or the dataset are missing or cannot be read, or the
    dataset's splits share pictures.
    """
    for folder in cache.glob("*/"):
        atomic.remove_leftovers(folder)
    arithmetic.limit_threads()
    scoring.prepare(plan.protocol, cache, weights)
    on = torch.device(device)
    source = parts.dataset(plan.dataset.name, plan.dataset_params, Plugins(plan.plugins))
    images = dataset.load(source, plan.dataset, cache, on)
    scorer = scoring.Scorer(plan.protocol, images, on, cache, weights, report)
    if plan.intervals.score:
        scorer.prepare_selection()
    return tuple(note for note in images.notes if note not in plan.dataset.notes)


def check_unchanged(
    runs: Sequence[PlannedRun], suite: SuiteFolder, registry: Plugins, keep_changed: bool
) -> None:
    """Raise UserError where a study's runs were made by other code of their method than now."""
    found = changed(runs, suite, registry)
    if found and not keep_changed:
        raise UserError(
            f"{_files(found)} changed since {_made(found)}; --keep-changed goes on with "
            f"{'it' if len(found) == 1 else 'them'}, --set name=NAME begins a study anew"
        )


def _settle_changes(
    found: list[tuple[RunFolder, str]], suite: SuiteFolder, choices: Choices
) -> None:
    if not found or choices.keep_changed:
        return
    if choices.rerun_changed:
        for folder, _ in found:
            suite.set_aside(folder)
        return
    raise UserError(
        f"{_files(found)} changed since {_made(found)} (the first is "
        f"{found[0][0].path.name}); --rerun-changed makes them anew, --keep-changed keeps them"
    )


def _files(found: list[tuple[RunFolder, str]]) -> str:
    return ", ".join(sorted({path for _, path in found}))


def _made(found: list[tuple[RunFolder, str]]) -> str:
    """Return how many runs were made before, as the end of a sentence."""
    return f"{len(found):,} of these runs {were(len(found))} made"
