"""The command `tune`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lipbench.cli import completion, printing
from lipbench.cli.given import read_suite, store_uri, study_of, suite_folder
from lipbench.cli.options import (
    DeviceOption,
    KeepOption,
    LogCheckpointsOption,
    PluginOption,
    RetryOption,
    RunsOption,
    SetOption,
    SharersOption,
    TrackingOption,
    WeightsOption,
    WorkersOption,
)
from lipbench.cli.printing import say
from lipbench.cli.watching import display_of, prepare, seen_at, watch
from lipbench.errors import UserError
from lipbench.signals import STOPPED
from lipbench.urls import remembered, without_password
from lipbench.words import counted

if TYPE_CHECKING:
    from lipbench.planning.plan import Plan
    from lipbench.runs.store import SuiteFolder
    from lipbench.tuning.study import Study
    from lipbench.yamlmarks import Document


def tune(
    study: Annotated[
        str,
        typer.Argument(
            metavar="STUDY",
            help="A study's file, or an installed one's name.",
            autocompletion=completion.suites,
        ),
    ],
    set_: SetOption = None,
    plugin: PluginOption = None,
    runs_dir: RunsOption = Path("runs"),
    device: DeviceOption = None,
    workers: WorkersOption = None,
    runs_per_gpu: SharersOption = 1,
    inception_weights: WeightsOption = None,
    tracking_uri: TrackingOption = None,
    log_checkpoints: LogCheckpointsOption = False,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="LIPBENCH_STORAGE",
            help="journal, sqlite, or a database's URL. Default: the study's tune.storage.",
            callback=lambda url: url and remembered(url),
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a study; never begin one.")
    ] = False,
    retry_failed: RetryOption = False,
    keep_changed: KeepOption = False,
    export_best: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write each method's best configuration; run nothing."),
    ] = None,
) -> None:
    """Search each method's hyperparameters with the same budget: a study, through Optuna.

    The same command goes on with a study that was stopped or killed, and several of them, in
    different terminals or on different machines that share RUNS_DIR, work on one together.
    """
    suite, document, registry = read_suite(study, set_, plugin)
    made = study_of(suite, document, registry)
    folder = suite_folder(runs_dir, made.plan.name)
    begun = (folder.path / "plan.json").exists()
    if not begun and (resume or export_best):
        raise UserError(f"no study is in {folder.path} yet")
    if export_best:
        _export(folder, made, document, export_best)
        return

    from lipbench import paths
    from lipbench.engines import local
    from lipbench.runs import estimates, sweep
    from lipbench.runs.eta import Forecast
    from lipbench.runs.provenance import provenance
    from lipbench.tuning.storage import locate
    from lipbench.tuning.tuner import Tuner

    cache = paths.cache_root()
    devices = local.slots(device, workers, runs_per_gpu)
    made.check_device(devices[0])
    location = locate(storage or made.storage, folder.path)
    plan = made.recorded(without_password(remembered(storage or made.storage)))
    with contextlib.ExitStack() as stack:
        alone = stack.enter_context(folder.shared())
        folder.check_kind(plan)
        made_with = provenance()
        with folder.deciding():
            remarks = [*folder.mend(), *sweep.mend(folder.ledger().runs(), folder, shared=True)]
            uri = store_uri(tracking_uri, folder)
            _check_storage(folder, plan)
            tuner = Tuner(
                made,
                folder,
                location,
                lambda r, f: sweep.task(plan, r, f, made_with, cache, inception_weights),
                retry_failed,
                alone,
            )
            for line in [*remarks, *tuner.remarks]:
                say(line, error=True)
            folder.save_plan(plan, uri)
            runs = folder.plan().runs
            for line in sweep.clear(runs, folder):
                say(line, error=True)
            sweep.check_unchanged(runs, folder, registry, keep_changed)
        left = tuner.left()
        if left != 0:
            prepare(plan, cache, inception_weights, devices[0])
        printing.show_study(plan, folder, left)
        stack.callback(tuner.close)
        forecast = Forecast([], len(devices), estimates.timings(runs_dir))
        forecast.expect(left or 0)
        display = display_of(plan, left, forecast)
        mirror = (uri, folder, plan, log_checkpoints)
        watch(local.execute_from(tuner, devices), mirror, display, tuner)
    _conclude(folder, location, uri, display.stopped)


def _conclude(folder: SuiteFolder, location: str, uri: str, interrupted: bool) -> None:
    """Say what comes next; exit with 1 if the machine failed a run, 130 if stopped."""
    from lipbench.cli.status import show_found

    show_found(folder.path, folder.plan())
    statuses = folder.statuses()
    planned = {run.spec.hash for run in folder.plan().runs}
    failed = sum(statuses[hash_].outcome.is_failure for hash_ in planned & statuses.keys())
    say(f"report:  lipbench report {folder.path}")
    say(f"storage: optuna-dashboard {without_password(location)}")
    say(f"MLflow:  {seen_at(uri)}")
    if failed:
        say(
            f"{counted(failed, 'run')} failed, which is no trial's value: "
            f"`lipbench status {folder.path}` says why, --retry-failed tries again",
            error=True,
        )
        raise typer.Exit(1)
    if interrupted:
        raise typer.Exit(STOPPED)


def _check_storage(folder: SuiteFolder, plan: Plan) -> None:
    """Raise UserError where a study was begun in another storage."""
    if not (folder.path / "plan.json").exists():
        return
    begun, now = folder.plan().tuning, plan.tuning
    if begun and now and begun.storage != now.storage:
        raise UserError(
            f"{folder.path} was begun with the storage {begun.storage}, not {now.storage}; give "
            "--storage as it was then"
        )


def _export(folder: SuiteFolder, made: Study, document: Document, target: Path) -> None:
    """Write what a study found as a suite's file."""
    from lipbench import atomic
    from lipbench.results.frame import load_runs, load_trials
    from lipbench.tuning import export

    if target.exists():
        raise UserError(f"{target} is there already; name another file")
    if not target.parent.is_dir():
        raise UserError(f"there is no folder {target.parent}")
    folder.check_kind(made.plan)
    plan = folder.plan()
    chosen = export.best(plan, load_runs(folder.path), load_trials(folder.path))
    export.check(made, chosen)
    atomic.replace_text(target, export.suite(document, plan, chosen))
    say(f"{target}: {', '.join(chosen)}\nlipbench run {target}")
