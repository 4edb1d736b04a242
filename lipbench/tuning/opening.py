"""Take up a study, or begin one: mend what is there, and make the tuner that says what is next."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lipbench.errors import UserError
from lipbench.planning.plan import Plan
from lipbench.plugins import Plugins
from lipbench.runs import sweep
from lipbench.runs.provenance import provenance
from lipbench.runs.suite_folder import SuiteFolder
from lipbench.tuning.storage import locate
from lipbench.tuning.study import Study
from lipbench.tuning.tuner import Tuner
from lipbench.urls import remembered, whole_tracking_uri, without_password


@dataclass(frozen=True)
class Options:
    """What a user says of the work on a study, besides the study's file."""

    storage: str | None = None  # in place of the file's
    tracking_uri: str | None = None  # in place of the folder's
    retry_failed: bool = False
    keep_changed: bool = False
    cache: Path = Path()
    weights: Path | None = None  # of the Inception network


@dataclass(frozen=True)
class OpenStudy:
    """A study that this process works on."""

    plan: Plan  # with the storage in use
    tuner: Tuner
    location: str  # of the storage
    tracking_uri: str
    remaining: int | None  # runs to do, where the budget is one of trials


def is_begun(folder: SuiteFolder) -> bool:
    """Return whether a study, or something else, has been begun in a folder."""
    return (folder.path / "plan.json").exists()


@contextlib.contextmanager
def open_study(
    study: Study,
    folder: SuiteFolder,
    registry: Plugins,
    options: Options,
    remark: Callable[[str], None],
) -> Iterator[OpenStudy]:
    """Yield a study, held together with the processes that work on it too, for the time of a with.

    `remark` gets a line on each thing that was repaired. Raises UserError where the folder holds
    something else, the study was begun in another storage, or its methods' code has changed.
    """
    given = options.storage or study.storage
    location = locate(given, folder.path)
    plan = study.recorded(without_password(remembered(given)))
    with contextlib.ExitStack() as stack:
        alone = stack.enter_context(folder.shared())
        folder.check_kind(plan)
        made_with = provenance()
        with folder.deciding():
            ledger = folder.ledger()
            if alone:
                sweep.adopt(replace(plan, runs=ledger.runs()), folder, registry)
            remarks = [*folder.mend(), *sweep.mend(ledger.runs(), folder, shared=True)]
            uri = whole_tracking_uri(options.tracking_uri or folder.tracking_uri())
            _check_storage(folder, plan)
            tuner = Tuner(
                study,
                folder,
                location,
                lambda run, at: sweep.task(
                    plan, run, at, made_with, options.cache, options.weights
                ),
                options.retry_failed,
                alone,
            )
            _remark([*remarks, *tuner.remarks], remark)
            folder.save_plan(plan, uri)
            runs = folder.plan().runs
            _remark(sweep.clear(runs, folder), remark)
            sweep.check_unchanged(runs, folder, registry, options.keep_changed)
        stack.callback(tuner.close)
        yield OpenStudy(plan, tuner, location, uri, tuner.remaining())


def _remark(lines: list[str], remark: Callable[[str], None]) -> None:
    for line in lines:
        remark(line)


def _check_storage(folder: SuiteFolder, plan: Plan) -> None:
    """Raise UserError where a study was begun in another storage."""
    if not is_begun(folder):
        return
    begun, now = folder.plan().tuning, plan.tuning
    if begun and now and begun.storage != now.storage:
        raise UserError(
            f"{folder.path} was begun with the storage {begun.storage}, not {now.storage}; give "
            "--storage as it was then"
        )
