"""What commands print: tables without a terminal's limits when piped. Part of `cli`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any, TextIO

from lipbench.data import described
from lipbench.outcome import Outcome
from lipbench.urls import masked
from lipbench.words import are, counted

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from rich.table import Table

    from lipbench.cli.cards import Card
    from lipbench.cost.side_by_side import Sample
    from lipbench.exam import CaseResult, Cost
    from lipbench.planning.plan import Plan, PlannedRun
    from lipbench.planning.tuning import Tuning
    from lipbench.protocols import Protocol
    from lipbench.runs.restore import Found
    from lipbench.runs.suite_folder import SuiteFolder
    from lipbench.scoring import ScoreRecord

_PIPED_WIDTH = 400
_LISTED_SEEDS = 20


def say(text: str, error: bool = False) -> None:
    """Print now, to the standard output or that of errors; no secret of a URL is printed."""
    print(masked(text), file=sys.stderr if error else sys.stdout, flush=True)


def show_notes(notes: Iterable[str]) -> None:
    """Print notes on the dataset, a line each."""
    for note in notes:
        say(f"dataset: {note}")


def _listed(seeds: Sequence[int]) -> str:
    """Return seeds in a line: of many, the first and the last ones."""
    if len(seeds) <= _LISTED_SEEDS:
        return ", ".join(map(str, seeds))
    first, last = seeds[: _LISTED_SEEDS // 2], seeds[-1]
    return f"{', '.join(map(str, first))}, ..., {last} ({len(seeds):,})"


def aside(really: bool = True) -> contextlib.AbstractContextManager[Any]:
    """Print within as errors are: a plugin's own prints must not get into a command's JSON."""
    return contextlib.redirect_stdout(sys.stderr) if really else contextlib.nullcontext()


def flush() -> None:
    """Print what waits to be printed, now, unless nobody reads any more (`| head`)."""
    try:
        sys.stdout.flush()
    except OSError:
        _discard(sys.stdout)


def _discard(stream: TextIO) -> None:
    """Let a stream print nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class Output:
    """A stream for a sweep, which gets the signal of a terminal's end when the reader is gone.

    So `lipbench run | head` is saved and stops, and under `nohup` it goes on.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write as the stream does."""
        with self._until_gone():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush as the stream does."""
        with self._until_gone():
            self._stream.flush()

    @contextlib.contextmanager
    def _until_gone(self) -> Iterator[None]:
        try:
            yield
        except OSError:  # a pipe that is closed, a terminal that is gone, a full disk
            _discard(self._stream)
            signal.raise_signal(signal.SIGHUP)


def show_plan(made: Plan, chosen: list[PlannedRun], folder: SuiteFolder) -> None:
    """Print what runs of a plan are made of, and what of them is done."""
    from rich.table import Table

    from lipbench.planning.plan import unique

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    runs = unique(chosen)
    for rows in (_varied(made, runs), _shared(made, runs), _done(made, runs, folder)):
        for heading, text in rows:
            table.add_row(heading, text)
    show(table)


def _varied(made: Plan, runs: Sequence[PlannedRun]) -> Iterator[tuple[str, str]]:
    """Yield what differs between runs: methods, settings, seeds."""
    yield "runs", f"{len(runs)} (of {len(made.unique)})"
    for label, values in dict.fromkeys((run.method, _values(run)) for run in runs):
        yield "method", f"{label}: {values}"
    for label, s in dict.fromkeys((run.setting, run.spec.setting) for run in runs):
        shown = {n: v if isinstance(v, str) else f"{v:g}" for n, v in s.to_json().items()}
        if shown["optimizer"] == "adam":
            del shown["optimizer"]
        values = ", ".join(f"{name} {value}" for name, value in shown.items())
        yield "setting", f"{label}: {values}"
    yield "seeds", _listed(list(dict.fromkeys(run.spec.seed for run in runs)))


def _shared(made: Plan, runs: Sequence[PlannedRun]) -> Iterator[tuple[str, str]]:
    """Yield what all runs share: data, networks, budget, protocol."""
    from lipbench.runs import estimates

    first, info = runs[0].spec, made.dataset
    budget = first.budget
    size = " x ".join(map(str, info.stored[0])) if info.is_of_images else described(info.shape)
    counts = f"{info.n_train:,} train and {info.n_test:,} test {info.samples}"
    yield "dataset", f"{info.name}, {size}, {counts}, {info.fingerprint[:12]}"
    for note in info.notes:
        yield "", note
    yield "networks", f"{first.architecture}, {first.initialisation}"
    yield "losses", ", ".join(dict.fromkeys(str(run.spec.loss) for run in runs))
    yield (
        "budget",
        f"{counted(budget.generator_updates, 'update')} of G, "
        f"batches of {budget.batch_size} (D) and {budget.generator_batch_size} (G), "
        f"{budget.schedule} lr, {first.precision}",
    )
    intervals = (
        f"{name} {every or 'at the end'}" for name, every in made.intervals.every().items()
    )
    yield "intervals", ", ".join(intervals)
    if first.ema_decay:
        yield "scored", f"moving average of G's weights, decay {first.ema_decay:g}"
    yield "protocol", made.protocol.sentence()
    updates = sum(run.spec.budget.generator_updates for run in runs)
    samples = counted(sum(estimates.work(run) for run in runs), info.samples.removesuffix("s"))
    yield "in all", f"{counted(updates, 'update')} of G, {samples} through D or G"


def _done(
    made: Plan, runs: Sequence[PlannedRun], folder: SuiteFolder
) -> Iterator[tuple[str, str]]:
    """Yield what of a plan is done, and how long the rest of some of its runs takes."""
    from lipbench.runs import estimates
    from lipbench.runs.run_folder import Status

    statuses = folder.statuses()
    counts = estimates.counts(made, statuses)
    outcomes = ", ".join(f"{n} {outcome}" for outcome, n in counts.items())
    yield "results", f"{folder.path}: {outcomes}"
    others = len(set(statuses) - {run.spec.hash for run in made.runs})
    if others:
        more = f"{counted(others, 'more run')} {are(others)}"
        yield "", f"{more} not in this suite; the folder keeps them"
    left = [run for run in runs if not statuses.get(run.spec.hash, Status()).ended]
    seconds, known = estimates.estimate(left, folder.path.parent)
    if known:
        timed = f" for {counted(known, 'run')} of a kind that was timed on this machine"
        told = "" if known == len(left) else timed
        yield "time left", f"about {estimates.duration(seconds)} of one worker{told}"
    elif left:
        yield "time left", "unknown: no such run was made on this machine yet"
    if shared := len(made.runs) - len(made.unique):
        yield "", f"cells that share a run with another, which runs once: {shared}"


def show(table: Table) -> None:
    """Print a table; what is piped is neither cut to a terminal's width nor padded."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    console = Console(highlight=False, markup=False, width=width)
    with console.capture() as captured:
        console.print(table)
    say("\n".join(line.rstrip() for line in captured.get().splitlines()))


def table_of(*headings: str) -> Table:
    """Return a table with one line a row."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    return table


def _values(run: PlannedRun) -> str:
    """Return a run's methods with all of their hyperparameters."""
    return " + ".join(
        f"{method.name}({', '.join(f'{k}={v}' for k, v in method.params.items())})"
        for method in run.spec.methods
    )


def show_study(plan: Plan, folder: SuiteFolder, left: int | None = None) -> None:
    """Print how a study searches."""
    tuning = plan.tuning
    assert tuning is not None
    spaces: dict[str, list[str]] = {}
    for method, parameters in tuning.search.items():
        spaces.setdefault("; ".join(map(str, parameters)), []).append(method)
    seeds = ", ".join(map(str, tuning.seeds))
    to_do = "" if left is None else f"; {counted(left, 'run')} to do"
    say(f"{plan.name}: a study of {counted(len(tuning.search), 'method')}{to_do} in {folder.path}")
    for space, methods in spaces.items():
        say(f"  {', '.join(methods)}: {space}")
    wanted = ", ".join(f"{o.name} ({o.direction}d)" for o in tuning.objectives)
    each = f"{tuning.amount_text} for each method, seed {seeds}"
    say(f"  {wanted}; {tuning.sampler}, {tuning.pruner}; {each}")
    if tuning.configurations:
        fresh = ", ".join(map(str, tuning.confirm_seeds))
        best = "best one" if tuning.configurations == 1 else f"best {tuning.configurations}"
        seeds = "seed" if len(tuning.confirm_seeds) == 1 else "seeds"
        say(f"  then the {best} of each again with {seeds} {fresh}")
    for note in tuning.notes:
        say(f"  {note}")
    show_notes(plan.dataset.notes)


def show_trials(tuning: Tuning, trials: pd.DataFrame) -> None:
    """Print for each method how its trials ended, and the best value so far."""
    first = tuning.objectives[0]
    merged = {Outcome.OUT_OF_MEMORY: Outcome.FAILED, Outcome.QUEUED: Outcome.INTERRUPTED}
    absent = set() if trials["outcome"].eq(Outcome.DAMAGED).any() else {Outcome.DAMAGED}
    ways = [outcome for outcome in Outcome if outcome not in merged.keys() | absent]
    spends = {"generator_updates": "generator_updates", "device_hours": "seconds"}
    spent = spends.get(tuning.budget)
    more = [] if spent is None else [f"{tuning.budget.replace('_', ' ')}"]
    table = table_of("method", "seed", "trials", *ways, *more, f"best {first.name}")
    for method in tuning.search:
        for seed in tuning.seeds:
            rows = trials[trials["method"].eq(method) & trials["seed"].eq(seed)]
            outcomes = rows["outcome"].replace(merged)
            values = rows.loc[rows["outcome"].eq(Outcome.COMPLETED), first.name]
            best = values.max() if first.higher_is_better else values.min()
            shown = "" if values.empty else f"{best:,.{first.decimals}f}"
            counts = [str(outcomes.eq(way).sum() or "") for way in ways]
            if spent is not None:
                total = rows[spent].sum() / (3600 if spent == "seconds" else 1)
                counts.append(f"{total:,.4g}" if spent == "seconds" else f"{total:,.0f}")
            table.add_row(method, str(seed), str(len(rows)), *counts, shown)
    show(table)


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


def show_methods(rows: list[tuple[str, str, str, str]]) -> None:
    """Print the list of methods: name, label, summary, origin."""
    table = table_of("method", "label", "from", "what it does")
    for name, label, summary, origin in rows:
        table.add_row(name, label, origin, summary)
    show(table)


def show_card(card: Card) -> None:
    """Print everything that a method says about itself."""
    say(f"{card.name} ({card.label}), {card.origin}: {card.path}\n\n{card.description}\n")
    rows = {
        "hyperparameters": [str(field) for field in card.hyperparameters] or ["none"],
        "hooks": [", ".join(card.hooks) or "none"],
        "claims": list(card.claims) or ["no bound"],
        "does to D": list(card.traits),
        "requires": [f"the loss {card.loss}"] if card.loss else [],
        "recipe": [card.recipe] if card.recipe else [],
        "torch.compile": [] if card.compiles else ["does not capture D as wrapped"],
        "refused with": [
            f"{', '.join(refusal.partners)}: {refusal.reason} ({refusal.source})"
            + ("" if refusal.impossible else f"; allow: [{refusal.rule}]")
            for refusal in card.refusals
        ],
        "papers": [str(paper) for paper in card.papers],
    }
    show_facts(rows)
    for paper in card.papers:
        say(f"\n{paper.bibtex}")


def show_facts(rows: Mapping[str, Iterable[str]]) -> None:
    """Print headings with one or more lines each; none where it has no line."""
    for heading, lines in rows.items():
        for index, line in enumerate(lines):
            say(_hanging("" if index else heading, line))


def _hanging(heading: str, text: str) -> str:
    """Return a heading and its text: on a terminal wrapped beside it, piped in one line."""
    import shutil
    import textwrap

    if not sys.stdout.isatty():
        return f"{heading:17}{text}"
    width = shutil.get_terminal_size().columns
    return textwrap.fill(text, width, initial_indent=f"{heading:17}", subsequent_indent=" " * 17)


def show_line(line: CaseResult, verbose: bool = False) -> None:
    """Print one case of an exam; if `verbose`, with the traceback of an error."""
    say(f"  {'pass' if line.passed else 'FAIL'}  {line.case:42} {line.measured}")
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
    table = table_of(
        "  layer", "sigma_kernel", "estimated", "sigma_operator", "effective rank", "stable rank"
    )
    for layer in facts["layers"]:
        numbers = [
            layer[name]
            for name in (
                "sigma_kernel",
                "sigma_estimate",
                "sigma_operator",
                "effective_rank",
                "stable_rank",
            )
        ]
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
    if facts["upper_bound_kernel"] is not None:
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
        say(_hanging(f"  {heading}", ", ".join(lines)))
    say("")


def _named(run: Found, update: int) -> str:
    return f"{run.method}, {run.setting}, {run.folder.path.name}, update {update:,}"
