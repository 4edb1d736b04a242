"""Trials few enough to work out by hand what is said of them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from lipbench.planning.tuning import Objective, Parameter
from lipbench.tuning import analysis

FD = Objective("fd", "FD", higher_is_better=False, if_diverged=100.0)
IS = Objective("is", "IS", higher_is_better=True, if_diverged=1.0)


def trials(*values, method="SN", seed=0, objective=FD):
    """Return trials in order: numbers completed with this value, words are outcomes."""
    rows = []
    for number, value in enumerate(values):
        outcome = value if isinstance(value, str) else "completed"
        ceiling = objective.if_diverged if outcome == "diverged" else math.nan
        rows.append(
            {
                "method": method,
                "seed": seed,
                "trial": number,
                "outcome": outcome,
                objective.name: ceiling if isinstance(value, str) else float(value),
                "generator_updates": 100,
                "seconds": 3600.0,
            }
        )
    return pd.DataFrame(rows)


def test_the_best_so_far_is_over_counted_trials_in_their_order():
    found = trials("pruned", 9, "failed", 12, "diverged", 7, "running")

    lines = analysis.best_so_far(found.sample(frac=1, random_state=0), FD)

    assert lines["trial"].tolist() == [0, 1, 3, 4, 5]
    assert lines["trials"].tolist() == [1, 2, 3, 4, 5]
    assert lines["best"].tolist()[1:] == [9, 9, 9, 7]
    assert math.isnan(lines["best"][0])
    assert lines["value"].tolist()[1:] == [9, 12, 100, 7]
    assert lines["generator_updates"].tolist() == [100, 200, 300, 400, 500]
    assert lines["hours"].tolist() == [1, 2, 3, 4, 5]


def test_where_higher_is_better_the_best_rises():
    lines = analysis.best_so_far(trials("diverged", 3, 2, 5, objective=IS), IS)

    assert lines["best"].tolist() == [1, 3, 3, 5]
    assert analysis.best_trials(trials(3, 5, 2, objective=IS), IS)["value"].tolist() == [5, 3, 2]


def test_each_search_has_a_best_of_its_own():
    found = pd.concat([trials(5, 4), trials(3, 9, seed=1), trials(8, method="WN")])

    assert analysis.best_so_far(found, FD)["best"].tolist() == [5, 4, 3, 3, 8]


def test_a_diverged_trial_is_never_among_the_best():
    assert analysis.best_trials(trials("diverged", "pruned"), FD).empty
    found = analysis.best_trials(trials(4, 2, "diverged", 2), FD)
    assert found["trial"].tolist() == [1, 3, 0]


def test_repeats_meet_where_all_of_them_have_a_best_and_end_with_the_shortest():
    lines = analysis.best_so_far(pd.concat([trials("pruned", 8, 2), trials(6, 4, seed=1)]), FD)

    spread = analysis.over_repeats(lines, "trials")

    assert spread[["trials", "median", "low", "high"]].values.tolist() == [[2, 6, 4, 8]]
    assert spread["searches"].tolist() == [2]


def test_repeats_are_step_functions_of_what_they_took():
    slow, quick = trials(8, 2), trials(6, 4, 3, seed=1).assign(seconds=1800.0)

    spread = analysis.over_repeats(analysis.best_so_far(pd.concat([slow, quick]), FD), "hours")

    # The slow search has 8 from hour 1 to hour 2, the quick one 4 from 1 and 3 from 1.5, its end.
    assert spread["hours"].tolist() == [1.0, 1.5]
    assert spread["low"].tolist() == [4, 3]
    assert spread["high"].tolist() == [8, 8]


def test_a_pruned_trial_is_no_better_than_the_worst_completed_one():
    found = analysis.pools(trials(5, "pruned", 3, "diverged", "failed"), FD)

    assert found["SN"].tolist() == [3, 5, 5, 100]
    assert analysis.pools(trials("pruned", "diverged"), FD)["SN"].tolist() == [100, 100]
    assert analysis.pools(trials("pruned", "pruned"), FD) == {}
    assert analysis.pools(trials(2, 4, "pruned", objective=IS), IS)["SN"].tolist() == [4, 2, 2]


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_best_of_k_is_that_of_all_draws(k):
    values = np.array([1.0, 2.0, 2.0, 7.0])
    bests = sorted(min(draw) for draw in itertools.product(values, repeat=k))

    assert analysis.expected_best(values, k) == pytest.approx(np.mean(bests))
    geometric = np.exp(np.mean(np.log(bests)))
    assert analysis.geometric_mean_of_best(values, k) == pytest.approx(geometric)
    for q in (0.05, 0.3, 0.5, 0.95):
        place = math.ceil(q * len(bests)) - 1
        assert analysis.quantile_of_best(values, k, q) == bests[place]


def test_the_chances_of_two_draws_of_two_are_three_quarters_and_one():
    assert analysis.chances(2, 1).tolist() == [0.5, 0.5]
    assert analysis.chances(2, 2).tolist() == [0.75, 0.25]
    assert analysis.chances(48, 100).sum() == pytest.approx(1)


def test_a_geometric_mean_is_of_positive_values_only():
    assert math.isnan(analysis.geometric_mean_of_best(np.array([-1.0, 2.0]), 2))


def test_the_curve_goes_from_the_mean_towards_the_best():
    curve = analysis.best_of_k(trials(1, 3, "pruned"), FD)

    assert curve["k"].tolist() == [1, 2, 3]
    assert curve["mean"].tolist() == pytest.approx([7 / 3, 17 / 9, 43 / 27])
    assert curve["lucky"].tolist() == [1, 1, 1]
    assert curve["unlucky"].tolist() == [3, 3, 3]


@pytest.mark.parametrize("higher", [False, True])
@pytest.mark.parametrize("k", [1, 2])
def test_the_chance_to_be_the_best_is_that_of_all_draws(k, higher):
    pools = {"a": [1, 4], "b": [1, 2, 9], "c": [2, 4], "d": [9, 9]}
    pick = max if higher else min
    won = dict.fromkeys(pools, 0.0)
    draws = [list(itertools.product(pool, repeat=k)) for pool in pools.values()]
    for together in itertools.product(*draws):
        bests = dict(zip(pools, map(pick, together), strict=True))
        first = [m for m, value in bests.items() if value == pick(bests.values())]
        for method in first:
            won[method] += 1 / len(first) / math.prod(map(len, draws))

    order = {m: np.sort(np.array(v, float))[:: -1 if higher else 1] for m, v in pools.items()}
    assert analysis.chances_of_best(order, k, higher) == pytest.approx(won)


def test_methods_are_ranked_by_as_many_trials():
    found = pd.concat(
        [
            trials(3, 1, 9, method="SN"),
            trials(2, 4, 1, "failed", method="WN"),
            trials(5, 6, method="GP"),
            trials(1, method="new"),
        ]
    )

    ranks = analysis.ranking(found, FD, (1, 2, 5)).set_index(["method", "k"])

    assert set(ranks["n"]) == {2}
    assert ranks["trials"].groupby("method").first().to_dict() == {
        "GP": 2,
        "SN": 3,
        "WN": 3,
        "new": 1,
    }
    # Of SN's 3 and 1 and WN's 2 and 4: 3 beats 4, 1 beats both. GP's never win.
    assert ranks["chance"].loc[[("SN", 1), ("WN", 1), ("GP", 1)]].tolist() == [0.75, 0.25, 0]
    assert ranks["median"].loc[[("SN", 1), ("SN", 2)]].tolist() == [1, 1]
    assert ranks.loc["new", "chance"].isna().all()
    assert analysis.ranking(trials("failed"), FD).empty
    assert analysis.ranking(trials("pruned"), FD).empty


def test_a_front_has_the_points_that_nothing_beats():
    speed = Objective("seconds", "seconds", higher_is_better=False, if_diverged=9.0)
    points = np.array([[5, 1], [3, 2], [3, 3], [5, 1], [1, 9], [math.nan, 0]], float)

    assert analysis.on_front(points, [FD, speed]) == [True, True, False, True, True, False]
    assert analysis.on_front(points[:3], [IS, speed]) == [True, False, False]


def test_confirmations_are_summed_up_over_fresh_seeds():
    place = {"method": "SN", "repeat": 0, "trial": 3, "setting": "tuned #1"}
    outcomes = [
        ("completed", 4.0),
        ("completed", 6.0),
        ("diverged", math.nan),
        ("queued", math.nan),
    ]
    runs = pd.DataFrame([{**place, "outcome": o, "fd": value} for o, value in outcomes])

    (row,) = analysis.confirmations(runs, FD).to_dict("records")

    assert (row["runs"], row["completed"], row["diverged"], row["missing"]) == (4, 2, 1, 1)
    assert row["mean"] == pytest.approx(110 / 3)
    assert (row["mean_completed"], row["std_completed"]) == (5, pytest.approx(math.sqrt(2)))
    (one,) = analysis.confirmations(runs.head(1), FD).to_dict("records")
    assert one["mean"] == 4
    assert math.isnan(one["std"])
    assert analysis.confirmations(runs.head(0), FD).empty
    (unknown,) = analysis.confirmations(runs, IS).to_dict("records")
    assert (unknown["completed"], unknown["missing"]) == (0, 3)


def test_a_configuration_has_the_parameters_whose_conditions_hold():
    search = (
        Parameter("loss", "categorical", choices=("hinge", "wasserstein")),
        Parameter("margin", "float", 0, 1, when={"loss": ("hinge",)}),
        Parameter("slope", "float", 0, 1, when={"margin": (0.5,)}),
        Parameter("n_dis", "int", 1, 5),
        Parameter("scale", "categorical", choices=(None, 1.0)),
        Parameter("sided", "categorical", choices=(False, True)),
    )
    row = {
        "params_loss": "hinge",
        "params_margin": 0.5,
        "params_slope": 0.1,
        "params_n_dis": 3.0,
        "params_scale": math.nan,
        "params_sided": np.True_,
    }

    found = analysis.configuration(row, search)

    assert found == {
        "loss": "hinge",
        "margin": 0.5,
        "slope": 0.1,
        "n_dis": 3,
        "scale": None,
        "sided": True,
    }
    assert type(found["n_dis"]) is int
    assert type(found["sided"]) is bool
    other = analysis.configuration({**row, "params_loss": "wasserstein"}, search)
    assert list(other) == ["loss", "n_dis", "scale", "sided"]
    assert "loss" not in analysis.configuration({**row, "params_loss": "lecam"}, search)


SEARCH = (
    Parameter("lr", "float", 1e-4, 1, log=True),
    Parameter("beta1", "float", 0, 1),
    Parameter("n_dis", "int", 1, 5),
    Parameter("margin", "float", 0, 1, when={"loss": ("hinge",)}),
    Parameter("loss", "categorical", choices=("hinge", None)),
)


@pytest.fixture
def searched():
    """Return 40 trials whose values follow from lr alone."""
    draws = np.random.default_rng(0)
    lr = 10 ** draws.uniform(-4, 0, 40)
    loss = draws.choice(["hinge", None], 40)
    found = trials(*(1 + np.log10(lr) ** 2))
    return found.assign(
        params_lr=lr,
        params_beta1=draws.uniform(0, 1, 40),
        params_n_dis=draws.integers(1, 6, 40).astype(float),
        params_loss=loss,
        params_margin=np.where(loss == "hinge", 0.5, np.nan),
    )


@pytest.mark.slow
def test_what_decides_the_values_is_important_and_conditional_parameters_are_left_out(
    searched, capsys
):
    found = analysis.importance(searched, SEARCH, FD)

    assert next(iter(found.shares)) == "lr"
    assert found.shares["lr"] > 0.8 > 0.2 > found.by_chance["lr"] - 0.2
    assert set(found.shares) == set(found.by_chance) == {"lr", "beta1", "n_dis", "loss"}
    assert found.left_out == ("margin",)
    assert (found.trials, found.reason) == (40, "")
    assert analysis.importance(searched, SEARCH, FD) == found  # of one seed
    assert capsys.readouterr().err == ""


def test_too_little_is_known_of_importance(searched):
    few = analysis.importance(searched.head(9), SEARCH, FD)
    assert (few.shares, few.reason) == ({}, "fewer than 10 trials have a value")
    pruned = analysis.importance(searched.assign(outcome="pruned"), SEARCH, FD)
    assert (pruned.trials, pruned.shares) == (0, {})
    alone = analysis.importance(searched, SEARCH[:1], FD)
    assert alone.reason == "fewer than two parameters are searched in all of its trials"
    same = analysis.importance(searched.assign(outcome="diverged", fd=100.0), SEARCH, FD)
    assert same.reason == "its trials' values are all the same"
