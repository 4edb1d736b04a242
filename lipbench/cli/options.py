"""Arguments and options that several commands take. Part of `cli`."""

from __future__ import annotations

import enum
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from lipbench import __version__
from lipbench.cli import completion
from lipbench.cli.printing import say
from lipbench.urls import absolute, remembered

SuiteArgument = Annotated[
    str,
    typer.Argument(
        metavar="SUITE",
        help="A suite file, or the name of an installed one.",
        autocompletion=completion.suites,
    ),
]
ResultsArgument = Annotated[
    Path,
    typer.Argument(
        metavar="RESULTS",
        help="A suite's results, e.g. runs/table1_2_cifar10.",
        autocompletion=completion.results,
    ),
]
ResultsArguments = Annotated[
    list[Path],
    typer.Argument(
        metavar="RESULTS...",
        help="A suite's results, e.g. runs/table1_2_cifar10; several are compared.",
        autocompletion=completion.results,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY.PATH=VALUE", help="Change a value of the suite."),
]
SmallOption = Annotated[
    bool,
    typer.Option("--small", help="The suite's small form, for a laptop; --set applies to it."),
]
OnlyOption = Annotated[
    str,
    typer.Option(
        metavar="SN,setting=A",
        help="Some of the suite's runs: method=.., setting=.., seed=.., in any capitals.",
    ),
]
PluginOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="A plugin of your own: a Python file, no installing.",
        autocompletion=completion.plugin_files,
    ),
]
RunsOption = Annotated[Path, typer.Option(help="Where results go: RUNS_DIR/<suite>/.")]
RunsArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="RUN...",
        help="Runs' folders, or suites' results: all their runs.",
        autocompletion=completion.results,
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        help="cpu, cuda or cuda:N. Default: cuda if there is one.",
        autocompletion=completion.devices,
    ),
]
WeightsOption = Annotated[
    Path | None, typer.Option(help="The Inception weights of FID and IS, if not downloaded.")
]


class Checkpoint(enum.Enum):
    """Which generator of a run: the last one, or the one that the selection scores chose."""

    LAST = "last"
    BEST = "best"


class Checkpoints(enum.Enum):
    """Which generators of a run."""

    LAST = "last"
    BEST = "best"
    BOTH = "both"


CheckpointOption = Annotated[Checkpoints, typer.Option(help="Which generator is scored.")]
WorkersOption = Annotated[
    int | None,
    typer.Option(min=1, help="Runs at a time. Default: one a core, or what the GPUs offer."),
]
SharersOption = Annotated[int, typer.Option(min=1, help="Runs that share a GPU.")]
GpusOption = Annotated[
    int, typer.Option(min=1, help="GPUs that train each run together, with a share of each batch.")
]
RetryOption = Annotated[bool, typer.Option("--retry-failed", help="Try failed runs again.")]
KeepOption = Annotated[
    bool, typer.Option("--keep-changed", help="Keep runs made by a method's old code.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
TrackingOption = Annotated[
    str | None,
    typer.Option(
        metavar="URI",
        envvar="MLFLOW_TRACKING_URI",
        help="MLflow store. Default: the one of these results, or sqlite:///RUNS_DIR/mlflow.db.",
        callback=lambda uri: uri and remembered(absolute(uri)),
    ),
]
LogCheckpointsOption = Annotated[
    bool,
    typer.Option("--log-checkpoints", help="Copy each run's final checkpoint to MLflow, too."),
]


def _named(completed: Callable[[str], list[str]], shown: str = "card") -> Any:
    """Return the optional name of the one thing that a list shall show."""
    return typer.Argument(
        metavar="NAME", help=f"Show this one's {shown}.", autocompletion=completed
    )


MethodName = Annotated[str | None, _named(completion.methods)]
SuiteName = Annotated[str | None, _named(completion.suites)]
ProtocolName = Annotated[str | None, _named(completion.protocols, "record")]
LossName = Annotated[str | None, _named(completion.losses)]
DatasetName = Annotated[str | None, _named(completion.datasets)]
ArchitectureName = Annotated[str | None, _named(completion.architectures)]
MeasureName = Annotated[str | None, _named(completion.measures)]


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"lipbench {__version__}")
        raise typer.Exit


VersionOption = Annotated[
    bool,
    typer.Option(
        "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
    ),
]
