"""The commands `run` and `plan`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lipbench.cli import plans, printing
from lipbench.cli.given import plan_of, planned, read_suite, study_of, suite_folder
from lipbench.cli.options import (
    DeviceOption,
    GpusOption,
    JsonOption,
    KeepOption,
    LogCheckpointsOption,
    OnlyOption,
    PluginOption,
    RetryOption,
    RunsOption,
    SetOption,
    SharersOption,
    SmallOption,
    SuiteArgument,
    TrackingOption,
    WeightsOption,
    WorkersOption,
)
from lipbench.cli.printing import say
from lipbench.cli.watching import prepare, seen_at, watch
from lipbench.outcome import Outcome
from lipbench.signals import STOPPED
from lipbench.urls import whole_tracking_uri
from lipbench.words import counted, listed

if TYPE_CHECKING:
    from lipbench.planning.plan import Plan
    from lipbench.runs.run import Task
    from lipbench.runs.suite_folder import SuiteFolder


def run(
    suite: SuiteArgument,
    small: SmallOption = False,
    set_: SetOption = None,
    only: OnlyOption = "",
    plugin: PluginOption = None,
    runs_dir: RunsOption = Path("runs"),
    device: DeviceOption = None,
    workers: WorkersOption = None,
    runs_per_gpu: SharersOption = 1,
    gpus_per_run: GpusOption = 1,
    inception_weights: WeightsOption = None,
    tracking_uri: TrackingOption = None,
    log_checkpoints: LogCheckpointsOption = False,
    retry_failed: RetryOption = False,
    rerun_changed: Annotated[
        bool, typer.Option(help="Make runs of methods whose code has changed anew.")
    ] = False,
    keep_changed: KeepOption = False,
) -> None:
    """Run a suite, or resume it: the same command again. Ctrl-C stops cleanly."""
    plan, registry, chosen = plan_of(suite, set_, only, plugin, small)

    from lipbench import paths
    from lipbench.engines import local
    from lipbench.runs import estimates, parallel, sweep
    from lipbench.runs.eta import Forecast

    folder = suite_folder(runs_dir, plan.name)
    cache = paths.cache_root()
    devices = local.slots(device, workers, runs_per_gpu, gpus_per_run)
    parallel.check(plan, gpus_per_run)
    choices = sweep.Choices(retry_failed, rerun_changed, keep_changed)
    with folder.locked() as remark:
        folder.check_kind(plan)
        sweep.adopt(plan, folder, registry)
        mended = folder.mend()
        uri = whole_tracking_uri(tracking_uri or folder.tracking_uri())
        mended += [*sweep.clear(plan.runs, folder), *sweep.mend(chosen, folder)]
        for line in [*([remark] if remark else []), *mended]:
            say(line, error=True)
        tasks = sweep.tasks(plan, chosen, folder, registry, choices, cache, inception_weights)
        say(_summary(plan, folder, tasks))
        printing.show_notes(plan.dataset.notes)
        if tasks:
            prepare(plan, cache, inception_weights, local.first(devices[0]))
        folder.save_plan(plan, uri)
        forecast = Forecast([t.run for t in tasks], len(devices), estimates.timings(runs_dir))
        mirror = (uri, folder, plan, log_checkpoints)
        seen = watch(local.execute(tasks, devices), mirror, len(tasks), forecast)
    _conclude(folder, seen.outcomes, len(tasks), uri)


def plan(
    suite: SuiteArgument,
    small: SmallOption = False,
    set_: SetOption = None,
    only: OnlyOption = "",
    plugin: PluginOption = None,
    runs_dir: RunsOption = Path("runs"),
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also measure the memory that runs take.")
    ] = False,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a suite would run, or how a study would search, without running it."""
    read = read_suite(suite, set_, plugin, small)
    if read[0].tune:
        study = study_of(*read)
        plans.show_study(study.plan, suite_folder(runs_dir, study.plan.name))
        return
    made, registry, chosen = planned(read, only)
    if as_json:
        print(json.dumps([{"id": r.id, "spec": r.spec.to_json()} for r in chosen], indent=1))
        return
    plans.show_plan(made, chosen, suite_folder(runs_dir, made.name))
    if verbose:
        plans.show_memory(chosen, registry, device)


def _conclude(folder: SuiteFolder, outcomes: dict[Outcome, int], asked: int, uri: str) -> None:
    """Say what comes next; exit with 1 if the machine failed a run, 130 if stopped."""
    from lipbench.cli.score_table import show_scores

    show_scores(folder.path, folder.plan())
    good = sum(n for outcome, n in outcomes.items() if outcome.is_result)
    bad = sum(n for outcome, n in outcomes.items() if outcome.is_failure)
    say(f"report:  lipbench report {folder.path}\nMLflow:  {seen_at(uri)}")
    if bad:
        say(
            f"{counted(bad, 'run')} failed: `lipbench status {folder.path}` says why, "
            "--retry-failed tries again",
            error=True,
        )
        raise typer.Exit(1)
    if good < asked:
        raise typer.Exit(STOPPED)


def _summary(plan: Plan, folder: SuiteFolder, tasks: Sequence[Task]) -> str:
    """Return one line on a plan and what of it is done."""
    from lipbench.runs import estimates
    from lipbench.runs.run_folder import Status

    statuses = folder.statuses()
    trained = sum(
        statuses.get(task.run.spec.hash, Status()).outcome == Outcome.COMPLETED for task in tasks
    )
    to_do = [f"{len(tasks) - trained} to do"] if trained < len(tasks) or not tasks else []
    to_do += [f"{trained} to score by {plan.protocol.id}"] if trained else []
    outcomes = ", ".join(
        f"{n} {outcome}" for outcome, n in estimates.counts(plan, statuses).items()
    )
    runs = counted(len(plan.unique), "run")
    return f"{plan.name}: {runs} ({outcomes}); {listed(to_do)} in {folder.path}"
