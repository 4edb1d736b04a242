"""Equal budgets and the smallest difference, on cases worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from lipbench.stats import BUDGETS, at_equal, smallest_difference
from lipbench.stats.budgets import rates


@pytest.fixture
def two():
    """Return two runs of 100 updates: one with 1 D update and 0.5 s each, one with 5 and 2 s."""
    return pd.DataFrame(
        {
            "run_id": ["one", "five"],
            "outcome": "completed",
            "n_dis": [1, 5],
            "batch_size": [8, 8],
            "generator_batch_size": [16, 16],
            "seconds_per_update": [0.5, 2.0],
        }
    )


@pytest.fixture
def points():
    """Return scores that are 1 / update, of both runs, every 10 updates."""
    updates = list(range(10, 101, 10))
    return pd.DataFrame(
        [(run, update, 1 / update) for run in ("one", "five") for update in updates],
        columns=["run_id", "update", "value"],
    )


def test_an_update_takes_d_updates_images_and_seconds(two):
    found = rates(two)

    assert list(found) == list(BUDGETS)
    assert found.loc["one"].tolist() == [1, 1, 2 * 8 + 16, 0.5]
    assert found.loc["five"].tolist() == [1, 5, 5 * 2 * 8 + 16, 2.0]


@pytest.mark.parametrize(
    ("budget", "limit", "updates"),
    [
        ("updates", 100, (100, 100)),
        ("d_updates", 100, (100, 20)),  # 20 updates of 5
        ("images", 3200, (100, 30)),  # 33.3 updates of 96: the last score within is at 30
        ("seconds", 50, (100, 20)),  # 25 updates of 2 s
    ],
)
def test_a_run_counts_by_its_last_score_within_what_every_run_has_spent(
    two, points, budget, limit, updates
):
    found, values = at_equal(two, points, budget)

    assert found == limit
    assert [values["one"], values["five"]] == [1 / updates[0], 1 / updates[1]]


def test_a_run_without_a_score_so_early_has_none(two, points):
    late = points[(points["run_id"] == "one") | (points["update"] == 100)]
    _, values = at_equal(two, late, "d_updates")
    assert math.isnan(values["five"])


def test_there_is_no_budget_where_a_completed_run_has_no_score_or_no_cost(two, points):
    assert math.isnan(at_equal(two, points[points["run_id"] == "one"], "updates")[0])
    unknown = two.assign(seconds_per_update=[0.5, math.nan])
    assert math.isnan(at_equal(unknown, points, "seconds")[0])
    assert at_equal(unknown, points, "updates")[0] == 100


def test_runs_that_did_not_complete_do_not_shorten_the_budget(two, points):
    diverged = pd.concat([two, two.tail(1).assign(run_id="lost", outcome="diverged")])
    early = pd.DataFrame([("lost", 10, 9.0)], columns=["run_id", "update", "value"])

    limit, values = at_equal(diverged, pd.concat([points, early]), "updates")

    assert limit == 100
    assert list(values.index) == ["one", "five"]


def test_the_smallest_difference_is_that_of_the_paired_t_test(made):
    # Differences -1, 0, 1: a standard deviation of 1, on 2 degrees of freedom.
    table = made({("SN", "A"): [0.0, 1.0, 2.0], ("WN", "A"): [1.0, 1.0, 1.0]})

    smallest, seeds = smallest_difference(table, ["SN", "WN"], logarithmic=False)

    assert seeds == 3
    effect = smallest * math.sqrt(3)  # noncentrality, where 80% of cases are called
    t = scipy_stats.t.ppf(0.975, 2)
    called = 1 - scipy_stats.nct.cdf(t, 2, effect) + scipy_stats.nct.cdf(-t, 2, effect)
    assert called == pytest.approx(0.8, abs=1e-4)


def test_the_smallest_difference_of_logarithms_is_a_factor(made):
    cells = {("SN", "A"): [1.0, 2.0, 4.0], ("WN", "A"): [2.0, 2.0, 2.0]}
    logs = {place: [float(np.log(v)) for v in values] for place, values in cells.items()}

    factor, _ = smallest_difference(made(cells), ["SN", "WN"], logarithmic=True)

    assert factor == pytest.approx(smallest_difference(made(logs), ["SN", "WN"], False)[0])


def test_two_seeds_or_infinite_losses_have_no_smallest_difference(made):
    few = made({("SN", "A"): [1.0, 2.0], ("WN", "A"): [2.0, 1.0]})
    lost = made({("SN", "A"): [1.0, 2.0, "diverged"], ("WN", "A"): [2.0, 1.0, 3.0]})
    for table in (few, lost):
        smallest, seeds = smallest_difference(table, ["SN", "WN"], False)
        assert math.isnan(smallest)
        assert seeds == 0
