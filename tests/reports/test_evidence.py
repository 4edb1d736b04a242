"""What methods come to, on studies small enough to work it out; some of the runs, and several."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from PIL import Image

from lipbench.errors import UserError
from lipbench.reporting import Figure, Omitted, Sentences, Table
from lipbench.results import miyato2018
from lipbench.results.compare import joined, names
from lipbench.results.miyato2018 import CLAIMS, CONTRADICTED, OPEN, SUPPORTED, Finding
from lipbench.results.robustness import robustness
from lipbench.results.select import selected

INF = math.inf


def filled(sketch, values, **columns):
    """Add runs from {(method, setting): scores by seed}."""
    for (method, setting), scores in values.items():
        for seed, value in enumerate(scores):
            sketch.run(method, setting, value, seed, **columns)
    return sketch.results()


def entries(table, method):
    row = next(row for row in table.rows if getattr(row[0], "text", row[0]) == method)
    return dict(zip(table.columns, [getattr(e, "text", e) for e in row], strict=True))


# --- over settings and seeds ---


def test_robustness_has_the_scores_own_numbers_with_counts_and_intervals(sketch):
    values = {("SN", "A"): [1.0, 2.0, 3.0], ("SN", "B"): [4.0, 5.0, "diverged"]}

    frame = robustness(filled(sketch, values), ["fd_digits"])

    (row,) = frame.to_dict("records")
    assert (row["runs"], row["ended"], row["diverged"], row["seeds"]) == (6, 6, 1, 3)
    assert (row["best"], row["median"], row["worst"]) == (1.0, 3.5, INF)
    assert row["success"] == pytest.approx(5 / 6)
    assert row["interval"].startswith("bootstrap of 3 seeds at each of 2 settings")


def test_a_score_that_is_better_where_it_is_higher_keeps_its_sign(sketch):
    for seed, value in enumerate([7.0, 8.0, 9.0]):
        sketch.run("SN", "A", 1.0, seed, cs_digits=value)

    (row,) = robustness(sketch.results(), ["cs_digits"]).to_dict("records")

    assert (row["best"], row["median"], row["worst"]) == (9.0, 8.0, 7.0)
    assert row["iqm_low"] < row["iqm"] < row["iqm_high"]


def test_digits_follow_the_spread_over_seeds(sketch, exhibit):
    results = filled(sketch, {("SN", "A"): [100.0, 120.0, 140.0], ("WN", "A"): [1.0, 3.0, 5.0]})
    (table,) = exhibit("summary").show(results)
    assert entries(table, "SN")["Median"] == "120"

    sketch.rows.clear()
    results = filled(sketch, {("SN", "A"): [1.0, 1.1, 1.2], ("WN", "A"): [2.0, 2.1, 2.2]})
    (table,) = exhibit("summary").show(results)
    assert entries(table, "SN")["Median"] == "1.10"


def test_a_run_that_is_lost_is_no_number(sketch, exhibit):
    results = filled(sketch, {("SN", "A"): [1.0, "diverged"], ("WN", "A"): ["failed", 2.0]})
    (table,) = exhibit("summary").show(results)

    assert entries(table, "SN")["Worst run"] == "lost"
    assert entries(table, "WN")["Runs"] == "1/2"
    assert entries(table, "WN")["Success"] == "100%"


def test_the_matrix_of_pairs_says_who_wins_and_how_sure_that_is(sketch, exhibit):
    values = {("SN", s): [1.0, 1.1, 1.2] for s in "ABCDEF"}
    values |= {("WN", s): [2.0, 2.3, 2.1] for s in "ABCDEF"}
    (figure,) = exhibit("pairs").show(filled(sketch, values))

    (pair,) = figure.raw.to_dict("records")
    assert (pair["first"], pair["second"]) == ("SN", "WN")
    assert (pair["pairs"], pair["first_is_better"], bool(pair["called"])) == (18, 1.0, True)
    assert any("1 of 1 pair of methods" in note for note in figure.notes)


def test_the_expected_best_of_k_settings_is_exact(sketch, exhibit):
    results = filled(sketch, {("SN", s): [v] for s, v in (("A", 1.0), ("B", 2.0), ("C", 6.0))})
    figure, table = exhibit("choosing").show(results)

    assert figure.raw["fd_digits"].tolist() == pytest.approx([3.0, 4 / 3, 1.0])
    assert entries(table, "SN") == {"Method": "SN", "A": "0.00", "B": "1.00", "C": "5.00"}


def test_a_setting_that_diverged_is_lost_and_not_left_out(sketch, exhibit):
    results = filled(sketch, {("SN", "A"): [1.0], ("SN", "B"): ["diverged"]})
    figure, table = exhibit("choosing").show(results)

    assert figure.raw["fd_digits"].tolist() == [INF, 1.0]
    assert entries(table, "SN")["B"] == "lost"


def test_equal_budgets_are_of_what_each_run_has_spent(sketch, exhibit):
    for method, setting in (("SN", "A"), ("SN", "C")):  # 5 D updates, and 1
        run = sketch.run(method, setting, 1.0, seconds_per_update=0.1)
        sketch.curves += [(run, u, "fd_digits_selection", 1000 / u) for u in (400, 1000, 2000)]

    (table,) = exhibit("equal_budgets").show(sketch.results())

    # 2,000 updates; 2,000 D updates are 400 of A's; 192,000 images are 545 updates of A's.
    values = table.raw.iloc[0]
    assert values["generator updates"] == 0.5
    assert values["D updates"] == (2.5 + 0.5) / 2
    assert values["images"] == (2.5 + 0.5) / 2
    assert values["seconds of training"] == 0.5
    assert table.columns[1:3] == ("2,000 generator updates", "2,000 D updates")


def test_budgets_that_are_one_are_shown_once(sketch, exhibit):
    for seed in (0, 1):
        run = sketch.run("SN", "A", 1.0, seed)
        sketch.curves += [(run, u, "fd_digits_selection", 1.0) for u in (1000, 2000)]

    table = next(r for r in exhibit("equal_budgets").show(sketch.results()) if type(r) is Table)

    assert table.columns == ("Method", "2,000 generator updates")
    assert any("as many D updates and images" in note for note in table.notes)


def test_the_best_and_the_worst_run_are_side_by_side(sketch, exhibit, tmp_path):
    for seed, value in enumerate([3.0, 1.0, 9.0]):
        run = sketch.run("SN", "A", value, seed)
        path = tmp_path / f"{seed}.png"
        Image.new("RGB", (128, 128)).save(path)
        sketch.samples[run] = path
    sketch.run("SN", "B", "diverged")

    (figure,) = exhibit("extremes").show(sketch.results())

    assert figure.raw["seed"].tolist() == [1, 2]


def test_without_a_winner_the_answer_names_the_best_median_and_does_not_call_it(sketch, exhibit):
    results = filled(sketch, {("SN", "A"): [1.0, 2.0, 3.0], ("WN", "A"): [2.5, 1.0, 3.5]})
    (answer,) = exhibit("answer").show(results)

    assert isinstance(answer, Sentences)
    last = answer.texts[-1]
    assert "No method is called the most robust by FD (digits)" in last
    assert "has the best median" in last
    assert "not called better" in last


# --- the paper's claims ---


def found(name, results):
    return getattr(miyato2018, name)(results)


def test_every_claim_has_a_test_or_a_reason_why_there_is_none(sketch):
    results = filled(sketch, {("SN", "A"): [1.0]})
    checks = [claim.check(results) for claim in CLAIMS]
    assert len(checks) == 13
    assert all(isinstance(each, (Finding, str)) for each in checks)
    assert all(claim.tested or isinstance(c, str) for claim, c in zip(CLAIMS, checks, strict=True))


@pytest.mark.parametrize(
    ("others", "verdict"), [(9.0, SUPPORTED), (0.5, CONTRADICTED), (1.05, OPEN)]
)
def test_sn_is_robust_where_it_is_better_at_aggressive_settings(sketch, others, verdict):
    draws = [0.0, 0.2, 0.1, 0.3, 0.15]
    values = {("SN", s): [1.0 + d for d in draws] for s in "DEF"}
    values |= {("WN", s): [others + d for d in reversed(draws)] for s in "DEF"}
    assert found("robust", filled(sketch, values)).verdict == verdict


@pytest.mark.parametrize(
    ("there", "verdict"), [(9.0, SUPPORTED), (0.5, CONTRADICTED), (1.0, OPEN)]
)
def test_wgan_gp_fails_where_its_aggressive_runs_are_worse(sketch, there, verdict):
    values = {("WGAN-GP", s): [1.0, 1.1, 1.2] for s in "ABC"}
    values |= {("WGAN-GP", s): [there, there + 0.1, there + 0.2] for s in "DEF"}
    assert found("gradient_penalty_fails", filled(sketch, values)).verdict == verdict


def test_two_seeds_are_no_evidence_for_a_claim(sketch):
    values = {("SN", s): [1.0, 1.1] for s in "DEF"} | {("WN", s): [9.0, 9.1] for s in "DEF"}
    finding = found("robust", filled(sketch, values))
    assert finding == Finding(OPEN, "2 seeds, where it takes 3")


@pytest.mark.parametrize(("sigma", "verdict"), [(1.02, SUPPORTED), (1.4, CONTRADICTED)])
def test_the_norms_of_sn_are_those_of_its_audits(sketch, layer_of, sigma, verdict):
    for seed in range(3):
        run = sketch.run("SN", "C", 1.0, seed)
        sketch.audit(run, 1000, layers=[layer_of("body.conv0", sigma_kernel=sigma)])
    finding = found("sigma_stays_near_one", sketch.results())
    assert finding.verdict == verdict
    assert f"the largest is {sigma:.2f} (3 runs)" in finding.numbers


@pytest.mark.parametrize(
    ("sn", "verdict"), [([1.1] * 3, SUPPORTED), ([1.5] * 3, CONTRADICTED), ([1.1, 1.3, 1.1], OPEN)]
)
def test_the_time_of_sn_is_held_against_wn_and_wgan_gp(sketch, sn, verdict):
    for method, seconds in (("SN", sn), ("WN", [1.0] * 3), ("WGAN-GP", [2.0] * 3)):
        sketch.run(method, "A", 1.0)
        sketch.timed(method, seconds)
    assert found("time", sketch.results()).verdict == verdict


def test_more_d_updates_hurt_wn_alone(sketch):
    for seed in range(3):
        for n_dis in (1, 5, 20):
            place = {"lr": 1e-3, "beta1": 0.5, "beta2": 0.9, "n_dis": n_dis}
            sketch.run("WN", f"n_dis {n_dis}", 1.0 + n_dis + 0.1 * seed, seed, **place)
            sketch.run("SN", f"n_dis {n_dis}", 1.0 + 0.1 * seed, seed, **place)
    assert found("more_d_updates", sketch.results()).verdict == SUPPORTED


def test_claims_about_stl10_are_not_tested_on_digits(sketch):
    values = {(m, s): [1.0, 1.1, 1.2] for m in ("SN", "WN", "WGAN-GP") for s in "ABCE"}
    results = filled(sketch, values)
    for name in ("orthonormal_at_e", "weight_norm_is_inferior", "optimal_settings"):
        assert found(name, results) == "it is about STL-10"


def test_the_best_setting_on_stl10_is_the_named_one(sketch):
    values = {("SN", "B"): [1.0, 1.1, 1.2, 1.3], ("SN", "A"): [2.0, 2.1, 2.2, 2.3]}
    results = filled(sketch, values, dataset="stl10")
    assert found("optimal_settings", results).verdict == SUPPORTED


def test_the_section_says_which_claims_the_suite_can_speak_to(sketch, exhibit):
    values = {(m, s): [1.0, 1.2, 1.1] for m in ("SN", "WGAN-GP") for s in "AF"}
    (table,) = exhibit("paper_claims").show(filled(sketch, values))

    assert table.caption.startswith("The 2 claims of Miyato et al. (2018)")
    assert len(table.raw) == 13
    assert any("No evidence here on" in note and "ImageNet" in note for note in table.notes)


# --- some of the runs ---


@pytest.fixture
def three(sketch):
    values = {(m, s): [1.0, 2.0] for m in ("SN", "WN", "none") for s in "AF"}
    return filled(sketch, values)


def test_a_condition_keeps_the_runs_that_it_holds_for_and_says_so(three):
    some = selected(three, "lr < 1e-3 and seed == 0")

    assert set(some.runs["setting"]) == {"A"}
    assert len(some.runs) == 3
    assert some.settings == ("A",)
    assert some.remarks == ("Shown are runs with lr < 1e-3 and seed == 0: 3 of 12 runs.",)


def test_methods_are_named_in_any_capitals_and_keep_their_order(three):
    some = selected(three, methods=["wn", "sn"])

    assert some.methods == ("SN", "WN")
    assert some.remarks == ("Shown are SN and WN; 1 method left out.",)


def test_another_score_ranks(three, exhibit):
    some = selected(three, metric="cs_digits")

    assert some.primary == "cs_digits"
    assert "Ranked by CS (digits), and not by FD (digits)" in some.remarks[0]
    assert selected(three, metric="fd_digits").remarks == ()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"where": "lrr < 1"}, "no column called 'lrr'; did you mean 'lr'"),
        ({"where": "lr <"}, "--where 'lr <': invalid syntax"),
        ({"where": "lr"}, "is no condition on runs"),
        ({"where": "3 > 2"}, "is no condition on runs"),
        ({"where": "lr > 7"}, "no run is left: lr > 7"),
        ({"methods": ["SM"]}, "no method called 'SM'; there are SN, WN, none"),
        ({"metric": "fid"}, "no score called 'fid'"),
    ],
)
def test_what_cannot_be_selected_is_said_in_one_line(three, asked, message):
    with pytest.raises(UserError) as error:
        selected(three, **asked)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


# --- several folders ---


def test_a_method_of_two_folders_has_the_folders_name(sketch, three):
    other = selected(three, methods=["SN"])
    both = joined({"mine": three, "theirs": other})

    assert both.methods == ("SN (mine)", "WN", "none", "SN (theirs)")
    assert both.settings == ("A", "F")
    assert len(both.runs) == 12 + 4
    assert both.runs["run_id"].is_unique
    assert both.runs["run_id"].str.startswith(("mine/", "theirs/")).all()
    assert both.remarks == (
        "Compared are the results in mine and theirs.",
        "theirs: Shown are SN; 2 methods left out.",
    )


def test_what_folders_differ_in_is_said_first(sketch, three, exhibit):
    longer = three.runs.assign(planned_updates=4000)
    both = joined({"mine": three, "longer": type(three)(**{**vars(three), "runs": longer})})

    assert (
        "They differ in generator updates, so not in methods alone: 2,000 (mine); 4,000"
        in (both.remarks[1])
    )
    (answer,) = exhibit("answer").show(both)
    assert answer.texts[:2] == both.remarks
    size = (
        "6 methods x 2 settings x 2 seeds on digits, 2,000 to 4,000 generator updates: at most 4%"
    )
    assert answer.texts[2].startswith(size)


def test_places_that_a_folder_does_not_have_are_not_missing_runs(three, exhibit):
    runs = three.runs[three.runs["setting"].eq("A")]
    fewer = type(three)(**{**vars(three), "runs": runs, "settings": ("A",)})
    (answer,) = exhibit("answer").show(joined({"all": three, "fewer": fewer}))
    told = " ".join(answer.texts)
    assert "not every method has the same settings and seeds" in told
    assert "missing" not in told


def test_a_setting_of_other_values_is_another_setting(three):
    other = type(three)(**{**vars(three), "runs": three.runs.assign(lr=0.5)})
    both = joined({"a": three, "b": other})
    assert both.settings == ("A (a)", "F (a)", "A (b)", "F (b)")


def test_studies_and_other_protocols_are_not_compared(three, tuned):
    with pytest.raises(UserError, match="b: a study is compared with nothing"):
        joined({"a": three, "b": tuned()})


def test_folders_are_called_by_what_tells_them_apart(tmp_path):
    assert names([tmp_path / "v1/small", tmp_path / "v2/big"]) == ["small", "big"]
    assert names([tmp_path / "v1/small", tmp_path / "v2/small"]) == ["v1/small", "v2/small"]
    with pytest.raises(UserError, match="compared with itself"):
        names([tmp_path, tmp_path])


@pytest.mark.parametrize(
    "name", ["summary", "profiles", "pairs", "ranks", "choosing", "paper_claims", "extremes"]
)
def test_a_comparison_of_folders_is_drawn(three, exhibit, name):
    both = joined({"mine": three, "theirs": three})
    results = list(exhibit(name).show(both))
    assert all(isinstance(each, (Table, Figure, Omitted)) for each in results)
    tables = [each for each in results if isinstance(each, Table)]
    assert all(isinstance(each.raw, pd.DataFrame) for each in tables)
