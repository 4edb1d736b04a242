"""The commands for authors of plugins: `check` and `new`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lipbench import scaffold
from lipbench.cli import completion, printing
from lipbench.cli.given import print_json
from lipbench.cli.options import JsonOption, PluginOption
from lipbench.cli.printing import say
from lipbench.errors import Mark, UserError
from lipbench.words import counted

if TYPE_CHECKING:
    from lipbench.exam import CaseResult, Cost
    from lipbench.plugins import Plugins, Registry


def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="Plugins of any kind but reports. Default: those of --plugin.",
            autocompletion=completion.examined,
        ),
    ] = None,
    plugin: PluginOption = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Change a hyperparameter."),
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Every installed plugin but datasets.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show the traceback of an error.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Examine methods, losses, architectures, datasets, measures: is each what it must be?

    Exit code 1 if one fails.
    """
    from lipbench.plugins import Plugins

    registry = Plugins(plugin or [])
    chosen = _chosen(names or [], all_, registry)
    params = _assigned(set_ or [])

    import torch

    from lipbench import process_state

    torch.set_num_threads(1)  # as in a worker
    results = []
    for kind, name in chosen:  # undoing before the next what the work on one has changed
        with process_state.kept(), printing.aside(as_json):
            results.append(_examined(kind, name, params, registry, None if as_json else verbose))
    if as_json:
        print_json(results)
    if not all(line.passed for result in results for line in result["cases"]):
        raise typer.Exit(1)


def new(
    kind: Annotated[
        str,
        typer.Argument(
            help=f"What to write: {', '.join(scaffold.kinds())}.",
            autocompletion=completion.kinds,
        ),
    ],
    name: Annotated[str, typer.Argument(help="Its name in suites: small_letters.")],
) -> None:
    """Write a plugin of your own and its test into the current folder; both run as they are."""
    written = scaffold.write(kind, name, Path())
    say(f"wrote {written.file}, the {kind}, and {written.test}, its tests")
    for command in written.commands:
        say(command)


def _chosen(names: list[str], all_: bool, plugins: Plugins) -> list[tuple[Registry, str]]:
    """Return the plugins to examine, each with its kind: of no name, the user's own."""
    if all_:  # but for datasets, which would be downloaded
        kinds = (kind for kind in plugins.kinds if kind is not plugins.datasets)
        chosen = [(kind, name) for kind in kinds for name in kind.plugins]
    elif names:
        chosen = [found for name in names for found in _named(name, plugins)]
    else:
        chosen = [(kind, plugin.name) for kind in plugins.kinds for plugin in kind.own()]
    if not chosen:
        raise UserError("name something to check, a method for example, or give --plugin or --all")
    return chosen


def _examined(
    kind: Registry, name: str, params: dict[str, Any], plugins: Plugins, verbose: bool | None
) -> dict[str, Any]:
    """Return what `--json` prints of a plugin; print its cases too, unless verbose is None."""
    from lipbench import bibliography, exam
    from lipbench.method import Method
    from lipbench.planning import parts

    bibliography.papers(kind[name].papers, kind[name].path)
    made = parts.MAKERS[kind.kind](name, params, plugins)
    if verbose is not None:
        say(f"{name} ({made.label if isinstance(made, Method) else kind.singular})")
    lines = []
    for line in exam.examine(made):
        lines.append(line)
        if verbose is not None:
            show_line(line, verbose)
    passed = all(line.passed for line in lines)
    cost = exam.cost(made) if passed and isinstance(made, Method) else None
    if verbose is not None:
        show_exam(lines, cost)
    return {kind.singular: name, "params": params, "cases": lines, "cost": cost}


def _named(name: str, plugins: Plugins) -> list[tuple[Registry, str]]:
    """Return the plugins of a name, one of each kind that has it.

    Raises UserError, with the near name of a method, where there is none.
    """
    if "+" in name:
        raise UserError("methods are examined one by one, not in combinations")
    found = [(kind, name) for kind in plugins.kinds if name in kind.plugins]
    return found or [(plugins.methods, plugins.methods[name].name)]


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


def show_line(line: CaseResult, verbose: bool = False) -> None:
    """Print one case of an exam; if `verbose`, with the traceback of an error."""
    say(f"  {'pass' if line.passed else 'FAIL'}  {line.case:52} {line.measured}")
    if verbose and line.traceback:
        say(line.traceback)


def show_exam(lines: list[CaseResult], cost: Cost | None) -> None:
    """Print an exam's end: what an update costs, or how many cases failed."""
    failed = sum(not line.passed for line in lines)
    if failed:
        say(f"  {failed} of {counted(len(lines), 'case')} failed\n")
        return
    say(f"  {len(lines)} of {counted(len(lines), 'case')} passed")
    if cost:
        say(
            f"  cost  {cost.seconds:.2f}x the time of an update of none, {cost.memory:.2f}x its "
            "memory (on these small networks)\n"
        )
