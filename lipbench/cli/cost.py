"""The command `cost`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lipbench.cli import printing
from lipbench.cli.given import plan_of, suite_folder
from lipbench.cli.options import (
    DeviceOption,
    OnlyOption,
    PluginOption,
    RunsOption,
    SetOption,
    SuiteArgument,
)
from lipbench.cli.printing import say


def cost(
    suite: SuiteArgument,
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
    plan, registry, chosen = plan_of(suite, [*(set_ or []), *widened], only, plugin)

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
    samples = printing.follow_cost(
        side_by_side.measure(cases, registry, on, rounds), len(cases), rounds, on
    )
    measured = side_by_side.report(side_by_side.rows(samples), cases[0].run, on, rounds)
    folder.save_cost(measured)
    printing.show_cost(measured)
    say(f"cost:    {folder.path / 'cost.json'}")
