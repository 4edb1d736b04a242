"""The command `cost`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lipbench.cli.given import plan_of, suite_folder
from lipbench.cli.options import (
    DeviceOption,
    OnlyOption,
    PluginOption,
    RunsOption,
    SetOption,
    SmallOption,
    SuiteArgument,
)
from lipbench.cli.printing import say, show, table_of
from lipbench.words import are, counted

if TYPE_CHECKING:
    import torch

    from lipbench.cost.side_by_side import Sample


def cost(
    suite: SuiteArgument,
    small: SmallOption = False,
    set_: SetOption = None,
    only: OnlyOption = "",
    plugin: PluginOption = None,
    runs_dir: RunsOption = Path("runs"),
    image_size: Annotated[
        list[int] | None, typer.Option(metavar="PIXELS", help="Of images. Default: 32 and 48.")
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
    plan, registry, chosen = plan_of(suite, [*(set_ or []), *widened], only, plugin, small)

    import torch

    from lipbench.cost import side_by_side
    from lipbench.engines import local

    on = torch.device(local.slots(device, 1, 1)[0])
    if threads or on.type == "cpu":
        torch.set_num_threads(threads or 1)
    cases = side_by_side.cases(
        chosen, registry, image_size, n_dis or (1, 5), power_iterations or (1, 5)
    )
    folder = suite_folder(runs_dir, plan.name)
    samples = follow_cost(
        side_by_side.measure(cases, registry, on, rounds), len(cases), rounds, on
    )
    measured = side_by_side.report(side_by_side.rows(samples), cases[0].run, on, rounds)
    folder.save_cost(measured)
    show_cost(measured)
    say(f"cost:    {folder.path / 'cost.json'}")


def follow_cost(
    samples: Iterable[Sample], cases: int, rounds: int, device: torch.device
) -> list[Sample]:
    """Return all samples of a measurement, telling meanwhile how far it is, apart from results."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from lipbench.cost import side_by_side
    from lipbench.runs import estimates

    console = Console(stderr=True, highlight=False, markup=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    found: list[Sample] = []
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("warm-up", total=cases * (rounds + 1))
        for sample in samples:
            found.append(sample)
            name = f"round {sample.round} of {rounds}" if sample.round else "warm-up"
            bar.update(task, advance=1, description=f"{name}: {sample.case.method}")
            if len(found) == cases:
                left = estimates.duration(side_by_side.estimate(found, device, rounds))
                warm = f"{counted(cases, 'case')} {are(cases)} warm"
                take = "takes" if rounds == 1 else "take"
                console.print(f"{warm}; {counted(rounds, 'round')} {take} about {left}")
    return found


def show_cost(measured: Mapping[str, Any]) -> None:
    """Print what cost.json holds: a line on the machine and a table, one row a case."""
    m = measured
    threads, rounds = counted(m["threads"], "thread"), counted(m["rounds"], "round")
    place = m["processor"] if m["device"] == "cpu" else f"{m['device']}, {m['processor']}"
    say(
        f"{place}, {threads}, torch {m['torch']}\n"
        f"{m['architecture']}, width {m['width']:g}, batches of {m['batch_size']} (D) and "
        f"{m['generator_batch_size']} (G), {m['precision']}; medians of {rounds}\n"
    )
    optional = {
        "MiB": [_mebibytes(row["peak_device_bytes"]) for row in m["rows"]],
        "J / 100 updates": [_plain(row["energy_joules_per_100_updates"]) for row in m["rows"]],
    }
    optional = {name: cells for name, cells in optional.items() if any(cells)}
    table = table_of(
        "method", "power iterations", "pixels", "n_dis", "s / 100 updates", "x none", "range",
        "extra parameters", *optional,
    )  # fmt: skip
    group = None
    for index, row in enumerate(m["rows"]):
        if group not in (None, (row["image_size"], row["n_dis"])):
            table.add_row()
        group = (row["image_size"], row["n_dis"])
        ratios = row["ratio_to_none"]
        table.add_row(
            row["method"],
            _plain(row["power_iterations"]),
            str(row["image_size"] or ""),
            str(row["n_dis"]),
            _plain(median(row["seconds_per_100_updates"])),
            f"{median(ratios):.2f}",
            f"{min(ratios):.2f} to {max(ratios):.2f}",
            f"{row['extra_parameters']:,}",
            *(cells[index] for cells in optional.values()),
        )
    show(table)


def _plain(number: float | None) -> str:
    """Return a number with three digits, or nothing."""
    return "" if number is None else f"{number:.3g}" if number < 100 else f"{number:.0f}"


def _mebibytes(count: int | None) -> str:
    return "" if count is None else f"{count / 2**20:.0f}"
