"""The `lipbench` command. Only this module and its display print.

Imports that cost time (torch, pandas, MLflow) stand in the commands that need them.
"""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from lipbench import signals
from lipbench.cli import completion, printing
from lipbench.cli.options import (
    Checkpoint,
    CheckpointOption,
    Checkpoints,
    DeviceOption,
    JsonOption,
    KeepOption,
    LogCheckpointsOption,
    LossName,
    MethodName,
    OnlyOption,
    PluginOption,
    ProtocolName,
    ResultsArgument,
    ResultsArguments,
    RetryOption,
    RunsArgument,
    RunsOption,
    SetOption,
    SharersOption,
    SuiteArgument,
    SuiteName,
    TrackingOption,
    VersionOption,
    WeightsOption,
    WorkersOption,
)
from lipbench.cli.printing import say
from lipbench.errors import STORAGE_ERRORS, Mark, UserError
from lipbench.urls import is_masked, masked, remembered, without_password
from lipbench.words import are, counted

if TYPE_CHECKING:
    from rich.console import Console

    from lipbench.cli.display import Display
    from lipbench.engines.local import Event
    from lipbench.planning.plan import Plan, PlannedRun
    from lipbench.planning.suite import Suite
    from lipbench.plugins import Registry
    from lipbench.protocols import Protocol
    from lipbench.reporting.command import Report
    from lipbench.runs.eta import Forecast
    from lipbench.runs.restore import Found
    from lipbench.runs.run import Resources
    from lipbench.runs.store import SuiteFolder
    from lipbench.scoring import ScoreRecord
    from lipbench.tuning.study import Study
    from lipbench.tuning.tuner import Tuner
    from lipbench.yamlmarks import Document

T = TypeVar("T")

_STOPPED = 130  # the exit code of a command that a signal has stopped
_WORTH_MIRRORING = ("started", "scored", "finished")

# The groups of `--help`, in its order.
_RUN = "Run"
_LOOK = "Look at results"
_AGAIN = "Score and measure again"
_WHAT = "What there is, and your own methods"

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Compare the ways of controlling a GAN discriminator's Lipschitz constant.",
    epilog="Start with: lipbench run quickstart, then: lipbench report runs/quickstart",
)


_MANY_RUNS = 2000  # whose planning takes longer than a moment


def main() -> None:
    """Run the command line; a user's mistake is one or two lines and exit code 2."""
    try:
        with signals.raised(), _shown_damage():
            app()
    except UserError as error:
        say(f"error: {error}", error=True)
        sys.exit(2)
    except signals.Stopped as stopped:
        if not stopped.by_keyboard:
            say(f"stopped by {stopped}", error=True)
        sys.exit(_STOPPED)
    except OSError as error:
        if error.errno not in STORAGE_ERRORS:
            raise
        say(f"error: cannot write {error.filename}: {error.strerror}", error=True)
        sys.exit(2)
    finally:
        printing.flush()


@contextlib.contextmanager
def _shown_damage() -> Iterator[None]:
    """Print what was left out of damaged results in a line each, once."""
    shown: set[str] = set()
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any) -> None:
            if category.__name__ != "DamageWarning":  # its module is not imported by every command
                usual(message, category, *where)
            elif str(message) not in shown:
                shown.add(str(message))
                say(str(message), error=True)

        warnings.showwarning = show  # type: ignore[assignment]
        yield


@app.callback()
def _app(version: VersionOption = False) -> None:
    pass


@app.command(rich_help_panel=_RUN)
def run(
    suite: SuiteArgument,
    set_: SetOption = None,
    only: OnlyOption = "",
    plugin: PluginOption = None,
    runs_dir: RunsOption = Path("runs"),
    device: DeviceOption = None,
    workers: WorkersOption = None,
    runs_per_gpu: SharersOption = 1,
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
    plan, registry, chosen = _plan(suite, set_, only, plugin)

    from lipbench import paths
    from lipbench.engines import local
    from lipbench.runs import estimates, sweep
    from lipbench.runs.eta import Forecast

    folder = _suite_folder(runs_dir, plan.name)
    cache = paths.cache_root()
    devices = local.slots(device, workers, runs_per_gpu)
    choices = sweep.Choices(retry_failed, rerun_changed, keep_changed)
    with folder.locked() as remark:
        folder.check_kind(plan)
        sweep.adopt(plan, folder, registry)
        mended = folder.mend()
        uri = _tracking_uri(tracking_uri, folder)
        mended += [*sweep.clear(plan.runs, folder), *sweep.mend(chosen, folder)]
        for line in [*([remark] if remark else []), *mended]:
            say(line, error=True)
        tasks = sweep.tasks(plan, chosen, folder, registry, choices, cache, inception_weights)
        say(_summary(plan, folder, len(tasks)))
        printing.show_notes(plan.dataset.notes)
        if tasks:
            _prepare(plan, cache, inception_weights, devices[0])
        folder.save_plan(plan, uri)
        forecast = Forecast([t.run for t in tasks], len(devices), estimates.timings(runs_dir))
        display = _display(plan, len(tasks), forecast)
        mirror = (uri, folder, plan, log_checkpoints)
        outcomes = _watch(local.execute(tasks, devices), mirror, display)
    _conclude(folder, outcomes, len(tasks), uri)


@app.command(rich_help_panel=_RUN)
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
    suite, document, registry = _read(study, set_, plugin)
    made = _resolved_study(suite, document, registry)
    folder = _suite_folder(runs_dir, made.plan.name)
    begun = (folder.path / "plan.json").exists()
    if not begun and (resume or export_best):
        raise UserError(f"no study is in {folder.path} yet")
    if export_best:
        _export(folder, made, document, export_best)
        return

    from lipbench import paths
    from lipbench.engines import local
    from lipbench.runs import estimates, run, sweep
    from lipbench.runs.eta import Forecast
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
        made_with = run.provenance()
        with folder.deciding():
            remarks = [*folder.mend(), *sweep.mend(folder.ledger().runs(), folder, claimed=True)]
            uri = _tracking_uri(tracking_uri, folder)
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
            _prepare(plan, cache, inception_weights, devices[0])
        printing.show_study(plan, folder, left)
        stack.callback(tuner.close)
        forecast = Forecast([], len(devices), estimates.timings(runs_dir))
        forecast.expect(left or 0)
        display = _display(plan, left, forecast)
        mirror = (uri, folder, plan, log_checkpoints)
        _watch(local.execute_from(tuner, devices), mirror, display, tuner)
    _conclude_study(folder, location, uri, display.stopped)


@app.command(rich_help_panel=_RUN)
def plan(
    suite: SuiteArgument,
    set_: SetOption = None,
    only: OnlyOption = "",
    plugin: PluginOption = None,
    runs_dir: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Show what a suite would run, or how a study would search, without running it."""
    read = _read(suite, set_, plugin)
    if read[0].tune:
        study = _resolved_study(*read)
        printing.show_study(study.plan, _suite_folder(runs_dir, study.plan.name))
        return
    made, _, chosen = _planned(read, only)
    if as_json:
        print(json.dumps([{"id": r.id, "spec": r.spec.to_json()} for r in chosen], indent=1))
        return
    printing.show_plan(made, chosen, _suite_folder(runs_dir, made.name))


@app.command(rich_help_panel=_LOOK)
def status(results: ResultsArgument, as_json: JsonOption = False) -> None:
    """Show how the runs stand, their scores so far, and why some have none."""
    from lipbench.cli.status import show_status

    show_status(results, as_json)


@app.command(rich_help_panel=_LOOK)
def report(
    results: ResultsArguments,
    protocol: Annotated[
        str | None,
        typer.Option(metavar="NAME_OR_FILE", help="One that `lipbench eval` scored runs under."),
    ] = None,
    where: Annotated[
        str,
        typer.Option(
            metavar="CONDITION",
            help="Only runs like that: 'lr <= 1e-3 and seed < 3', of runs.csv.",
        ),
    ] = "",
    methods: Annotated[
        list[str] | None, typer.Option(metavar="SN,WGAN-GP", help="Only these methods.")
    ] = None,
    metric: Annotated[
        str, typer.Option(metavar="SCORE", help="Rank by this score of the protocol.")
    ] = "",
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where to write it.")] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Render again as runs end; Ctrl-C stops.")
    ] = False,
    tracking_uri: TrackingOption = None,
) -> None:
    """Render tables and figures to RESULTS/report/, also while the suite is running.

    Several RESULTS are compared: two versions of the code, or yours and a reference.
    """
    from lipbench.reporting import command
    from lipbench.runs.store import SuiteFolder

    by = _found(protocol, SuiteFolder(results[0]).plan()) if protocol else None
    asked = command.Asked(tuple(results), by, where, command.split(methods or ()), metric, out)
    if watch:
        with contextlib.suppress(KeyboardInterrupt):
            command.watch(asked, _say_report)
        return
    _say_report(command.make(asked))
    if asked.folder != results[0] / "report":
        return
    problem = _track_report(results[0], tracking_uri)
    if problem:
        say(f"MLflow did not take the report ({problem})", error=True)


@app.command("eval", rich_help_panel=_AGAIN)
def evaluate(
    runs: RunsArgument,
    protocol: Annotated[
        str | None,
        typer.Option(
            metavar="NAME_OR_FILE",
            help="A protocol. Default: each suite's own.",
            autocompletion=completion.protocols,
        ),
    ] = None,
    checkpoint: CheckpointOption = Checkpoints.LAST,
    device: DeviceOption = None,
    inception_weights: WeightsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score trained runs again, under another protocol too; `report --protocol` shows it."""
    from lipbench import paths
    from lipbench.runs import finished, restore

    found = restore.find(runs)
    used = {run.plan.dataset: _found(protocol, run.plan) for run in found} if protocol else {}
    wanted = ["last", "best"] if checkpoint is Checkpoints.BOTH else [checkpoint.value]
    resources, cache = _resources(device), paths.cache_root()
    rows: list[dict[str, Any]] = []

    def score(run: Found) -> list[tuple[Protocol, ScoreRecord]]:
        by = used.get(run.plan.dataset)
        return finished.evaluate(run, by, wanted, resources, cache, inception_weights)

    with _locked(found), _printed(rows, as_json):
        for run, records in _each(found, score):
            for by, record in records:
                rows.append({"run_id": run.folder.path.name, **record.to_json()})
                if not as_json:
                    printing.show_record(run, by, record)


@app.command(rich_help_panel=_AGAIN)
def audit(
    runs: RunsArgument,
    images: Annotated[
        int, typer.Option(min=2, help="Training, held-out and generated images, of each.")
    ] = 256,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the Lipschitz facts of trained discriminators: layers, bounds, gradients, logits."""
    from lipbench import paths
    from lipbench.runs import finished, restore

    found = restore.find(runs)
    resources, cache = _resources(device), paths.cache_root()
    rows: list[dict[str, Any]] = []
    with _locked(found), _printed(rows, as_json):
        for run, facts in _each(found, lambda r: finished.audit(r, images, resources, cache)):
            rows.append({"run_id": run.folder.path.name, **facts})
            if not as_json:
                printing.show_audit(run, facts)


@app.command(rich_help_panel=_AGAIN)
def sample(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="A run's folder.", autocompletion=completion.results),
    ],
    out: Annotated[
        Path, typer.Option(help="A grid (a .png), or else a folder of single images.")
    ] = Path("samples.png"),
    count: Annotated[int, typer.Option(min=1, help="Images.")] = 100,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of latents. Default: the run's.")
    ] = None,
    checkpoint: Annotated[Checkpoint, typer.Option(help="Which generator draws.")] = (
        Checkpoint.LAST
    ),
    device: DeviceOption = None,
) -> None:
    """Draw images from a trained generator: a grid, or a folder of files."""
    from lipbench import paths
    from lipbench.runs import finished, pictures, restore

    if (run / "plan.json").is_file():
        raise UserError(f"{run} is a suite's results; name one of the runs in {run / 'runs'}")
    if out.suffix and out.suffix != ".png":
        raise UserError(f"{out}: a grid is a .png file; a name without a suffix is a folder")
    found = restore.find([run])
    chosen = found[0].folder.spec().seed if seed is None else seed
    images, update = finished.sample(
        found[0], checkpoint.value, count, chosen, _resources(device), paths.cache_root()
    )
    if out.suffix == ".png":
        pictures.save(out, pictures.grid(images))
    else:
        pictures.save_each(out, images)
    say(f"{counted(count, 'image')} of update {update:,}: {out}")


@app.command(rich_help_panel=_AGAIN)
def cost(
    suite: SuiteArgument,
    set_: SetOption = None,
    only: OnlyOption = "",
    plugin: PluginOption = None,
    runs_dir: RunsOption = Path("runs"),
    image_size: Annotated[
        list[int] | None, typer.Option(metavar="PIXELS", help="Default: 32 and 48.")
    ] = None,
    n_dis: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Updates of D for each of G. Default: 1 and 5."),
    ] = None,
    power_iterations: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Of methods that take their number. Default: 1 and 5."),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Times that each case is timed.")] = 3,
    width: Annotated[
        float | None, typer.Option(help="In place of the suite's architecture.width.")
    ] = None,
    device: DeviceOption = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of the CPU. Default: 1, as a run has.")
    ] = None,
) -> None:
    """Time the suite's methods side by side, on random images; nothing is trained to an end."""
    widened = [] if width is None else [f"architecture.width={width}"]
    plan, registry, chosen = _plan(suite, [*(set_ or []), *widened], only, plugin)

    import torch

    from lipbench.cost import side_by_side
    from lipbench.engines import local

    on = torch.device(local.slots(device, 1, 1)[0])
    if threads or on.type == "cpu":
        torch.set_num_threads(threads or 1)
    cases = side_by_side.cases(
        chosen, registry, image_size or (32, 48), n_dis or (1, 5), power_iterations or (1, 5)
    )
    folder = _suite_folder(runs_dir, plan.name)
    samples = printing.follow_cost(
        side_by_side.measure(cases, registry, on, rounds), len(cases), rounds, on
    )
    measured = side_by_side.report(side_by_side.rows(samples), cases[0].run, on, rounds)
    folder.save_cost(measured)
    printing.show_cost(measured)
    say(f"cost:    {folder.path / 'cost.json'}")


@app.command(rich_help_panel=_WHAT)
def methods(
    name: MethodName = None,
    plugin: PluginOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the installed methods and those of your own files, or show one's card."""
    from lipbench.plugins import Registry

    registry = Registry("methods", plugin or [])
    _load_own(registry)
    if name:
        from lipbench.cli import cards

        with printing.aside():
            card = cards.describe(name, registry)
        _print_json(card) if as_json else printing.show_card(card)
        return
    rows = [(found.name, *found.summary, found.origin) for found in registry.by_name()]
    if as_json:
        keys = ("name", "label", "summary", "origin")
        print(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=1))
    else:
        printing.show_methods(rows)


@app.command(rich_help_panel=_WHAT)
def suites(name: SuiteName = None, as_json: JsonOption = False) -> None:
    """List the installed suites and studies with their size, or show one's card."""
    from lipbench.cli import listing

    listing.suites(name, as_json)


@app.command(rich_help_panel=_WHAT)
def protocols(name: ProtocolName = None, as_json: JsonOption = False) -> None:
    """List the protocols, which say how scores are computed, or show one's record."""
    from lipbench.cli import listing

    listing.protocols(name, as_json)


@app.command(rich_help_panel=_WHAT)
def losses(name: LossName = None, as_json: JsonOption = False) -> None:
    """List the adversarial losses, or show one's parameters and source."""
    from lipbench.cli import listing

    listing.losses(name, as_json)


@app.command(rich_help_panel=_WHAT)
def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="METHOD",
            help="By name; if none is named, those of --plugin.",
            autocompletion=completion.methods,
        ),
    ] = None,
    plugin: PluginOption = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Change a hyperparameter."),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every installed method.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show the traceback of an error.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Examine methods: does each do what it must, and what it claims? Exit code 1 if one fails."""
    from lipbench.plugins import Registry

    registry = Registry("methods", plugin or [])
    own = [path.stem for path in registry.files()]
    chosen = list(registry.plugins) if all_ else names or own
    if not chosen:
        raise UserError("name a method to check, or give a --plugin, or --all")

    import torch

    from lipbench import exam
    from lipbench.cli import cards
    from lipbench.planning import resolve

    torch.set_num_threads(1)  # as in a worker
    params = _assigned(set_ or [])
    results, failed = [], False
    for name in _apart(chosen, as_json):
        if "+" in name:
            raise UserError("methods are examined one by one, not in combinations")
        method = resolve.instance(name, params, registry)
        cards.papers(registry[name])
        lines = []
        if not as_json:
            say(f"{name} ({method.label})")
        for line in exam.examine(method):
            lines.append(line)
            if not as_json:
                printing.show_line(line, verbose)
        passed = all(line.passed for line in lines)
        failed = failed or not passed
        cost = exam.cost(method) if passed else None
        if not as_json:
            printing.show_exam(lines, cost)
        results.append({"method": name, "params": params, "cases": lines, "cost": cost})
    if as_json:
        _print_json(results)
    if failed:
        raise typer.Exit(1)


@app.command(rich_help_panel=_WHAT)
def new_method(
    name: Annotated[str, typer.Argument(help="The method's name in suites: small_letters.")],
) -> None:
    """Write a method of your own and its test into the current folder; both run as they are."""
    import importlib.util

    from lipbench import scaffold
    from lipbench.plugins import Registry

    if name in Registry("methods").plugins:
        raise UserError(f"the name {name!r} is taken by an installed method")
    if name.isidentifier() and importlib.util.find_spec(name):
        raise UserError(f"the name {name!r} is that of a Python module, which the file would hide")
    file, test = scaffold.write(name, Path())
    say(
        f"{file}: the method, {test}: its tests\n"
        f"lipbench check --plugin {file}\n"
        f"pytest {test}\n"
        f"lipbench run quickstart --plugin {file} --set methods=[none,{name}]"
    )


@app.command(rich_help_panel=_LOOK)
def sync(
    results: ResultsArgument,
    tracking_uri: TrackingOption = None,
    log_checkpoints: LogCheckpointsOption = False,
) -> None:
    """Send all results to MLflow again; what is there already stays as it is."""
    from lipbench.runs.records import Damaged
    from lipbench.runs.store import SuiteFolder
    from lipbench.tracking import Mirror

    folder = SuiteFolder(results)
    made = folder.plan()
    uri = _tracking_uri(tracking_uri, folder)
    planned = {run.spec.hash for run in made.runs}
    sent, damaged = 0, 0
    try:
        mirror = Mirror(uri, folder, made, log_checkpoints)
        for hash_ in folder.folders():
            if hash_ not in planned:
                continue
            try:
                mirror.send(hash_)
                sent += 1
            except Damaged as damage:
                damaged += 1
                say(f"{damage}: this run was not sent", error=True)
        if (results / "report" / "index.html").exists():
            mirror.send_report(results / "report")
    except Exception as error:
        problem = _first_line(error, uri)
        raise UserError(f"MLflow at {uri} did not take it ({problem})") from error
    for remark in mirror.remarks:
        say(remark)
    say(f"{counted(sent, 'run')} {are(sent)} in {uri}, experiment {mirror.name}")
    if damaged:
        raise typer.Exit(1)


def _found(protocol: str, plan: Plan) -> Protocol:
    """Return the protocol that a user names, for the dataset of a plan."""
    from lipbench import protocols

    sizes = protocols.Sizes(plan.dataset.n_train, plan.dataset.n_test)
    return protocols.find(protocol, sizes)


def _plan(
    given: str, set_: list[str] | None, only: str, files: list[Path] | None
) -> tuple[Plan, Registry, list[PlannedRun]]:
    """Return a suite's plan, its methods (also from beside its file), and the runs asked for."""
    return _planned(_read(given, set_, files), only)


def _planned(
    read: tuple[Suite, Document, Registry], only: str
) -> tuple[Plan, Registry, list[PlannedRun]]:
    from lipbench import paths
    from lipbench.planning import only as only_
    from lipbench.planning import resolve

    suite, document, registry = read

    _load_own(registry)
    runs = resolve.count(suite, document)
    if runs > _MANY_RUNS:
        say(f"planning {runs:,} runs", error=True)
    with printing.aside():
        made = resolve.plan(suite, document, registry, paths.cache_root())
    return made, registry, only_.chosen(made, only)


def _read(
    given: str, set_: list[str] | None, files: list[Path] | None
) -> tuple[Suite, Document, Registry]:
    """Return a suite or study as its file says it, and the methods, also from beside the file."""
    from lipbench.planning import suite as suites
    from lipbench.plugins import Registry

    path = suites.find(given)
    suite, document = suites.read(path, set_ or [])
    beside = sorted((path.parent / "methods").glob("[!_]*.py"))
    return suite, document, Registry("methods", [*(files or []), *beside])


def _resolved_study(suite: Suite, document: Document, registry: Registry) -> Study:
    from lipbench import paths
    from lipbench.tuning.study import study

    _load_own(registry)
    return study(suite, document, registry, paths.cache_root())


def _load_own(registry: Registry) -> None:
    """Import the user's own files, so that one with a mistake is told of, used or not."""
    for plugin in registry.own():
        from lipbench.method import Method  # imports torch
        from lipbench.runs import process_state

        with process_state.kept(), printing.aside():
            plugin.load(Method)


def _apart(names: Iterable[str], as_json: bool) -> Iterator[str]:
    """Yield methods to work on, undoing before the next what the work on one has changed."""
    from lipbench.runs import process_state

    for name in names:
        with process_state.kept(), printing.aside(as_json):
            yield name


def _assigned(assignments: list[str]) -> dict[str, Any]:
    """Return hyperparameters from FIELD=VALUE, with values as YAML."""
    from lipbench.yamlmarks import Document

    document = Document({}, "--set")
    for assignment in assignments:
        field, equals, _ = assignment.partition("=")
        if not equals or "." in field:
            raise UserError("write FIELD=VALUE", Mark(f"--set {assignment[:80]}"))
        document.set(assignment)
    fields: dict[str, Any] = document.data
    return fields


def _print_json(value: Any) -> None:
    """Print dataclasses and what holds them."""
    import dataclasses

    print(json.dumps(value, indent=1, default=dataclasses.asdict))


def _resources(device: str | None) -> Resources:
    """Return what one process needs to work on one device."""
    import torch

    from lipbench.cli.display import Steps
    from lipbench.engines import local
    from lipbench.runs.run import Resources, limit_threads

    limit_threads()
    on = torch.device(local.slots(device, 1, 1)[0])
    return Resources(on, Steps(lambda line: say(line, error=True)))


def _each(found: Sequence[Found], work: Callable[[Found], T]) -> Iterator[tuple[Found, T]]:
    """Yield what is made of each run; of several, one that cannot is told of and passed over."""
    failed = 0
    for run in found:
        try:
            for line in run.folder.mend_rows(run.folder.spec().budget.generator_updates):
                say(line, error=True)
            with printing.aside():
                made = work(run)
            yield run, made
        except UserError as error:
            if len(found) == 1:
                raise
            failed += 1
            say(f"{run.folder.path.name}: {error}", error=True)
    if failed:
        raise typer.Exit(1)


@contextlib.contextmanager
def _printed(rows: list[dict[str, Any]], as_json: bool) -> Iterator[None]:
    """Print rows as JSON in the end, also where some of several runs were passed over."""
    passed_over = None
    try:
        yield
    except typer.Exit as exit_:
        passed_over = exit_
    if as_json:
        _print_json(rows)
    if passed_over:
        raise passed_over


@contextlib.contextmanager
def _locked(found: Sequence[Found]) -> Iterator[None]:
    """Hold the results that some runs belong to, so that no `lipbench run` writes there."""
    from lipbench.runs.store import SuiteFolder

    with contextlib.ExitStack() as stack:
        for path in sorted({run.folder.path.absolute().parent.parent for run in found}):
            if remark := stack.enter_context(SuiteFolder(path).locked()):
                say(remark, error=True)
        yield


def _suite_folder(runs_dir: Path, name: str) -> SuiteFolder:
    from lipbench.runs.store import SuiteFolder

    return SuiteFolder(runs_dir / name)


def _prepare(plan: Plan, cache: Path, weights: Path | None, device: str) -> None:
    """Make what all runs need, showing how far that is, and print notes on the dataset."""
    from lipbench.cli.display import preparing
    from lipbench.runs import sweep

    with preparing(_console()) as report:
        notes = sweep.prepare(plan, cache, weights, device, report)
    printing.show_notes(notes)


def _display(plan: Plan, total: int | None, forecast: Forecast) -> Display:
    from lipbench.cli.display import Display

    primary = plan.tuning.objectives[0].name if plan.tuning else plan.protocol.primary
    return Display(_console(), total, forecast, primary)


def _console() -> Console:
    from rich.console import Console

    output = printing.Output(sys.stdout)
    return Console(highlight=False, markup=False, file=output)  # type: ignore[arg-type]


def _watch(
    events: Generator[Event],
    mirror: tuple[str, SuiteFolder, Plan, bool],
    display: Display,
    tuner: Tuner | None = None,
) -> dict[str, int]:
    """Show and mirror what happens, and tell a study's tuner; return how many runs ended how."""
    from collections import Counter

    from lipbench.tracking import Courier

    uri, folder, *_ = mirror
    courier = Courier(*mirror)
    outcomes: Counter[str] = Counter()
    try:
        with contextlib.closing(events), display.live():  # whatever happens here ends the workers
            for event in events:
                if event.kind == "finished" and event.task:
                    outcomes[event.facts["outcome"]] += 1
                    if tuner:
                        tuner.finished(event.task)
                        display.expect(tuner.left())
                display.show(event)
                if event.kind in _WORTH_MIRRORING and event.task:
                    courier.send(event.task.run.spec.hash)
    finally:
        courier.close()
    for remark in courier.remarks:
        say(remark, error=True)
    if courier.problem:
        say(
            f"MLflow at {uri} missed something ({courier.problem}); nothing is lost: "
            f"`lipbench sync {folder.path}` sends it again",
            error=True,
        )
    return outcomes


def _conclude_study(folder: SuiteFolder, location: str, uri: str, interrupted: bool) -> None:
    """Say what comes next; exit with 1 if the machine failed a run, 130 if stopped."""
    from lipbench.cli.status import show_found
    from lipbench.runs.store import ENDED, RESULTS

    show_found(folder.path, folder.plan())
    statuses = folder.statuses()
    planned = {run.spec.hash for run in folder.plan().runs}
    outcomes = [status.outcome for h, status in statuses.items() if h in planned]
    failed = sum(outcome in ENDED and outcome not in RESULTS for outcome in outcomes)
    say(f"report:  lipbench report {folder.path}")
    say(f"storage: optuna-dashboard {without_password(location)}")
    say(f"MLflow:  {_seen_at(uri)}")
    if failed:
        say(
            f"{counted(failed, 'run')} failed, which is no trial's value: "
            f"`lipbench status {folder.path}` says why, --retry-failed tries again",
            error=True,
        )
        raise typer.Exit(1)
    if interrupted:
        raise typer.Exit(_STOPPED)


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


def _confirms(run: PlannedRun) -> bool:
    return run.trial is not None and run.trial.confirms


def _seen_at(uri: str) -> str:
    return uri if uri.startswith("http") else f"mlflow ui --backend-store-uri {uri}"


def _conclude(folder: SuiteFolder, outcomes: dict[str, int], asked: int, uri: str) -> None:
    """Say what comes next; exit with 1 if the machine failed a run, 130 if stopped."""
    from lipbench.cli.score_table import show_scores
    from lipbench.runs.store import RESULTS

    show_scores(folder.path, folder.plan())
    good = sum(outcomes.get(outcome, 0) for outcome in RESULTS)
    bad = sum(outcomes.values()) - good - outcomes.get("interrupted", 0)
    say(f"report:  lipbench report {folder.path}\nMLflow:  {_seen_at(uri)}")
    if bad:
        say(
            f"{counted(bad, 'run')} failed: `lipbench status {folder.path}` says why, "
            "--retry-failed tries again",
            error=True,
        )
        raise typer.Exit(1)
    if good < asked:
        raise typer.Exit(_STOPPED)


def _summary(plan: Plan, folder: SuiteFolder, to_do: int) -> str:
    """Return one line on a plan and what of it is done."""
    from lipbench.runs import estimates

    outcomes = ", ".join(f"{n} {outcome}" for outcome, n in estimates.counts(plan, folder).items())
    runs = counted(len(plan.unique), "run")
    return f"{plan.name}: {runs} ({outcomes}); {to_do} to do in {folder.path}"


def _say_report(made: Report) -> None:
    more = f" ({counted(made.unfinished, 'run')} to come)" if made.unfinished else ""
    say(f"report: {made.page}{' (nothing has changed)' if made.as_it_was else more}")


def _track_report(results: Path, given: str | None) -> str | None:
    """Send the report to MLflow; return what went wrong, if anything did."""
    from lipbench.runs.store import SuiteFolder
    from lipbench.tracking import Mirror

    folder = SuiteFolder(results)
    try:
        uri = _tracking_uri(given, folder)
    except UserError as error:
        return str(error)
    try:
        mirror = Mirror(uri, folder, folder.plan())
        mirror.catch_up()
        mirror.send_report(results / "report")
    except Exception as error:  # a mirror's trouble is told, and costs nobody a report
        return _first_line(error, uri)
    for remark in mirror.remarks:
        say(remark)
    return None


def _tracking_uri(given: str | None, folder: SuiteFolder) -> str:
    """Return the MLflow store of some results. Raises UserError where its password is missing."""
    uri = given or folder.tracking_uri()
    if is_masked(uri):
        raise UserError(
            f"{uri}: passwords are not kept; give the whole URI: --tracking-uri URI, or the "
            "environment variable MLFLOW_TRACKING_URI"
        )
    return uri


def _first_line(error: Exception, uri: str) -> str:
    return masked(f"{type(error).__name__}: {error}".splitlines()[0], uri)
