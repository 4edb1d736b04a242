"""Which of the searched parameters matter, by fANOVA."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from lipbench.planning.tuning import Objective, Tuning
from lipbench.reporting import Figure, Omitted, Table, tag
from lipbench.results import Results
from lipbench.tuning.analysis import FEWEST, SHUFFLES, Importance, importance

from ._draw import groups, plain
from ._strips import panels
from ._tuning import OfTrials, on_log_axis, short_names

_COLUMNS = 3  # panels in a row
_PANELS = 12  # in a figure, at most


class ParameterImportance(OfTrials):
    """Draw what share of the values' variance each parameter explains, a panel a method."""

    title = "Importance of the parameters"
    order = 5

    def of(self, results: Results, tuning: Tuning) -> Iterator[Table | Figure | Omitted]:
        trials = dict(list(results.trials.groupby("method")))
        for objective in tuning.objectives:
            log = on_log_axis(objective, results.trials[objective.name].dropna())
            none = results.trials.head(0)
            found = {
                m: importance(trials.get(m, none), tuning.search.get(m, ()), objective, log)
                for m in results.methods
            }
            some = [m for m in results.methods if found[m].shares]
            if not some:
                reasons = {about.reason for about in found.values()}
                why = reasons.pop() if len(reasons) == 1 else f"none has {FEWEST} such trials"
                yield Omitted(f"no method's importances of {objective.title} are known: {why}")
            several = f"_{objective.name}" if len(tuning.objectives) > 1 else ""
            for number, methods in groups(some, _PANELS):
                yield _figure(tuning, objective, several + number, methods, found, log)


def _figure(
    tuning: Tuning,
    objective: Objective,
    number: str,
    methods: Sequence[str],
    found: Mapping[str, Importance],
    log: bool,
) -> Figure:
    most = max(len(found[method].shares) for method in methods)
    drawing, grid = panels(methods, _COLUMNS, 0.35 + 0.19 * most, sharex=True)
    for i, (method, axes) in enumerate(zip(methods, grid, strict=True)):
        about, names = found[method], short_names(tuning.search[method])
        chances = list(about.by_chance.values())
        for y, (name, share) in enumerate(about.shares.items()):
            colour = "#0072B2" if share > about.by_chance[name] else "#BBBBBB"
            (bar,) = axes.barh(y, share, 0.66, color=colour)
            tag(
                bar,
                method,
                f"{method}, {name}: {share:.2f}, by chance {about.by_chance[name]:.2f}",
            )
        axes.plot(chances, range(len(chances)), "|", color="#222222", markersize=8)
        axes.set_yticks(range(len(chances)), [plain(names[name]) for name in about.shares])
        axes.set(xlim=(0, 1), ylim=(most - 0.4, -0.6))
        axes.tick_params(axis="y", length=0)
        axes.tick_params(labelbottom=i + _COLUMNS >= len(methods))
        axes.grid(axis="x")
        axes.set_xlabel("share of the variance" if i + _COLUMNS >= len(methods) else "")
    return Figure(
        f"tuning_importance{number}",
        f"How much of the trials' {objective.title} each searched parameter explains alone.",
        drawing,
        tuple(_notes(objective, found, log)),
        pd.DataFrame(
            {
                "method": method,
                "parameter": parameter,
                "share": share,
                "share_by_chance": found[method].by_chance[parameter],
                "trials": found[method].trials,
            }
            for method in methods
            for parameter, share in found[method].shares.items()
        ),
    )


def _notes(objective: Objective, found: Mapping[str, Importance], log: bool) -> Iterator[str]:
    grey = any(s <= a.by_chance[p] for a in found.values() for p, s in a.shares.items())
    of = f"the logarithm of {objective.title}" if log else objective.title
    yield (
        "fANOVA (Hutter et al. 2014) as Optuna computes it, with a fixed seed: the share of the "
        f"variance of {of}, as a random forest predicts it over the search space, that is a "
        "parameter's alone. The rest is that of parameters together."
    )
    yield (
        "The tick is the share that the parameter gets where the values are shuffled, the mean of "
        f"{SHUFFLES} times: what chance alone gives it.{' Grey: not above that.' if grey else ''}"
    )
    trials = [about.trials for about in found.values() if about.shares]
    many = f"{min(trials)}" if min(trials) == max(trials) else f"{min(trials)} to {max(trials)}"
    yield (
        f"{many} trials a method, completed and diverged ones, those at the ceiling; pruned ones "
        "have no value. What is important depends on the ranges that were searched."
    )
    left = {m: about.left_out for m, about in found.items() if about.shares and about.left_out}
    if left:
        listed = "; ".join(f"{m}: {', '.join(names)}" for m, names in left.items())
        yield f"Left out, for some trials do not have it or all have one value: {listed}."
    for reason in dict.fromkeys(about.reason for about in found.values() if about.reason):
        methods = [f"{m} ({a.trials})" for m, a in found.items() if a.reason == reason]
        yield f"Not shown, as {reason}: {', '.join(methods)}."
