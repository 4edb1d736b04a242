"""The commands that read results: `status`, `report`, `sync`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lipbench.cli.given import first_line, protocol_of
from lipbench.cli.options import (
    JsonOption,
    LogCheckpointsOption,
    PluginOption,
    ResultsArgument,
    ResultsArguments,
    TrackingOption,
)
from lipbench.cli.printing import say
from lipbench.errors import UserError
from lipbench.urls import whole_tracking_uri
from lipbench.words import are, counted

if TYPE_CHECKING:
    from lipbench.reporting.command import Report


def status(results: ResultsArgument, as_json: JsonOption = False) -> None:
    """Show how the runs stand, their scores so far, and why some have none."""
    from lipbench.cli.status import show_status

    show_status(results, as_json)


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
    plugin: PluginOption = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Render again as runs end; Ctrl-C stops.")
    ] = False,
    tracking_uri: TrackingOption = None,
) -> None:
    """Render tables and figures to RESULTS/report/, also while the suite is running.

    Several RESULTS are compared: two versions of the code, or yours and a reference.
    """
    from lipbench.reporting import command
    from lipbench.runs.suite_folder import SuiteFolder

    suite = SuiteFolder(results[0])
    by = protocol_of(protocol, suite.plan(), suite) if protocol else None
    chosen, own = command.split(methods or ()), tuple(plugin or ())
    asked = command.Asked(tuple(results), by, where, chosen, metric, out, own)
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


def sync(
    results: ResultsArgument,
    tracking_uri: TrackingOption = None,
    log_checkpoints: LogCheckpointsOption = False,
) -> None:
    """Send all results to MLflow again; what is there already stays as it is."""
    from lipbench.records import Damaged
    from lipbench.runs.suite_folder import SuiteFolder
    from lipbench.tracking import Mirror

    folder = SuiteFolder(results)
    made = folder.plan()
    uri = whole_tracking_uri(tracking_uri or folder.tracking_uri())
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
        problem = first_line(error, uri)
        raise UserError(f"MLflow at {uri} did not take it ({problem})") from error
    for remark in mirror.remarks:
        say(remark)
    say(f"{counted(sent, 'run')} {are(sent)} in {uri}, experiment {mirror.name}")
    if damaged:
        raise typer.Exit(1)


def _say_report(made: Report) -> None:
    more = f" ({counted(made.unfinished, 'run')} to come)" if made.unfinished else ""
    say(f"report: {made.page}{' (nothing has changed)' if made.as_it_was else more}")


def _track_report(results: Path, given: str | None) -> str | None:
    """Send the report to MLflow; return what went wrong, if anything did."""
    from lipbench.runs.suite_folder import SuiteFolder
    from lipbench.tracking import Mirror

    folder = SuiteFolder(results)
    try:
        uri = whole_tracking_uri(given or folder.tracking_uri())
    except UserError as error:
        return str(error)
    try:
        mirror = Mirror(uri, folder, folder.plan())
        mirror.catch_up()
        mirror.send_report(results / "report")
    except Exception as error:  # a mirror's trouble is told, and costs nobody a report
        return first_line(error, uri)
    for remark in mirror.remarks:
        say(remark)
    return None
