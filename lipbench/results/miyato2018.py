"""The claims of Miyato et al. (ICLR 2018, arXiv 1802.05957) that results can speak to.

Each is a function of `Results`. What "robust" or "fails" means is not fixed by the paper: how each
is tested is our choice, and stands beside the verdict. One rule is shared: a difference counts
where it is called at 95%; what is not called is not enough evidence, on either side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from lipbench.protocols import SCORES
from lipbench.results.audits import spectrum
from lipbench.results.cells import best, cells
from lipbench.results.results import Results
from lipbench.stats import FEWEST_SEEDS, against, tidy
from lipbench.stats.holm import holm
from lipbench.stats.summaries import quantile
from lipbench.words import counted, listed

SUPPORTED: Support = "supported"
CONTRADICTED: Support = "contradicted"
OPEN: Support = "not enough evidence"
Support = Literal["supported", "contradicted", "not enough evidence"]

_AGGRESSIVE = 1e-3  # learning rate of settings D, E and F (Table 1)
_ALPHA = 0.05


@dataclass(frozen=True)
class Finding:
    """What results say of a claim, with the numbers and the labels of the methods it is about."""

    verdict: Support
    numbers: str


@dataclass(frozen=True)
class PublishedClaim:
    """A claim, where it stands, how it is tested, and the test.

    `check` returns why the results cannot speak to it, where they cannot.
    """

    text: str
    where: str
    tested: str
    check: Callable[[Results], Finding | str]


def robust(results: Results) -> Finding | str:
    """SN copes with aggressive learning rates and momentum."""
    table, sn, others = _table(results), _label(results, "spectral_norm"), _others(results)
    hard = table[table["setting"].isin(_aggressive(results))]
    if sn is None or not others or hard.empty:
        return "it takes SN, another method and a setting like D, E or F"
    found = against(hard, sn, others)
    if few := _few(hard):
        return Finding(OPEN, few)
    better = [each.second for each in found if each.called and each.probability > 0.5]
    worse = [each.second for each in found if each.called and each.probability < 0.5]
    numbers = (
        f"at {_settings(hard)} {sn} is called better than {_names(better)} of "
        f"{counted(len(others), 'other')}, worse than {_names(worse)}"
    )
    if worse:
        return Finding(CONTRADICTED, numbers)
    return Finding(SUPPORTED if 2 * len(better) > len(others) else OPEN, numbers)


def gradient_penalty_fails(results: Results) -> Finding | str:
    """WGAN-GP fails at high learning rates and high momentum."""
    label = _label(results, "wgan_gp")
    return _between_settings(results, label, "WGAN-GP", _aggressive(results), "like D, E or F")


def orthonormal_at_e(results: Results) -> Finding | str:
    """Orthonormal regularization does poorly at setting E on STL-10."""
    if not _on(results, "stl10"):
        return "it is about STL-10"
    at_e = [setting for setting in results.settings if setting == "E"]
    return _between_settings(results, _label(results, "orthonormal"), "Orthonormal", at_e, "E")


def weight_norm_is_inferior(results: Results) -> Finding | str:
    """WN's best setting is worse than those of SN and WGAN-GP on STL-10."""
    if not _on(results, "stl10"):
        return "it is about STL-10"
    labels = [_label(results, name) for name in ("weight_norm", "spectral_norm", "wgan_gp")]
    if None in labels:
        return "it takes WN, SN and WGAN-GP"
    wn, *others = [label for label in labels if label is not None]
    return _at_best(results, wn, others, need=len(others), worse=True)


def best_scores(results: Results) -> Finding | str:
    """SN's best score is better than almost all others'."""
    sn, others = _label(results, "spectral_norm"), _others(results)
    if sn is None or len(others) < 2:
        return "it takes SN and two other methods"
    return _at_best(results, sn, others, need=max(1, len(others) - 1))


def rank_deficit(results: Results) -> Finding | str:
    """Layers 1 to 5 of WC and WN have few large singular values, those of SN many."""
    ranks = _of_last_audits(results, lambda layers: _mean_rank(layers[:5]))
    sn = _label(results, "spectral_norm")
    others = [m for m in map(_of(results), ("weight_clipping", "weight_norm")) if m in ranks]
    if sn not in ranks or not others:
        return "it takes audited runs of SN and of WC or WN"
    medians = {m: float(np.median(ranks[m])) for m in (sn, *others)}
    numbers = "effective rank of the first five layers, of the full one: " + ", ".join(
        f"{method} {median:.0%}" for method, median in medians.items()
    )
    p = [_larger(ranks[sn], ranks[other]) for other in others]
    q = [_larger(ranks[other], ranks[sn]) for other in others]
    return _judged(numbers, all(v < _ALPHA / len(p) for v in p), min(q) < _ALPHA / len(q))


def sigma_stays_near_one(results: Results) -> Finding | str:
    """The spectral norms of SN's weights stay between 1 and 1.05 during training."""
    sn = _label(results, "spectral_norm")
    sigmas: list[list[float]] = []
    for run in _runs(results, sn):
        audits = [a for a in results.audits.get(run, ()) if a["update"] > 0]
        here = [_float(layer.get("sigma_kernel")) for a in audits for layer in a["layers"]]
        if known := [value for value in here if math.isfinite(value)]:
            sigmas.append(known)
    if not sigmas:
        return "it takes audited runs of SN"
    inside = [float(np.mean([0.95 <= v <= 1.05 for v in values])) for values in sigmas]
    largest = max(max(values) for values in sigmas)
    numbers = (
        f"{np.mean(inside):.0%} of the layers' norms at audits are between 0.95 and 1.05, the "
        f"largest is {largest:.2f} ({counted(len(sigmas), 'run')})"
    )
    if len(sigmas) < FEWEST_SEEDS:
        return Finding(OPEN, numbers)
    return _judged(numbers, min(inside) >= 0.9, max(inside) < 0.5)


def time(results: Results) -> Finding | str:
    """SN takes 110 to 120% of WN's time, and much less than WGAN-GP."""
    ratio = {name: _ratios(results, name) for name in ("spectral_norm", "weight_norm", "wgan_gp")}
    if any(len(values) == 0 for values in ratio.values()):
        return "it takes `lipbench cost` of SN, WN and WGAN-GP with 5 D updates"
    sn, wn, gp = ratio["spectral_norm"], ratio["weight_norm"], ratio["wgan_gp"]
    rounds = min(map(len, ratio.values()))
    of_wn, of_sn = sn[:rounds] / wn[:rounds], gp[:rounds] / sn[:rounds]
    numbers = (
        f"SN takes {np.median(of_wn):.2f} times as long as WN ({of_wn.min():.2f} to "
        f"{of_wn.max():.2f}), WGAN-GP {np.median(of_sn):.2f} times as long as SN "
        f"({of_sn.min():.2f} to {of_sn.max():.2f}), {counted(rounds, 'round')}"
    )
    if rounds < FEWEST_SEEDS:
        return Finding(OPEN, numbers)
    return _judged(
        numbers,
        bool(of_wn.max() <= 1.2 and of_sn.min() > 1),
        bool(of_wn.min() > 1.2 or of_sn.max() < 1),
    )


def more_d_updates(results: Results) -> Finding | str:
    """WN gets worse with more D updates for one of G; SN does not."""
    from scipy import stats

    labels = [_label(results, name) for name in ("weight_norm", "spectral_norm")]
    if None in labels:
        return "it takes WN and SN"
    table = _table(results).merge(
        results.runs[["run_id", "n_dis", "lr", "beta1", "beta2"]].drop_duplicates("run_id")
    )
    table = table[table["ended"]]
    groups = [some for _, some in table.groupby(["lr", "beta1", "beta2"])]
    table = max(groups, key=lambda some: some["n_dis"].nunique(), default=table)
    if table["n_dis"].nunique() < 3:
        return "it takes one setting with three numbers of D updates"
    if few := _few(table):
        return Finding(OPEN, few)
    found = {}
    for label in labels:
        own = table[table["method"] == label]
        losses = own["loss"].clip(upper=_largest(own["loss"]))
        if losses.nunique() < 2 or own["n_dis"].nunique() < 3:
            return f"it takes three numbers of D updates of {label}"
        found[label] = stats.spearmanr(own["n_dis"], losses)
    wn, sn = found.values()
    numbers = ", ".join(
        f"{label}: Spearman's correlation of D updates with a worse score "
        f"{each.statistic:+.2f} (p = {each.pvalue:.2g})"
        for label, each in found.items()
    )
    wn_worse = wn.pvalue < _ALPHA and wn.statistic > 0
    sn_worse = sn.pvalue < _ALPHA and sn.statistic > 0
    wn_better = wn.pvalue < _ALPHA and wn.statistic < 0
    return _judged(numbers, wn_worse and not sn_worse, sn_worse or wn_better)


def wider_last_layer(results: Results) -> Finding | str:
    """Orthonormal gets worse with a wider last layer, SN does not."""
    return "it takes networks whose last layer alone is widened, and a suite has one network"


def imagenet(results: Results) -> Finding | str:
    """On ImageNet SN keeps improving where others collapse or stop."""
    return "it is about ImageNet"


def optimal_settings(results: Results) -> Finding | str:
    """SN's best setting on STL-10 is B, Orthonormal's is C."""
    if not _on(results, "stl10"):
        return "it is about STL-10"
    named = {"spectral_norm": "B", "orthonormal": "C"}
    known = {_label(results, name): setting for name, setting in named.items()}
    known = {m: s for m, s in known.items() if m is not None and s in results.settings}
    if not known or len(results.settings) < 2:
        return "it takes SN at setting B or Orthonormal at C, and other settings"
    grid = cells(results, results.primary)
    table = _table(results)
    told, right, wrong = [], [], []
    for method, setting in known.items():
        found = best({s: grid[str(method), s] for s in results.settings})
        told.append(f"{method}'s best setting is {found}")
        others = [s for s in results.settings if s != setting]
        p = [_settings_differ(table, str(method), other, setting) for other in others]
        wrong.append(min(p, default=1.0) < _ALPHA / len(others))
        q = [_settings_differ(table, str(method), setting, other) for other in others]
        right.append(max(q, default=1.0) < _ALPHA)
    return _judged(listed(told), all(right), any(wrong))


def overfitting_gap(results: Results) -> Finding | str:
    """The critic's loss differs less between training and held-out images with SN."""
    plain = _label(results, "wgan_gp")
    both = next(
        (m for m in results.methods if _plugins(results, m) == {"wgan_gp", "spectral_norm"}), None
    )
    gaps = {m: _last(results, m, "overfitting_gap") for m in (plain, both) if m is not None}
    if len(gaps) < 2 or not all(gaps.values()):
        return "it takes audited runs of WGAN-GP, alone and with SN"
    one, other = gaps.values()
    numbers = ", ".join(
        f"{m}: median gap {np.median(values):.3g} of {counted(len(values), 'run')}"
        for m, values in gaps.items()
    )
    return _judged(numbers, _larger(one, other) < _ALPHA, _larger(other, one) < _ALPHA)


_BY_PAIRS = "Wilcoxon's test over settings and seeds, Holm's correction"
_BY_RUNS = "Mann-Whitney's test of runs"
CLAIMS: tuple[PublishedClaim, ...] = (
    PublishedClaim(
        "SN is relatively robust with aggressive learning rates and momentum.",
        "Figures 1 and 2",
        "at settings with a learning rate of 1e-3 or more, SN is called better than most other "
        f"methods and worse than none ({_BY_PAIRS})",
        robust,
    ),
    PublishedClaim(
        "WGAN-GP fails at high learning rates and high momentum.",
        "Figure 6",
        f"its runs there are called worse than at the other settings ({_BY_RUNS})",
        gradient_penalty_fails,
    ),
    PublishedClaim(
        "Orthonormal regularization performs poorly at setting E on STL-10.",
        "Figures 1 and 2",
        f"its runs there are called worse than at the other settings ({_BY_RUNS})",
        orthonormal_at_e,
    ),
    PublishedClaim(
        "The best setting of WN is inferior to those of SN and WGAN-GP on STL-10.",
        "Table 2",
        "WN is called worse than both, each at its best setting (Welch's test over seeds, Holm's "
        "correction)",
        weight_norm_is_inferior,
    ),
    PublishedClaim(
        "The best scores of SN are better than those of almost all other methods.",
        "Table 2",
        "SN is called better than all others but one, each at its best setting (Welch's test over "
        "seeds, Holm's correction)",
        best_scores,
    ),
    PublishedClaim(
        "Layers 1 to 5 of WC and WN have few large singular values, those of SN many.",
        "Figure 3",
        "SN's effective rank, of the full one, is called larger than theirs (Mann-Whitney's test "
        "of audited runs)",
        rank_deficit,
    ),
    PublishedClaim(
        "The spectral norms of the weights of SN stay between 1 and 1.05 during training.",
        "Figure 9",
        "in each run 90% or more of the norms at audits are between 0.95 and 1.05; contradicted "
        "where it is less than half in each",
        sigma_stays_near_one,
    ),
    PublishedClaim(
        "SN takes 110 to 120% of the time of WN, and much less than WGAN-GP.",
        "Figure 10",
        "side by side, SN takes at most 1.2 times as long as WN, and less than WGAN-GP, in every "
        "round",
        time,
    ),
    PublishedClaim(
        "WN gets worse with more updates of D for one of G, SN does not.",
        "Figure 11",
        "Spearman's correlation of D updates with a worse score is called for WN and not for SN",
        more_d_updates,
    ),
    PublishedClaim(
        "Orthonormal regularization gets worse where the last layer is wider, SN does not.",
        "Figure 4",
        "",
        wider_last_layer,
    ),
    PublishedClaim(
        "On ImageNet, SN keeps improving where other methods collapse or stop.",
        "Figures 5 and 13",
        "",
        imagenet,
    ),
    PublishedClaim(
        "The best setting on STL-10 is B for SN, and C for orthonormal regularization.",
        "footnote 4, Figure 4",
        f"it is called better than each other setting ({_BY_RUNS})",
        optimal_settings,
    ),
    PublishedClaim(
        "The critic's loss on training and held-out images differs less with SN.",
        "Figure 15",
        "the gap is called smaller with SN beside WGAN-GP than without (Mann-Whitney's test of "
        "audited runs)",
        overfitting_gap,
    ),
)


def _judged(numbers: str, supported: bool, contradicted: bool) -> Finding:
    if supported == contradicted:
        return Finding(OPEN, numbers)
    return Finding(SUPPORTED if supported else CONTRADICTED, numbers)


def _table(results: Results) -> pd.DataFrame:
    about = SCORES[results.primary]
    return tidy(results.runs, about.name, about.higher_is_better)


def _plugins(results: Results, label: str) -> set[str]:
    rows = results.runs.loc[results.runs["method"].eq(label), "methods"]
    return set(str(rows.iloc[0]).split(" + ")) if len(rows) else set()


def _label(results: Results, plugin: str) -> str | None:
    """Return the first label of a method that is this plugin alone."""
    return next((m for m in results.methods if _plugins(results, m) == {plugin}), None)


def _of(results: Results) -> Callable[[str], str | None]:
    return lambda plugin: _label(results, plugin)


def _others(results: Results) -> list[str]:
    """Return the methods without SN."""
    return [m for m in results.methods if "spectral_norm" not in _plugins(results, m)]


def _aggressive(results: Results) -> list[str]:
    rows = results.runs.groupby("setting")["lr"].min()
    return [s for s in results.settings if rows.get(s, 0.0) >= _AGGRESSIVE]


def _on(results: Results, dataset: str) -> bool:
    return bool(results.runs["dataset"].eq(dataset).any())


def _runs(results: Results, method: str | None) -> list[str]:
    rows = results.runs.loc[results.runs["method"].eq(method or ""), "run_id"]
    return list(map(str, rows.unique()))


def _few(table: pd.DataFrame) -> str:
    """Return what keeps any difference from being called; empty where nothing does."""
    seeds = table[table["ended"]]["seed"].nunique()
    return (
        "" if seeds >= FEWEST_SEEDS else f"{counted(seeds, 'seed')}, where it takes {FEWEST_SEEDS}"
    )


def _settings(table: pd.DataFrame) -> str:
    return listed(sorted(map(str, table["setting"].unique())))


def _names(methods: Sequence[str]) -> str:
    return listed(list(methods)) if methods else "none"


def _largest(losses: pd.Series[float]) -> float:
    """Return what stands for an infinite loss where ranks decide: more than any finite one."""
    finite = losses[np.isfinite(losses)]
    return float(finite.max()) + 1 + abs(float(finite.max())) if len(finite) else 1.0


def _larger(one: Iterable[float], other: Iterable[float]) -> float:
    """Return Mann-Whitney's one-sided p of the first being larger; 1 under FEWEST_SEEDS values."""
    from scipy import stats

    a, b = np.asarray(list(one), float), np.asarray(list(other), float)
    if min(len(a), len(b)) < FEWEST_SEEDS or len(np.unique([*a, *b])) < 2:
        return 1.0
    return float(stats.mannwhitneyu(a, b, alternative="greater").pvalue)


def _settings_differ(table: pd.DataFrame, method: str, better: str, worse: str) -> float:
    """Return the p of a method being better at one setting than at another."""
    own = table[table["method"].eq(method) & table["ended"]]
    losses = {s: own.loc[own["setting"].eq(s), "loss"] for s in (better, worse)}
    return _larger(losses[worse], losses[better])


def _between_settings(
    results: Results, method: str | None, called: str, hard: Sequence[str], like: str
) -> Finding | str:
    """Return whether a method does worse at some settings than at the others."""
    table = _table(results)
    own = table[table["method"].eq(method or "") & table["ended"]]
    there = own[own["setting"].isin(hard)]
    elsewhere = own[~own["setting"].isin(hard)]
    if there.empty or elsewhere.empty:
        return f"it takes {called} at a setting {like} and at others"
    if few := _few(own):
        return Finding(OPEN, few)
    lost = int(np.isinf(there["loss"]).sum())
    sign = -1 if SCORES[results.primary].higher_is_better else 1
    medians = [sign * quantile(runs["loss"], 0.5) for runs in (there, elsewhere)]
    numbers = (
        f"median {medians[0]:.4g} at {_settings(there)}, {medians[1]:.4g} at "
        f"{_settings(elsewhere)}; {lost} of {counted(len(there), 'run')} there diverged or "
        "collapsed"
    )
    return _judged(
        numbers,
        _larger(there["loss"], elsewhere["loss"]) < _ALPHA,
        _larger(elsewhere["loss"], there["loss"]) < _ALPHA,
    )


def _at_best(
    results: Results, method: str, others: Sequence[str], need: int, worse: bool = False
) -> Finding:
    """Return whether a method's best setting is called better (or worse) than `need` others'."""
    from scipy import stats

    grid, table = cells(results, results.primary), _table(results)
    losses = {}
    for each in (method, *others):
        setting = best({s: grid[each, s] for s in results.settings})
        here = table[table["method"].eq(each) & table["setting"].eq(setting or "")]
        losses[each] = here["loss"].dropna().to_numpy()
    if min(map(len, losses.values())) < FEWEST_SEEDS:
        return Finding(OPEN, f"fewer than {FEWEST_SEEDS} seeds at a method's best setting")
    own = losses.pop(method)
    signs, p = {}, []
    for each, values in losses.items():
        signs[each] = 0.0
        if not (np.isfinite(own).all() and np.isfinite(values).all()):
            p.append(1.0)  # Welch's test knows no infinity
            continue
        if len(np.unique([*own, *values])) < 2:
            p.append(1.0)
        else:
            p.append(float(stats.ttest_ind(values, own, equal_var=False).pvalue))
        signs[each] = float(np.median(values) - np.median(own)) * (-1 if worse else 1)
    called = [adjusted < _ALPHA for adjusted in holm(p)]
    for_it = [m for m, yes in zip(losses, called, strict=True) if yes and signs[m] > 0]
    against_it = [m for m, yes in zip(losses, called, strict=True) if yes and signs[m] < 0]
    words = ("worse", "better") if worse else ("better", "worse")
    numbers = (
        f"{method} is called {words[0]} than {_names(for_it)} of {counted(len(losses), 'other')}, "
        f"{words[1]} than {_names(against_it)}"
    )
    return _judged(
        numbers,
        len(for_it) >= need and not against_it,
        len(against_it) > len(losses) - need,
    )


def _of_last_audits(
    results: Results, of: Callable[[Sequence[dict[str, object]]], float]
) -> dict[str | None, list[float]]:
    """Return a number of the layers of each run's last audit, by method."""
    found: dict[str | None, list[float]] = {}
    for method in results.methods:
        for run in _runs(results, method):
            audits = results.audits.get(run, ())
            value = of(list(audits[-1]["layers"])) if audits else math.nan
            if math.isfinite(value):
                found.setdefault(method, []).append(value)
    return found


def _mean_rank(layers: Sequence[dict[str, object]]) -> float:
    """Return the mean effective rank of layers, of the number of their singular values."""
    shares = []
    for layer in layers:
        if size := len(spectrum(layer, "kernel")):
            shares.append(_float(layer.get("effective_rank")) / size)
    return float(np.mean(shares)) if shares else math.nan


def _last(results: Results, method: str, name: str) -> list[float]:
    """Return a number of each run's last audit, where it is finite."""
    audits = [results.audits.get(run, ()) for run in _runs(results, method)]
    values = [_float(some[-1].get(name)) for some in audits if some]
    return [value for value in values if math.isfinite(value)]


def _ratios(results: Results, plugin: str) -> np.ndarray:
    """Return a method's times, side by side, of the smallest images with 5 D updates."""
    rows = [
        row
        for row in (results.cost or {}).get("rows", ())
        if row["methods"] == plugin and row["n_dis"] == 5
    ]
    rows.sort(key=lambda row: (row["image_size"], row["power_iterations"] or 0))
    return np.array(rows[0]["seconds_per_100_updates"] if rows else [], float)


def _float(value: object) -> float:
    return float(value) if isinstance(value, (int, float, str)) else math.nan
