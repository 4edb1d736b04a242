"""The command `tune`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lipbench.cli import completion, plans
from lipbench.cli.given import read_suite, study_of, suite_folder
from lipbench.cli.options import (
    DeviceOption,
    GpusOption,
    KeepOption,
    LogCheckpointsOption,
    PluginOption,
    RetryOption,
    RunsOption,
    SetOption,
    SharersOption,
    SmallOption,
    TrackingOption,
    WeightsOption,
    WorkersOption,
)
from lipbench.cli.printing import say
from lipbench.cli.watching import prepare, seen_at, watch
from lipbench.errors import UserError
from lipbench.signals import STOPPED
from lipbench.urls import remembered, without_password
from lipbench.words import counted

if TYPE_CHECKING:
    from lipbench.runs.suite_folder import SuiteFolder
    from lipbench.tuning.opening import OpenStudy
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
    small: SmallOption = False,
    set_: SetOption = None,
    plugin: PluginOption = None,
    runs_dir: RunsOption = Path("runs"),
    device: DeviceOption = None,
    workers: WorkersOption = None,
    runs_per_gpu: SharersOption = 1,
    gpus_per_run: GpusOption = 1,
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
    suite, document, registry = read_suite(study, set_, plugin, small)
    made = study_of(suite, document, registry)
    folder = suite_folder(runs_dir, made.plan.name)

    from lipbench import paths
    from lipbench.engines import local
    from lipbench.runs import estimates
    from lipbench.runs.eta import Forecast
    from lipbench.tuning import opening

    if not opening.is_begun(folder) and (resume or export_best):
        raise UserError(f"no study is in {folder.path} yet")
    if export_best:
        _export(folder, made, document, export_best)
        return
    cache = paths.cache_root()
    devices = local.slots(device, workers, runs_per_gpu, gpus_per_run)
    made.check_device(local.first(devices[0]))
    options = opening.Options(
        storage, tracking_uri, retry_failed, keep_changed, cache, inception_weights
    )
    with opening.open_study(made, folder, registry, options, partial(say, error=True)) as work:
        if work.remaining != 0:
            prepare(work.plan, cache, inception_weights, local.first(devices[0]))
        plans.show_study(work.plan, folder, work.remaining)
        forecast = Forecast([], len(devices), estimates.timings(runs_dir))
        forecast.expect(work.remaining or 0)
        mirror = (work.tracking_uri, folder, work.plan, log_checkpoints)
        events = local.execute_from(work.tuner, devices)
        seen = watch(events, mirror, work.remaining, forecast, work.tuner)
    _conclude(folder, work, seen.stopped)


def _conclude(folder: SuiteFolder, work: OpenStudy, interrupted: bool) -> None:
    """Say what comes next; exit with 1 if the machine failed a run, 130 if stopped."""
    from lipbench.cli.status import show_found

    show_found(folder.path, folder.plan())
    statuses = folder.statuses()
    planned = {run.spec.hash for run in folder.plan().runs}
    failed = sum(statuses[hash_].outcome.is_failure for hash_ in planned & statuses.keys())
    say(f"report:  lipbench report {folder.path}")
    say(f"storage: optuna-dashboard {without_password(work.location)}")
    say(f"MLflow:  {seen_at(work.tracking_uri)}")
    if failed:
        say(
            f"{counted(failed, 'run')} failed, which is no trial's value: "
            f"`lipbench status {folder.path}` says why, --retry-failed tries again",
            error=True,
        )
        raise typer.Exit(1)
    if interrupted:
        raise typer.Exit(STOPPED)


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
