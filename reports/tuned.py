"""The result of tuning: each method's best configuration, run again, and the search's cost."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from lipbench.outcome import Outcome
from lipbench.planning.tuning import Objective, Tuning
from lipbench.reporting import Figure, Omitted, Shown, Table
from lipbench.results import Results
from lipbench.results.cells import leaders
from lipbench.tuning.analysis import best_trials, configuration, confirmations
from lipbench.words import counted

from ._audits import text
from ._grid import COLLAPSED, INCOMPLETE
from ._tuning import OfTrials, better, described, place, searches, stated

_NONE = Shown("—", muted=True)
_UNCONFIRMED = "*"
_KEYS = ["method", "repeat", "trial"]


class Tuned(OfTrials):
    """Show each method's best configuration with the value that fresh seeds gave it."""

    title = "Tuned methods"
    order = 1
    waits = False

    def of(self, results: Results, tuning: Tuning) -> Iterator[Table | Figure | Omitted]:
        found = _found(results, tuning)
        if len(tuning.objectives) == 1:
            first = _first(results, tuning, found)
            if first.empty:
                yield Omitted("no trial completed, so no configuration is the best")
            else:
                yield _best(results, tuning, first)
        several = len(found) > found["method"].nunique()
        if several or (len(found) and len(tuning.objectives) > 1):
            yield _confirmed(tuning, found)
        yield _trials(results, tuning)


def _found(results: Results, tuning: Tuning) -> pd.DataFrame:
    """Return each configuration that was run again: `<objective>_mean`, ..., `_search`, `_gap`."""
    order = {method: i for i, method in enumerate(results.methods)}
    trials = results.trials.rename(columns={"seed": "repeat"}).set_index(_KEYS)
    found = pd.DataFrame(columns=[*_KEYS, "setting"])
    for objective in tuning.objectives:
        own = confirmations(results.runs, objective)
        value = trials[objective.name].reindex(pd.MultiIndex.from_frame(own[_KEYS]))
        own = own.assign(search=value.to_numpy(float))
        sign = -1 if objective.higher_is_better else 1
        own = own.assign(gap=sign * (own["mean"] - own["search"]))
        shared = {*_KEYS, "setting"}
        own = own.rename(columns={c: f"{objective.name}_{c}" for c in {*own} - shared})
        found = own if found.empty else found.merge(own, on=[*_KEYS, "setting"])
    found = found.sort_values("method", key=lambda m: m.map(order), kind="stable")
    return _configured(results, tuning, found)


def _configured(results: Results, tuning: Tuning, found: pd.DataFrame) -> pd.DataFrame:
    """Return configurations with `ids` of runs, parameters as JSON, and as `described`."""
    trials = {(t["method"], t["seed"], t["trial"]): t for t in results.trials.to_dict("records")}
    runs: dict[object, list[str]] = {}
    for run in results.runs.to_dict("records"):
        runs.setdefault((run["method"], run["repeat"], run["trial"]), []).append(run["run_id"])
    keys = list(zip(found["method"], found["repeat"], found["trial"], strict=True))
    ids: list[Any] = [tuple(runs.get(key, ())) for key in keys]
    pairs = [(trials.get(key, {}), tuning.search.get(key[0], ())) for key in keys]
    return found.assign(
        ids=ids,
        configuration=[json.dumps(configuration(*pair)) for pair in pairs],
        described=[described(*pair) if pair[0] else "—" for pair in pairs],
    )


def _first(results: Results, tuning: Tuning, found: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each method: of its configurations that were run again the search's best.

    Of a method that has none, it is the search's best trial, without a mean.
    """
    objective = tuning.objectives[0]
    name = objective.name
    rows = []
    for method in results.methods:
        own = found[found["method"] == method]
        best = best_trials(results.trials[results.trials["method"] == method], objective)
        if len(own):
            up = not objective.higher_is_better
            rows.append(own.sort_values(f"{name}_search", ascending=up).iloc[0].to_dict())
        elif len(best):
            keys = dict(zip(_KEYS, (method, best["seed"][0], best["trial"][0]), strict=True))
            rows.append(keys | {f"{name}_search": best["value"][0], f"{name}_runs": 0})
    columns = dict.fromkeys([*found.columns, f"{name}_search", f"{name}_runs"])
    return _configured(results, tuning, pd.DataFrame(rows, columns=list(columns)))


def _best(results: Results, tuning: Tuning, first: pd.DataFrame) -> Table:
    objective = tuning.objectives[0]
    confirmed = bool((first[f"{objective.name}_runs"] > 0).any())
    best = _winners(results, first, objective)
    known = {row["method"]: row for row in first.to_dict("records")}
    columns = ("Confirmed", "In the search", "Gap") if confirmed else ("In the search",)
    rows: list[tuple[Shown | str, ...]] = []
    for method in results.methods:
        if (row := known.get(method)) is None:
            rows.append((method, *[_NONE] * (len(columns) + 1)))
            continue
        searched = _searched(row, objective, tuning, mark=not row[f"{objective.name}_runs"])
        entries = [_mean(row, objective, method in best), searched, _gap(row, objective)]
        rows.append((method, *(entries if confirmed else [searched]), row["described"]))
    return Table(
        name="tuned",
        caption=f"{objective.title} of each method's best configuration"
        f"{', run again with fresh seeds' if confirmed else ' in the search'}: "
        f"{better(objective)}.",
        columns=("Method", *columns, "Configuration"),
        rows=tuple(rows),
        raw=first.drop(columns=["ids", "described"]),
        notes=tuple(_notes(tuning, first, objective, confirmed, bool(best))),
        align="l" + "r" * len(columns) + "l",
    )


def _winners(results: Results, first: pd.DataFrame, objective: Objective) -> set[str]:
    """Return the methods of the best mean; none unless all have as many runs, all with a result.

    A single run has no winner, and a method with a collapsed run is none.
    """
    name = objective.name
    fair = len(first) == len(results.methods) and first[f"{name}_runs"].nunique() == 1
    if not fair or first[f"{name}_runs"].iloc[0] < 2 or first[f"{name}_missing"].any():
        return set()
    worst = -math.inf if objective.higher_is_better else math.inf
    means = {
        row["method"]: worst if row[f"{name}_collapsed"] else float(row[f"{name}_mean"])
        for row in first.to_dict("records")
    }
    return leaders(means, objective.higher_is_better, lambda value: stated(value, objective))


def _mean(row: Mapping[Any, Any], objective: Objective, best: bool = False) -> Shown:
    """Return a mean over fresh seeds as an entry: `12.31 ± 0.40`, and of how many runs."""
    of = {k.removeprefix(f"{objective.name}_"): v for k, v in row.items()}
    if not of["runs"]:
        return _NONE
    mark = (INCOMPLETE if of["missing"] else "") + (COLLAPSED if of["collapsed"] else "")
    ended = int(of["completed"] + of["diverged"])
    if not ended:
        return Shown("incomplete", mark, muted=True, runs=of["ids"])
    count = f"{ended} of {of['runs']:.0f} runs" if of["missing"] else counted(ended, "run")
    if of["diverged"]:
        count = f"{of['diverged']:.0f} of {ended} diverged"
        if of["completed"]:
            others = _spread(of["mean_completed"], of["std_completed"], objective)
            count += f", else {others}"
    if of["collapsed"]:
        count += f", {of['collapsed']:.0f} collapsed"
    return Shown(_spread(of["mean"], of["std"], objective), mark, count, best, runs=of["ids"])


def _spread(mean: float, std: float, objective: Objective) -> str:
    spread = "" if math.isnan(std) else f" ± {stated(std, objective)}"
    return f"{stated(mean, objective)}{spread}"


def _searched(
    row: Mapping[Any, Any], objective: Objective, tuning: Tuning, mark: bool = False
) -> Shown:
    value = float(row[f"{objective.name}_search"])
    trial = place(row["trial"], row["repeat"], tuning)
    return Shown(stated(value, objective), _UNCONFIRMED if mark else "", trial)


def _gap(row: Mapping[Any, Any], objective: Objective) -> Shown:
    value = float(row.get(f"{objective.name}_gap", math.nan))
    sign = "+" if value >= 0 else ""
    return _NONE if math.isnan(value) else Shown(f"{sign}{stated(value, objective)}")


def _notes(
    tuning: Tuning, first: pd.DataFrame, objective: Objective, confirmed: bool, bold: bool
) -> Iterator[str]:
    many = f" of all {searches(tuning)}" if len(tuning.seeds) > 1 else ""
    if confirmed:
        yield (
            "Confirmed: mean ± standard deviation (over n - 1) of training with fresh seeds. The "
            f"configuration is the one with the search's best value{many}. It was not chosen by "
            "the confirmed values, so the mean is no optimistic estimate."
        )
        yield (
            "In the search: one run's value, chosen for being the best of many. Gap: confirmed "
            "minus searched, positive where the search was too optimistic."
        )
    if not (first[f"{objective.name}_runs"] > 0).all():
        yield (
            f"{_UNCONFIRMED} One run, chosen for being the best of its trials{many}: optimistic. "
            f"It was not run again{' yet' if tuning.configurations else ''}."
        )
    yield from _marks(first, [objective])
    if bold:
        yield "Bold is the best mean, where every method has as many runs, all with a result."


def _marks(found: pd.DataFrame, objectives: Sequence[Objective]) -> Iterator[str]:
    """Yield what the marks of confirmed values mean, of those that there are."""

    def some(column: str) -> bool:
        names = [f"{objective.name}_{column}" for objective in objectives]
        return any(name in found and (found[name].fillna(0) > 0).any() for name in names)

    if some("diverged"):
        ceilings = ", ".join(stated(o.if_diverged, o) for o in objectives)
        yield f"A diverged run counts as it did in the search: as {ceilings}."
    if some("missing"):
        yield (
            f"{INCOMPLETE} Incomplete: some runs failed, have not ended or have no such value. "
            "They are missing, not bad."
        )
    if some("collapsed"):
        yield f"{COLLAPSED} Some runs collapsed: the mean has their values, and is not the best."


def _confirmed(tuning: Tuning, found: pd.DataFrame) -> Table:
    """Return every configuration that was run again, by each objective."""
    objectives = tuning.objectives
    several = len(objectives) > 1  # and then too many columns for the search's values and gaps
    rows = []
    for row in found.to_dict("records"):
        entries: list[Shown | str] = []
        for objective in objectives:
            searched = _searched(row, objective, tuning)
            mean = _mean(row, objective)
            if not several:
                entries += [searched, mean, _gap(row, objective)]
                continue
            detail = f"{mean.detail}; search: {searched.text}".removeprefix("; ")
            entries.append(dataclasses.replace(mean, detail=detail))
        rows.append((Shown(row["method"], detail=row["setting"]), *entries, row["described"]))
    columns = [o.title for o in objectives] if several else ["In the search", "Confirmed", "Gap"]
    return Table(
        name="confirmations",
        caption="Every configuration that was run again with fresh seeds: "
        f"{', '.join(f'{o.title}, {better(o)}' for o in objectives)}.",
        columns=("Method", *columns, "Configuration"),
        rows=tuple(rows),
        raw=found.drop(columns=["ids", "described"]).reset_index(drop=True),
        notes=(
            "Mean ± standard deviation (over n - 1); below it the one run of the search."
            if several
            else "Gap: confirmed minus searched, positive where the search was too optimistic.",
            "Whoever picks the best of these rows selects again, by values of few runs.",
            *_marks(found, objectives),
        ),
        align="l" + "r" * len(columns) + "l",
    )


_GROUPS = {  # of outcomes, in the order of the columns
    "Completed": (Outcome.COMPLETED,),
    "Pruned": (Outcome.PRUNED,),
    "Diverged": (Outcome.DIVERGED,),
    "Failed": (Outcome.FAILED, Outcome.OUT_OF_MEMORY),
    "Not ended": (Outcome.RUNNING, Outcome.INTERRUPTED, Outcome.QUEUED),
}


def _trials(results: Results, tuning: Tuning) -> Table:
    """Return how many trials each method had, how they ended and what they took."""
    group = {outcome: name for name, outcomes in _GROUPS.items() for outcome in outcomes}
    trials = results.trials.assign(group=results.trials["outcome"].map(group))
    counts = pd.crosstab(trials["method"], trials["group"])
    counts = counts.reindex(index=results.methods, columns=list(_GROUPS), fill_value=0)
    counts.insert(0, "Trials", trials["method"].value_counts())
    spent = trials.groupby("method")[["generator_updates", "seconds"]].sum()
    raw = counts.join(spent).fillna(0)
    raw = raw.assign(hours=raw["seconds"] / 3600).drop(columns="seconds")
    made = f" ({'; '.join(results.machines)})" if results.machines else ""
    return Table(
        name="trials",
        caption=f"Each method's trials, of {searches(tuning)}, and what they took.",
        columns=("Method", "Trials", *_GROUPS, "Generator updates", "Device hours"),
        rows=tuple(
            (str(method), *[f"{count:,.0f}" for count in numbers], text(float(hours)))
            for method, *numbers, hours in raw.itertuples()
        ),
        raw=raw.rename(columns=lambda name: name.lower().replace(" ", "_"))
        .rename_axis("method")
        .reset_index(),
        notes=(
            "Pruned trials were stopped for doing worse than others. Failed ones were stopped by "
            "the machine: they are no values and say nothing about a method.",
            "Device hours: training, scoring and auditing of all trials, on whatever machine each "
            f"had{made}.",
        ),
    )
