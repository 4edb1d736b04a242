"""Statistics equal to cases worked out by hand, and to loops that say what is meant."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from lipbench import stats
from lipbench.stats import summaries

INF = math.inf


def test_a_diverged_run_is_the_worst_a_failed_one_is_missing_and_a_collapsed_one_never_good(made):
    table = made({("SN", "A"): [3.0, "diverged", "failed", "queued", ("collapsed", 1.0), INF]})

    assert table["loss"].tolist()[:2] == [3.0, INF]
    assert table["loss"].isna().tolist() == [False, False, True, True, False, False]
    assert table["loss"].tolist()[4:] == [INF, INF]
    assert table["value"][4] == 1.0
    assert table["ended"].tolist() == [True, True, False, False, True, True]


def test_a_score_that_is_better_where_it_is_higher_becomes_a_loss(made):
    table = made({("SN", "A"): [3.0, "diverged", -INF, INF]}, True)
    assert table["loss"].tolist() == [-3.0, INF, INF, INF]


@pytest.mark.parametrize(
    ("values", "mean"),
    [
        ([7.0], 7.0),
        ([1.0, 3.0], 2.0),
        ([0.0, 2.0, 4.0, 100.0], 3.0),
        ([0.0, 4.0, 6.0, 8.0, 100.0], (0.75 * 4 + 6 + 0.75 * 8) / 2.5),
        ([0.0, 2.0, 4.0, INF], 3.0),
        ([0.0, 2.0, INF, INF], INF),
        ([1.0, math.nan, 3.0], 2.0),
    ],
)
def test_the_interquartile_mean_is_of_the_middle_half(values, mean):
    assert float(stats.interquartile_mean(values)) == pytest.approx(mean)


def test_the_interquartile_mean_is_scipys_trimmed_mean_where_that_trims_whole_values():
    values = np.random.default_rng(0).normal(size=(5, 16))
    expected = scipy_stats.trim_mean(values, 0.25, axis=1)
    assert stats.interquartile_mean(values) == pytest.approx(expected)


def test_robustness_is_over_settings_and_seeds(made):
    table = made(
        {
            ("SN", "A"): [10.0, 12.0, 11.0],
            ("SN", "B"): [12.0, 13.0, 11.5],
            ("SN", "C"): [30.0, "diverged", "failed"],
        }
    )
    (row,) = stats.robustness(table, ["SN"]).to_dict("records")

    assert (row["best"], row["worst"], row["median"]) == (10.0, INF, 12.0)
    assert row["success"] == pytest.approx(7 / 8)
    # Medians of the settings: 11, 12, and infinity between 30 and a diverged run.
    assert row["settings_within"] == pytest.approx(2 / 3)
    assert (row["runs"], row["ended"], row["missing"], row["diverged"]) == (9, 8, 1, 1)
    assert (row["settings"], row["seeds"]) == (3, 2)


def test_a_quantile_between_a_number_and_infinity_is_infinite():
    assert summaries.quantile([1.0, INF], 0.5) == INF
    assert summaries.quantile([1.0, 3.0, INF], 0.5) == 3.0
    assert summaries.quantile([INF, INF], 0.25) == INF
    assert summaries.quantile([1.0, 2.0], 0.25) == 1.25
    assert math.isnan(summaries.quantile([math.nan], 0.5))


def test_a_method_without_a_result_has_a_row_of_nothing(made):
    table = made({("SN", "A"): ["failed", "queued"]})
    (row,) = stats.robustness(table, ["SN"]).to_dict("records")
    assert all(math.isnan(row[name]) for name in ("best", "median", "iqm", "success"))
    assert (row["runs"], row["missing"], row["seeds"]) == (2, 2, 0)


@pytest.mark.parametrize("k", range(1, 7))
def test_the_expected_best_of_k_is_the_mean_over_all_sets_of_k(k):
    losses = [5.0, 1.0, 1.0, 4.0, 9.0, 2.0]
    sets = [min(some) for some in itertools.combinations(losses, k)]
    assert stats.expected_best(losses, k) == pytest.approx(sum(sets) / len(sets))


def test_the_expected_best_is_infinite_where_every_run_of_a_set_can_have_diverged():
    assert stats.expected_best([1.0, INF, INF], 2) == INF
    assert stats.expected_best([1.0, 2.0, INF], 2) == pytest.approx((1 + 1 + 2) / 3)
    with pytest.raises(ValueError, match="between 1 and 2"):
        stats.expected_best([1.0, math.nan, 2.0], 3)


def test_regret_is_the_distance_from_the_best_setting():
    assert stats.regret([3.0, 1.0, INF]).tolist() == [2.0, 0.0, INF]
    assert np.isnan(stats.regret([INF, INF])).all()


def test_a_profile_is_the_share_of_runs_at_least_as_good_as_each_level():
    strata = [[1.0, 2.0, INF], [2.0, 4.0, math.nan, 8.0]]
    levels = [0.5, 1.0, 2.0, 5.0, 100.0]
    values = [1.0, 2.0, INF, 2.0, 4.0, 8.0]
    found = stats.profile(strata, levels, seed=0)

    assert found.share.tolist() == [sum(v <= t for v in values) / 6 for t in levels]
    assert (found.low <= found.share).all()
    assert (found.high >= found.share).all()
    assert found.low.min() >= 0
    assert found.high.max() <= 1
    assert stats.profile([[1.0, 2.0]], levels, seed=0).low is None


def test_the_area_below_a_profile_is_its_mean_height():
    found = stats.profile([[2.0, 2.0, 2.0]], [1.0, 2.0, 3.0], seed=0)
    assert stats.area(found, logarithmic=False) == pytest.approx(0.75)
    found = stats.profile([[10.0, 10.0, 10.0]], [1.0, 10.0, 100.0], seed=0)
    assert stats.area(found, logarithmic=True) == pytest.approx(0.75)


def test_the_probability_to_beat_another_is_over_pairs_of_setting_and_seed(made):
    table = made(
        {
            ("SN", "A"): [1.0, 2.0, 3.0],
            ("WN", "A"): [2.0, 2.0, "diverged"],
            ("SN", "B"): [5.0, "failed", 1.0],
            ("WN", "B"): [4.0, 1.0, 1.5],
        }
    )
    found = stats.compare(table, "SN", "WN")
    # Better at A0, A2, B2; equal at A1; worse at B0; B1 is no pair.
    assert (found.pairs, found.seeds) == (5, 3)
    assert found.probability == pytest.approx(3.5 / 5)
    assert found.interval.holds(0.7)
    other = stats.compare(table, "WN", "SN")
    assert other.probability == pytest.approx(1.5 / 5)
    assert other.p == found.p


def test_the_signed_rank_test_is_over_all_changes_of_sign(made):
    one, other = [1.0, 2.0, 3.0, 9.0], [2.0, 4.0, 6.0, 8.5]
    table = made({("SN", "A"): one, ("WN", "A"): other})
    differences = np.subtract(one, other)
    ranks = np.argsort(np.argsort(np.abs(differences))) + 1.0
    sums = [abs(np.dot(s, ranks)) for s in itertools.product([-1, 1], repeat=4)]
    expected = np.mean([s >= abs(np.dot(np.sign(differences), ranks)) for s in sums])
    assert stats.compare(table, "SN", "WN").p == pytest.approx(expected)


def test_equal_differences_share_their_rank(made):
    table = made({("SN", "A"): [1.0] * 6, ("WN", "A"): [2.0] * 6})
    assert stats.compare(table, "SN", "WN").p == pytest.approx(2 / 2**6)


def test_two_seeds_call_nothing(made):
    table = made(
        {("SN", s): [1.0, 1.1] for s in "ABCDEF"} | {("WN", s): [9.0, 9.1] for s in "ABCDEF"}
    )
    found = stats.compare(table, "SN", "WN")
    assert (found.probability, found.p, found.interval) == (1.0, 1.0, None)


def test_many_comparisons_are_corrected_by_holm(made):
    rng = np.random.default_rng(0)
    cells = {
        (method, setting): rng.normal(level, 1, 5)
        for method, level in (("a", 0.0), ("b", 1.0), ("c", 3.0))
        for setting in "AB"
    }
    found = stats.every_pair(made(cells), ["a", "b", "c"])
    ordered = sorted(found, key=lambda each: each.p)
    expected = np.maximum.accumulate([min(1, each.p * (3 - i)) for i, each in enumerate(ordered)])
    assert [each.adjusted for each in ordered] == pytest.approx(list(expected))


def test_ranks_are_means_over_settings_and_seeds(made):
    table = made(
        {
            ("a", "A"): [1.0, 1.0],
            ("b", "A"): [2.0, 1.0],
            ("c", "A"): ["diverged", 5.0],
            ("a", "B"): [1.0, "failed"],
            ("b", "B"): [3.0, 1.0],
            ("c", "B"): [2.0, 1.0],
        }
    )
    found = stats.ranking(table, ["a", "b", "c"])
    assert found.blocks == 3
    assert found.ranks == pytest.approx({"a": 3.5 / 3, "b": 6.5 / 3, "c": 8 / 3})
    # Demsar 2006, Table 5: 2.343 for three classifiers.
    assert found.critical == pytest.approx(2.343 * math.sqrt(3 * 4 / (6 * 3)), abs=1e-3)


def test_friedmans_test_is_scipys():
    import pandas as pd

    rng = np.random.default_rng(1)
    values = rng.normal([0, 0.5, 1], 1, (8, 3))
    table = pd.DataFrame(
        [
            {"method": m, "setting": "A", "seed": s, "ended": True, "loss": values[s, i]}
            for i, m in enumerate("abc")
            for s in range(8)
        ]
    )
    expected = scipy_stats.friedmanchisquare(*values.T).pvalue
    assert stats.ranking(table, ["a", "b", "c"]).p == pytest.approx(expected)


def test_a_clear_best_is_called_and_those_near_it_tie(made):
    table = made(
        {
            ("SN", "A"): [10.0, 11.0, 12.0],
            ("GP", "A"): [10.4, 10.8, 12.1],
            ("WN", "A"): [100.0, 111.0, 119.0],
        }
    )
    assert stats.winners(table, ["SN", "GP", "WN"], True).best == ("SN", "GP")
    assert stats.winners(table[table["method"] != "GP"], ["SN", "WN"], True).certain


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({("SN", "A"): [1.0, 2.0], ("WN", "A"): [9.0, 9.5]}, "2 seeds cannot tell"),
        ({("SN", "A"): [1.0], ("WN", "A"): [9.0]}, "one seed cannot tell"),
        ({("SN", "A"): [1.0, 2.0, 3.0], ("WN", "A"): [9.0, "failed", 9.0]}, "1 run of 6 is"),
        ({("SN", "A"): [1.0, 2.0, 3.0], ("WN", "A"): [9.0, 8.0]}, "not every method has the same"),
        ({("SN", "A"): [1.0, 5.0, 3.0], ("WN", "A"): [1.1, 4.0, 3.9]}, "no difference"),
        ({("SN", "A"): [2.0] * 3, ("WN", "A"): [2.0] * 3}, "all scores are equal"),
        ({("SN", "A"): ["diverged"] * 3, ("WN", "A"): [("collapsed", 1.0)] * 3}, "diverged or"),
        ({("SN", "A"): [1.0, 2.0, 3.0]}, "one method"),
    ],
)
def test_nobody_wins_where_nothing_tells(made, cells, reason):
    methods = list(dict.fromkeys(method for method, _ in cells))
    verdict = stats.winners(made(cells), methods, False)
    assert verdict.best == ()
    assert reason in verdict.reason


def test_a_collapsed_or_diverged_run_keeps_a_method_from_being_the_best(made):
    table = made(
        {
            ("SN", "A"): [10.0, 11.0, 12.0],
            ("noise", "A"): [("collapsed", 1.0), 1.0, 1.0],
            ("none", "A"): [1.0, "diverged", 1.0],
            ("WN", "A"): [50.0, 52.0, 53.0],
        }
    )
    assert stats.winners(table, ["SN", "noise", "none", "WN"], False).best == ("SN",)


def test_the_end_of_a_scores_range_is_no_best(made):
    table = made({("SN", "A"): [0.0, 0.0, 0.0], ("WN", "A"): [0.0, 0.0, "diverged"]}, True)
    assert "the worst that there is" in stats.winners(table, ["SN", "WN"], False, 0.0).reason


def test_the_best_over_all_settings_is_called_over_pairs(made):
    cells = {
        (method, setting): [level + shift + 0.1 * seed for seed in range(3)]
        for method, level in (("SN", 10.0), ("WN", 20.0), ("none", 40.0))
        for setting, shift in (("A", 0.0), ("C", 5.0), ("F", 11.0))
    }
    cells["none", "F"] = ["diverged"] * 3
    table = made(cells)
    assert stats.overall(table, ["SN", "WN", "none"]).best == ("SN",)
    one = table[table["setting"] == "A"]
    assert stats.overall(one, ["SN", "WN", "none"]).reason == "no difference is called at 95%"


def test_a_method_that_diverges_everywhere_is_called_worse_only_where_the_pairs_suffice(made):
    """3 pairs cannot have a p below 0.25, 9 pairs of one sign have one of 1/256."""
    few = {("SN", "A"): [1.0, 2.0, 3.0], ("none", "A"): ["diverged"] * 3}
    found = stats.overall(made(few), ["SN", "none"])
    assert found.best == ()
    assert found.reason == (
        "half of the runs or more of none diverged or collapsed, and still it is not called worse "
        "at 95%"
    )
    many = {
        (method, setting): values
        for setting in ("A", "C", "F")
        for method, values in (("SN", [1.0, 2.0, 3.0]), ("none", ["diverged"] * 3))
    }
    assert stats.overall(made(many), ["SN", "none"]).best == ("SN",)


def test_an_interval_needs_three_seeds_and_says_how_it_was_made():
    assert stats.mean_interval([1.0, 2.0]) is None
    assert stats.stratified(lambda v: v.mean(1), [[1.0, 2.0], [1.0, 2.0, 3.0]], 0) is None
    found = stats.stratified(lambda v: v.mean(1), [[1.0, 2.0, 4.0], [1.0, 2.0, 3.0]], 0)
    assert found.made == "bootstrap of 3 seeds at each of 2 settings, 2,000 draws"
    assert found == stats.stratified(lambda v: v.mean(1), [[1.0, 2.0, 4.0], [1.0, 2.0, 3.0]], 0)


def test_students_interval_is_scipys():
    values = np.random.default_rng(0).normal(size=7)
    expected = scipy_stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = stats.mean_interval(values)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_infinities_go_through_an_interval():
    found = stats.stratified(stats.interquartile_mean, [[1.0, 2.0, INF], [1.0, 2.0, INF]], 0)
    assert 1 <= found.low < found.high == INF


@pytest.mark.parametrize(("settings", "seeds"), [(1, 3), (1, 5), (3, 3), (3, 5)])
@pytest.mark.parametrize("statistic", [lambda v: v.mean(axis=1), stats.interquartile_mean])
def test_an_interval_holds_what_it_says_with_few_seeds(settings, seeds, statistic):
    rng = np.random.default_rng(0)
    levels = np.arange(settings)[:, None]
    truth = levels.mean()  # of both, by symmetry
    trials = 400
    held = [
        stats.stratified(
            statistic, levels + rng.normal(0, 1, (settings, seeds)), trial, draws=400
        ).holds(truth)
        for trial in range(trials)
    ]
    assert 0.92 <= np.mean(held) <= 0.98
