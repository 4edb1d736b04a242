"""The commands on what is trained: `eval`, `audit`, `sample`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from lipbench.cli import completion
from lipbench.cli.given import print_json, protocol_of, workplace_on
from lipbench.cli.options import (
    Checkpoint,
    CheckpointOption,
    Checkpoints,
    DeviceOption,
    JsonOption,
    RunsArgument,
    WeightsOption,
)
from lipbench.cli.printing import aside, hanging, say, show, table_of
from lipbench.errors import UserError
from lipbench.words import counted

if TYPE_CHECKING:
    from lipbench.protocols import Protocol
    from lipbench.runs.restore import Found
    from lipbench.scoring import ScoreRecord


T = TypeVar("T")


def eval_(
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
    used = {run.plan.dataset: protocol_of(protocol, run.plan) for run in found} if protocol else {}
    wanted = ["last", "best"] if checkpoint is Checkpoints.BOTH else [checkpoint.value]
    workplace, cache = workplace_on(device), paths.cache_root()
    rows: list[dict[str, Any]] = []

    def score(run: Found) -> list[tuple[Protocol, ScoreRecord]]:
        by = used.get(run.plan.dataset)
        return finished.evaluate(run, by, wanted, workplace, cache, inception_weights)

    with locked(found), printed(rows, as_json):
        for run, records in each(found, score):
            for by, record in records:
                rows.append({"run_id": run.folder.path.name, **record.to_json()})
                if not as_json:
                    show_record(run, by, record)


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
    workplace, cache = workplace_on(device), paths.cache_root()
    rows: list[dict[str, Any]] = []
    with locked(found), printed(rows, as_json):
        for run, facts in each(found, lambda r: finished.audit(r, images, workplace, cache)):
            rows.append({"run_id": run.folder.path.name, **facts})
            if not as_json:
                show_audit(run, facts)


def sample(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="A run's folder.", autocompletion=completion.results),
    ],
    out: Annotated[
        Path, typer.Option(help="A picture (a .png), or else a folder of single images.")
    ] = Path("samples.png"),
    count: Annotated[int, typer.Option(min=1, help="Samples.")] = 100,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of latents. Default: the run's.")
    ] = None,
    checkpoint: Annotated[Checkpoint, typer.Option(help="Which generator draws.")] = (
        Checkpoint.LAST
    ),
    class_: Annotated[
        str | None,
        typer.Option(
            "--class", metavar="NAME", help="Of a conditional generator. Default: all by turns."
        ),
    ] = None,
    device: DeviceOption = None,
) -> None:
    """Draw samples from a trained generator: one picture, or a folder of images."""
    from lipbench import paths
    from lipbench.runs import finished, pictures, restore

    if (run / "plan.json").is_file():
        raise UserError(f"{run} holds a suite's results; name a run's folder in {run / 'runs'}")
    if out.suffix and out.suffix != ".png":
        raise UserError(f"{out}: a picture is a .png file; a name without a suffix is a folder")
    found = restore.find([run])
    chosen = found[0].folder.spec().seed if seed is None else seed
    workplace, cache = workplace_on(device), paths.cache_root()
    if not found[0].plan.dataset.is_of_images and not out.suffix:
        raise UserError(f"{out}: points are drawn as one picture, a .png file")
    samples, update = finished.sample(
        found[0], checkpoint.value, count, chosen, workplace, cache, class_
    )
    if out.suffix == ".png":
        real = finished.real(found[0], workplace, cache)
        pictures.save(out, pictures.of_samples(samples, real))
    else:
        pictures.save_each(out, samples)
    kind = "image" if samples.dim() == 4 else "point"
    say(f"{counted(count, kind)} of update {update:,}: {out}")


def each(found: Sequence[Found], work: Callable[[Found], T]) -> Iterator[tuple[Found, T]]:
    """Yield each run with what is made of it; of several, a failing run is named and skipped."""
    failed = 0
    for run in found:
        try:
            for line in run.folder.mend_rows(run.folder.spec().budget.generator_updates):
                say(line, error=True)
            with aside():
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
def printed(rows: list[dict[str, Any]], as_json: bool) -> Iterator[None]:
    """Print rows as JSON in the end, also where some of several runs were passed over."""
    passed_over = None
    try:
        yield
    except typer.Exit as exit_:
        passed_over = exit_
    if as_json:
        print_json(rows)
    if passed_over:
        raise passed_over


@contextlib.contextmanager
def locked(found: Sequence[Found]) -> Iterator[None]:
    """Hold the results that some runs belong to, so that no `lipbench run` writes there."""
    from lipbench.runs.suite_folder import SuiteFolder

    with contextlib.ExitStack() as stack:
        for path in sorted({run.folder.path.absolute().parent.parent for run in found}):
            if remark := stack.enter_context(SuiteFolder(path).locked()):
                say(remark, error=True)
        yield


def show_record(run: Found, protocol: Protocol, record: ScoreRecord) -> None:
    """Print the scores of one generator, with what they must be read with."""
    from lipbench.protocols import SCORES

    say(f"{_named(run, record.update)}, {record.checkpoint}, under {protocol.id}")
    table = table_of("score", "value", "over sets", "bootstrap", "real data")
    for name, value in record.scores.items():
        decimals = max(SCORES[name].decimals, 1)
        row = (value, *[part.get(name) for part in (record.spreads, record.errors, record.floors)])
        texts = ["" if number is None else f"{number:.{decimals}f}" for number in row]
        signs = ("", "± ", "± ", "")
        table.add_row(
            f"  {name}", *[f"{s}{t}" if t else "" for s, t in zip(signs, texts, strict=True)]
        )
    show(table)


def show_audit(run: Found, facts: dict[str, Any]) -> None:
    """Print the Lipschitz facts of one discriminator."""
    say(f"{_named(run, facts['update'])}, audited in {facts['seconds']:.1f} s")
    columns = (
        "sigma_kernel", "sigma_operator", "sigma_original", "sigma_estimate", "effective_rank",
        "stable_rank",
    )  # fmt: skip
    table = table_of("  layer", *columns)
    for layer in facts["layers"]:
        numbers = [layer.get(name) for name in columns]
        texts = ["" if number is None else f"{float(number):.4g}" for number in numbers]
        table.add_row(f"  {layer['name']}", *texts)
    show(table)
    lower = {name: f"{float(value):.4g}" for name, value in facts["lower_bounds"].items()}
    rows = {"lower bounds": [f"{value} ({name})" for name, value in lower.items()]}
    if facts["upper_bound"] is None:
        rows["upper bound"] = [f"none: {'; '.join(facts['no_upper_bound'])}"]
    else:
        tightness = (
            f", {float(facts['tightness']):.2g} of it reached" if facts["tightness"] else ""
        )
        rows["upper bound"] = [f"{float(facts['upper_bound']):.4g}{tightness}"]
    if facts["upper_bound_kernel"] not in (None, facts["upper_bound"]):  # of convolutions
        rows["with kernels"] = [
            f"{float(facts['upper_bound_kernel']):.4g}: not a bound, since the norm of a "
            "convolution is not that of its kernel"
        ]
    for kind, of in facts["gradient_norms"].items():
        rows.setdefault("gradient norms", []).append(
            f"{float(of['mean']):.4g} ± {float(of['std']):.4g} at {of['n']} {kind}"
        )
    rows["logits"] = [
        f"{float(of['mean']):.4g} ± {float(of['std']):.4g} of {kind}"
        for kind, of in facts["logits"].items()
    ]
    if facts["overfitting_gap"] is not None:
        rows["logits"].append(f"gap of train and held-out {float(facts['overfitting_gap']):.4g}")
    for heading, lines in rows.items():
        say(hanging(f"  {heading}", ", ".join(lines)))
    say("")


def _named(run: Found, update: int) -> str:
    return f"{run.method}, {run.setting}, {run.folder.path.name}, update {update:,}"
