"""Print what a plan or a study is made of, and what of it is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lipbench.cli.printing import say, show, show_notes, table_of
from lipbench.data import described
from lipbench.outcome import Outcome
from lipbench.words import are, counted

if TYPE_CHECKING:
    import pandas as pd

    from lipbench.planning.plan import Plan, PlannedRun
    from lipbench.planning.tuning import Tuning
    from lipbench.plugins import Plugins
    from lipbench.runs.suite_folder import SuiteFolder

_LISTED_SEEDS = 20


def show_plan(made: Plan, chosen: list[PlannedRun], folder: SuiteFolder) -> None:
    """Print what runs of a plan are made of, and what of them is done."""
    from rich.table import Table

    from lipbench.planning.plan import unique

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    runs = unique(chosen)
    if made.small:
        table.add_row("form", f"{made.name}: the suite's small form")
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
    if augmentation := str(first.augmentation):
        yield "augmentation", augmentation
    absent = {"audit": "off"}  # the others happen at the end, too
    intervals = (
        f"{name} {every or absent.get(name, 'at the end')}"
        for name, every in made.intervals.every().items()
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


def _values(run: PlannedRun) -> str:
    """Return a run's methods with all of their hyperparameters."""
    return " + ".join(
        f"{method.name}({', '.join(f'{k}={v}' for k, v in method.params.items())})"
        for method in run.spec.methods
    )


def _listed(seeds: Sequence[int]) -> str:
    """Return seeds in a line: of many, the first and the last ones."""
    if len(seeds) <= _LISTED_SEEDS:
        return ", ".join(map(str, seeds))
    first, last = seeds[: _LISTED_SEEDS // 2], seeds[-1]
    return f"{', '.join(map(str, first))}, ..., {last} ({len(seeds):,})"


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


def show_memory(runs: Sequence[PlannedRun], registry: Plugins, device: str | None) -> None:
    """Print what memory a run of each method takes, by one update of its first run."""
    import torch

    from lipbench.cost import memory
    from lipbench.engines import local
    from lipbench.training import arithmetic

    arithmetic.limit_threads()
    on = torch.device(local.slots(device, 1, 1)[0])
    table = table_of("method", "networks", "optimizers", "an update", "in all, MiB")
    for label in dict.fromkeys(run.method for run in runs):
        spec = next(run.spec for run in runs if run.method == label)
        found = memory.of_run(spec, registry, on)
        sizes = (found.networks, found.optimizers, found.update, found.total)
        table.add_row(label, *["" if size is None else f"{size / 2**20:,.1f}" for size in sizes])
    say("")
    show(table)
    say(f"on {on}, without the data and what scores need")
