"""What the trials of a study say. Pure functions of the frame that `load_trials` returns.

Three kinds of trials: *valued* ones have a value, their own or, where they diverged, the ceiling
that the sampler was told; *counted* ones are those and the pruned ones, on which budget was spent
but which have no value; the others, which the machine failed or which have not ended, say nothing
about a method and are in no function's result.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lipbench.outcome import Outcome
from lipbench.planning.tuning import Objective, Parameter, Value

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

Floats = npt.NDArray[np.float64]

VALUED = (Outcome.COMPLETED, Outcome.DIVERGED)
COUNTED = (*VALUED, Outcome.PRUNED)
BUDGETS = (1, 5, 25, 100)  # of trials, at which methods are ranked
FEWEST = 10  # valued trials of a method whose parameters' importance is estimated; our choice
_TREES = 64  # of fANOVA's forest, Optuna's default
SHUFFLES = 10  # of the values, for what chance alone would give
_SHUFFLED_TREES = 16


def counted_trials(trials: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    """Return the counted trials by method, seed and number, with a column `value`.

    That is the objective's column where a trial is valued, and NaN where it was pruned, or where
    the value is not finite.
    """
    kept = trials[trials["outcome"].isin(COUNTED)]
    value = pd.to_numeric(kept[objective.name]).astype(float)
    valued = kept["outcome"].isin(VALUED) & (value.abs() < math.inf)
    kept = kept.assign(value=value.where(valued))
    order = kept["method"].map({m: i for i, m in enumerate(kept["method"].unique())})
    kept = kept.assign(_order=order).sort_values(["_order", "seed", "trial"], kind="stable")
    return kept.drop(columns="_order").reset_index(drop=True)


def best_trials(trials: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    """Return the completed trials that have a value, best first; of equals, the earlier first.

    A diverged trial is never among the best: its value is the ceiling and not a measurement.
    """
    found = counted_trials(trials, objective)
    found = found[(found["outcome"] == Outcome.COMPLETED) & found["value"].notna()]
    by = ["value", "seed", "trial"]
    found = found.sort_values(by, ascending=[not objective.higher_is_better, True, True])
    return found.reset_index(drop=True)


def confirmations(runs: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    """Return a row for each configuration that was run again, over its fresh seeds.

    Columns: `method`, `repeat`, `trial`, `setting`, `runs`, `completed`, `diverged`, `missing`
    (failed, not ended, or without this value), `collapsed` (of the completed ones), `mean` and
    `std` over the runs with a result, of which a diverged one counts as the ceiling, and
    `mean_completed`, `std_completed` over the others. A standard deviation is over n - 1, and NaN
    of one run.
    """
    rows = []
    value = pd.to_numeric(runs[objective.name]) if objective.name in runs else math.nan
    runs = runs.assign(value=value)
    keys = ["method", "repeat", "trial", "setting"]
    for key, of_it in runs.groupby(keys, sort=False) if len(runs) else ():
        own = of_it["value"][of_it["outcome"] == Outcome.COMPLETED].astype(float).dropna()
        diverged = int((of_it["outcome"] == Outcome.DIVERGED).sum())
        values = [*own, *[objective.if_diverged] * diverged]
        rows.append(
            {
                **dict(zip(keys, key, strict=True)),
                "runs": len(of_it),
                "completed": len(own),
                "diverged": diverged,
                "missing": len(of_it) - len(values),
                "collapsed": _collapsed(of_it.loc[own.index]),
                **_moments("", values),
                **_moments("_completed", [*own]),
            }
        )
    return pd.DataFrame(rows, columns=[*keys, *_CONFIRMED])


_CONFIRMED = [
    *("runs", "completed", "diverged", "missing", "collapsed"),
    *("mean", "std", "mean_completed", "std_completed"),
]


def _collapsed(runs: pd.DataFrame) -> int:
    return int(runs["collapsed"].eq(True).sum()) if "collapsed" in runs else 0


def _moments(suffix: str, values: Sequence[float]) -> dict[str, float]:
    mean = float(np.mean(values)) if values else math.nan
    spread = len(values) > 1 and math.isfinite(mean)
    with np.errstate(over="ignore"):
        std = float(np.std(values, ddof=1)) if spread else math.nan
    return {f"mean{suffix}": mean, f"std{suffix}": std}


def best_so_far(trials: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    """Return a row for each counted trial: the best value of it and those asked for before it.

    Columns: `method`, `seed`, `trial`, `outcome`, `value`, `trials` (how many until here, pruned
    ones too), `generator_updates` and `hours` (what they took together) and `best`, NaN before
    the first trial with a value. Each (method, seed) is a search of its own.
    """
    found = counted_trials(trials, objective)
    of_search = [found["method"], found["seed"]]
    signed = _sign(objective) * found["value"]
    best = signed.groupby(of_search).cummin().groupby(of_search).ffill()
    hours = found["seconds"].astype(float).fillna(0.0) / 3600
    updates = found["generator_updates"].astype(float).fillna(0.0)
    return pd.DataFrame(
        {
            **{name: found[name] for name in ("method", "seed", "trial", "outcome", "value")},
            "trials": found.groupby(["method", "seed"]).cumcount() + 1,
            "generator_updates": updates.groupby(of_search).cumsum(),
            "hours": hours.groupby(of_search).cumsum(),
            "best": _sign(objective) * best,
        }
    )


def over_repeats(lines: pd.DataFrame, along: str) -> pd.DataFrame:
    """Return each method's best so far as the median, lowest and highest over its searches.

    `lines` are from `best_so_far`, `along` is its column `trials`, `generator_updates` or `hours`.
    Rows are where any search of the method has a new trial, from where all of them have a best
    to the end of the shortest: what a search would still have found is not known. A search
    without any best is left out. Columns: `method`, `along`'s, `searches`, `median`, `low`,
    `high`.
    """
    rows = []
    for method, of_method in lines.groupby("method", sort=False):
        searches = [s for _, s in of_method.groupby("seed") if s["best"].notna().any()]
        if not searches:
            continue
        shortest = min(float(s[along].max()) for s in searches)
        places = np.unique(of_method[along].to_numpy(float))
        places = places[places <= shortest]
        best = np.stack([_steps(s[along], s["best"], places) for s in searches])
        known = np.isfinite(best).all(axis=0)
        for place, column in zip(places[known], best[:, known].T, strict=True):
            spread = {"low": column.min(), "high": column.max()}
            middle = {"searches": len(searches), "median": float(np.median(column))}
            rows.append({"method": method, along: place, **middle, **spread})
    return pd.DataFrame(rows, columns=["method", along, "searches", "median", "low", "high"])


def pools(trials: pd.DataFrame, objective: Objective) -> dict[str, Floats]:
    """Return the values of each method's counted trials over all its searches, best first.

    A trial without a value, a pruned one, stands with the worst value of all methods' completed
    trials, or with the ceiling where none completed: it was stopped for being worse than others,
    and how much worse is unknown. With the worst of its own method, pruning would flatter.
    Methods without any valued trial are left out.
    """
    found = {}
    every = counted_trials(trials, objective)
    completed = (
        _sign(objective) * every.loc[every["outcome"] == Outcome.COMPLETED, "value"].dropna()
    )
    ceiling = _sign(objective) * objective.if_diverged
    worst = ceiling if completed.empty else float(completed.max())
    for method, of_method in every.groupby("method", sort=False):
        signed = _sign(objective) * of_method["value"]
        if signed.isna().all():
            continue
        found[str(method)] = _sign(objective) * np.sort(signed.fillna(worst).to_numpy(float))
    return found


def chances(n: int, k: int) -> Floats:
    """Return how likely the best, second best, ... of n values is the best of k drawn ones.

    Drawn independently, with replacement: the i-th of n is the best with probability
    ((n - i + 1)^k - (n - i)^k) / n^k.
    """
    survival = (np.arange(n, -1, -1) / n) ** k
    return survival[:-1] - survival[1:]


def expected_best(values: Floats, k: int) -> float:
    """Return the expectation of the best of k values drawn from `values`, best first."""
    return float(values @ chances(len(values), k))


def geometric_mean_of_best(values: Floats, k: int) -> float:
    """Return the geometric mean of the best of k drawn values, NaN if any is not positive."""
    return math.exp(expected_best(np.log(values), k)) if (values > 0).all() else math.nan


def quantile_of_best(values: Floats, k: int, q: float) -> float:
    """Return a quantile of the best of k values drawn from `values`, best first.

    It is the first value for which it is at least as likely as `q` that the best of k is as good
    or better: at 0.05 a lucky search, at 0.95 an unlucky one.
    """
    reached = np.cumsum(chances(len(values), k)) >= q - 1e-12  # sums are not exact
    return float(values[int(np.argmax(reached)) if reached.any() else -1])


def best_of_k(
    trials: pd.DataFrame, objective: Objective, ends: tuple[float, float] = (0.05, 0.95)
) -> pd.DataFrame:
    """Return what the best of k trials would be, for k up to each method's counted trials.

    Exact, for k independent draws from the method's `pools`. Columns: `method`, `k`, `trials` (in
    the pool), `mean`, `geometric_mean` (of positive values, else NaN), `median`, and the quantiles
    at `ends`: `lucky`, `unlucky`.
    """
    rows = [
        {
            "method": method,
            "k": k,
            "trials": len(values),
            "mean": expected_best(values, k),
            "geometric_mean": geometric_mean_of_best(values, k),
            "median": quantile_of_best(values, k, 0.5),
            "lucky": quantile_of_best(values, k, ends[0]),
            "unlucky": quantile_of_best(values, k, ends[1]),
        }
        for method, values in pools(trials, objective).items()
        for k in range(1, len(values) + 1)
    ]
    columns = ["method", "k", "trials", "mean", "geometric_mean", "median", "lucky", "unlucky"]
    return pd.DataFrame(rows, columns=columns)


def ranking(
    trials: pd.DataFrame, objective: Objective, budgets: Sequence[int] = BUDGETS
) -> pd.DataFrame:
    """Return each method's best of k trials, and how likely it is the best of all methods'.

    All methods are compared by as many trials: their first n counted ones, in the order of their
    numbers, where n is the fewest that a compared method has. Not compared, and NaN, are methods
    without a value among those, or with less than half as many trials as another. k are the
    budgets below n, and n. Columns: `method`, `trials` (counted), `n`, `k`, `median` and `chance`,
    which equals share.
    """
    found = counted_trials(trials, objective)
    sizes = found.groupby("method", sort=False).size()
    n = int(sizes[2 * sizes >= sizes.max()].min()) if len(sizes) else 0
    same = found[found["method"].map(sizes) >= n].sort_values(["trial", "seed"], kind="stable")
    compared = pools(same.groupby("method", sort=False).head(n), objective)
    rows = []
    for k in sorted({*[budget for budget in budgets if budget < n], n}) if compared else ():
        likely = chances_of_best(compared, k, objective.higher_is_better)
        for method, size in sizes.items():
            values = compared.get(str(method))
            median = math.nan if values is None else quantile_of_best(values, k, 0.5)
            about = {"method": method, "trials": size, "n": n, "k": k, "median": median}
            rows.append(about | {"chance": likely.get(str(method), math.nan)})
    return pd.DataFrame(rows, columns=["method", "trials", "n", "k", "median", "chance"])


def chances_of_best(
    pools: Mapping[str, Floats], k: int, higher_is_better: bool = False
) -> dict[str, float]:
    """Return how likely each method's best of k draws is the best of all; equals share it.

    Exact. At a value v method m is the best with its chance p_m of v, times that of every other
    to be worse (s) or equal (p), where t equals leave it 1 / (1 + t): that is the integral from 0
    to 1 of the product of (s + p z), a polynomial, which Gauss and Legendre's nodes integrate
    without error.
    """
    sign = -1.0 if higher_is_better else 1.0
    values = np.unique(np.concatenate([sign * pool for pool in pools.values()]))
    equal = np.zeros((len(pools), len(values)))
    for row, pool in zip(equal, pools.values(), strict=True):
        np.add.at(row, np.searchsorted(values, sign * pool), chances(len(pool), k))
    worse = np.clip(1 - np.cumsum(equal, axis=1), 0, 1)
    nodes, weights = np.polynomial.legendre.leggauss(len(pools) // 2 + 1)
    nodes, weights = (nodes + 1) / 2, weights / 2
    terms = worse + equal * nodes[:, None, None]  # node, method, value
    likely = {}
    for i, method in enumerate(pools):
        others = np.delete(terms, i, axis=1).prod(axis=1)
        likely[method] = float(weights @ others @ equal[i])
    return likely


def on_front(values: Floats, objectives: Sequence[Objective]) -> list[bool]:
    """Return for each row whether no other is as good in every objective and better in one.

    Equal rows are all on the front, a row with NaN is never. A column of `values` is an objective.
    """
    signed = values * [_sign(objective) for objective in objectives]
    known = signed[~np.isnan(signed).any(axis=1)]

    def beaten(point: Floats) -> bool:
        return bool(((known <= point).all(axis=1) & (known < point).any(axis=1)).any())

    return [not np.isnan(point).any() and not beaten(point) for point in signed]


def configuration(trial: Mapping[Any, Any], search: Sequence[Parameter]) -> dict[str, Value]:
    """Return what a trial's searched parameters were, without those that it did not have.

    `trial` is a row of the frame as a mapping; a parameter exists where its `when` says so. A
    choice that is no longer one is left out.
    """
    parameters = {parameter.name: parameter for parameter in search}
    read = {name: _read(p, trial.get(f"params_{name}")) for name, p in parameters.items()}

    def exists(name: str) -> bool:
        conditions = parameters[name].when.items()
        return all(
            other in parameters and exists(other) and read[other] in values
            for other, values in conditions
        )

    def known(name: str) -> bool:
        if parameters[name].kind == "categorical":
            return read[name] in parameters[name].choices
        return read[name] is not None

    return {name: read[name] for name in parameters if exists(name) and known(name)}


@dataclass(frozen=True)
class Importance:
    """How much each parameter alone explains of a method's values; empty where `reason` says so.

    A share of the variance of a forest's predictions. Shares need not add up to 1: the rest is
    that of parameters together.
    """

    trials: int  # valued ones that it rests on
    shares: Mapping[str, float] = field(default_factory=dict)  # the largest first
    by_chance: Mapping[str, float] = field(default_factory=dict)  # shares of shuffled values
    left_out: tuple[str, ...] = ()  # parameters that some of the trials do not have
    reason: str = ""


def importance(
    trials: pd.DataFrame, search: Sequence[Parameter], objective: Objective, log: bool = False
) -> Importance:
    """Return the importance of one method's parameters by fANOVA (Hutter et al. 2014).

    Optuna's, with a fixed seed, on the valued trials of all searches; with `log`, on the values'
    logarithms, so that a ceiling far above the other values is not all that counts. Parameters
    that not all of these trials have are left out. `by_chance` is the mean over shuffled values:
    a share that is not above it is no finding.
    """
    valued = counted_trials(trials, objective).dropna(subset="value")
    if log:
        valued = valued[valued["value"] > 0]
    rows = [configuration(row, search) for row in valued.to_dict("records")]
    shared = [p for p in search if rows and all(p.name in row for row in rows)]
    shared = [p for p in shared if len({row[p.name] for row in rows}) > 1]
    left_out = tuple(p.name for p in search if p not in shared)
    values = np.log(valued["value"]) if log else valued["value"]
    if len(rows) < FEWEST:
        reason = f"fewer than {FEWEST} trials have a value"
    elif len(shared) < 2:
        reason = "fewer than two parameters are searched in all of its trials"
    elif values.nunique() < 2:
        reason = "its trials' values are all the same"
    else:
        shares = _fanova(rows, shared, values.to_numpy(float), _TREES)
        draws = np.random.default_rng(0)
        chance = [
            _fanova(rows, shared, draws.permutation(values.to_numpy(float)), _SHUFFLED_TREES)
            for _ in range(SHUFFLES)
        ]
        ordered = sorted(shares, key=lambda name: -shares[name])
        by_chance = {name: float(np.mean([c[name] for c in chance])) for name in ordered}
        return Importance(len(rows), {n: shares[n] for n in ordered}, by_chance, left_out)
    return Importance(len(rows), left_out=left_out, reason=reason)


def _fanova(
    rows: Sequence[Mapping[str, Value]], search: Sequence[Parameter], values: Floats, trees: int
) -> dict[str, float]:
    """Return each parameter's share of the variance of a forest's predictions."""
    import optuna

    with _quiet():
        study = optuna.create_study()
        study.add_trials([_trial(*pair, search) for pair in zip(rows, values, strict=True)])
        found = optuna.importance.get_param_importances(
            study,
            evaluator=optuna.importance.FanovaImportanceEvaluator(n_trees=trees, seed=0),
            params=[parameter.name for parameter in search],
            normalize=False,
        )
    return {name: float(share) for name, share in found.items()}


def _trial(row: Mapping[str, Value], value: float, search: Sequence[Parameter]) -> FrozenTrial:
    from optuna.trial import create_trial

    from lipbench.tuning.distributions import distribution

    return create_trial(
        params={parameter.name: row[parameter.name] for parameter in search},
        distributions={parameter.name: distribution(parameter) for parameter in search},
        value=float(value),
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from telling of a study that only this function knows, and of `normalize`."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def _read(parameter: Parameter, raw: Any) -> Value:
    """Return a value as it was searched: a frame's columns make floats of integers."""
    missing = raw is None or raw is pd.NA or (isinstance(raw, float) and math.isnan(raw))
    if missing:
        return None
    if parameter.kind == "categorical":
        of_its_type = [c for c in parameter.choices if type(c) is type(raw) and c == raw]
        return next(iter([*of_its_type, *[c for c in parameter.choices if c == raw]]), str(raw))
    return int(raw) if parameter.kind == "int" else float(raw)


def _steps(x: pd.Series[Any], y: pd.Series[float], places: Floats) -> Floats:
    """Return a step function's value at each place; NaN before its first step."""
    at = np.searchsorted(x.to_numpy(float), places, side="right") - 1
    return np.where(at < 0, np.nan, y.to_numpy(float)[np.maximum(at, 0)])


def _sign(objective: Objective) -> float:
    return -1.0 if objective.higher_is_better else 1.0
