"""Every entry here can be worked out by hand."""

from __future__ import annotations

import math

import pytest

from lipbench.reporting import Table


@pytest.fixture
def table(exhibit):
    """Return the robustness table of a study."""

    def of(results) -> Table:
        (table,) = exhibit("robustness").show(results)
        return table

    return of


def entries(table, method):
    """Return a method's entries by column, as text."""
    row = next(row for row in table.rows if getattr(row[0], "text", row[0]) == method)
    return dict(zip(table.columns, row, strict=True))


def test_an_entry_is_the_median_over_seeds_with_its_range(sketch, table):
    for seed, value in enumerate([10.0, 30.0, 11.0]):
        sketch.run("SN", "A", value, seed)

    entry = entries(table(sketch.results()), "SN")["A"]

    assert (entry.text, entry.detail, entry.mark) == ("11", "10–30", "")


def test_a_diverged_seed_counts_as_the_worst_and_is_not_dropped(sketch, table):
    for seed, value in enumerate([10.0, 30.0, "diverged"]):
        sketch.run("SN", "A", value, seed)

    table = table(sketch.results())

    entry = entries(table, "SN")["A"]
    assert (entry.text, entry.detail) == ("30", "10–30, 1/3 diverged")
    assert table.raw["A"].tolist() == [30.0]


def test_where_half_of_the_seeds_diverged_so_did_the_median(sketch, table):
    sketch.run("SN", "A", 10.0, 0)
    sketch.run("SN", "A", "diverged", 1)

    table = table(sketch.results())

    entry = entries(table, "SN")["A"]
    assert (entry.text, entry.detail) == ("diverged", "1/2, else 10.00")
    assert table.raw["A"].tolist() == [math.inf]


@pytest.mark.parametrize(
    "outcome", ["failed", "timeout", "out_of_memory", "queued", "running", "interrupted", "pruned"]
)
def test_a_run_without_a_result_is_missing_not_bad(sketch, table, outcome):
    sketch.run("SN", "A", 10.0, 0)
    sketch.run("SN", "A", outcome, 1)
    sketch.run("SN", "B", outcome, 0)
    sketch.run("SN", "B", outcome, 1)

    table = table(sketch.results())

    row = entries(table, "SN")
    assert (row["A"].text, row["A"].mark, row["A"].detail) == ("10.00", "†", "")
    assert (row["B"].text, row["B"].mark) == ("incomplete", "†")
    assert (row["Worst"].text, row["Worst"].mark) == ("10.00", "†")
    assert any(note.startswith("† Incomplete") for note in table.notes)


def test_a_run_that_completed_but_is_not_scored_yet_is_missing(sketch, table):
    sketch.run("SN", "A", math.nan)

    assert entries(table(sketch.results()), "SN")["A"].text == "incomplete"


def test_best_median_and_worst_are_over_the_settings(sketch, table):
    for setting, value in zip("ABC", [10.0, 12.0, 20.0], strict=True):
        sketch.run("SN", setting, value)
        sketch.run("WN", setting, value + 1 if setting != "C" else "diverged")

    table = table(sketch.results())

    summary = ["Best", "Median", "Worst"]
    assert [entries(table, "SN")[k].text for k in summary] == ["10.00", "12.00", "20.00"]
    assert [entries(table, "WN")[k].text for k in summary] == ["11.00", "13.00", "diverged"]
    assert table.raw.loc[1, summary].tolist() == [11.0, 13.0, math.inf]


def runs(sketch, values, setting="A", **columns):
    """Add three seeds of each method, a little apart from its value."""
    for method, value in values.items():
        for seed in range(3):
            sketch.run(method, setting, value * (1 + 0.01 * seed), seed, **columns)


def test_the_best_of_a_column_is_bold_with_what_it_is_not_called_better_than(sketch, table):
    runs(sketch, {"none": 5.0})
    for seed, (sn, wn) in enumerate([(2.0, 2.1), (2.3, 2.1), (2.2, 2.2)]):
        sketch.run("SN", "A", sn, seed)
        sketch.run("WN", "A", wn, seed)

    table = table(sketch.results())

    assert [row[0].text for row in table.rows if row[1].best] == ["SN", "WN"]


@pytest.mark.parametrize(("seeds", "said"), [(1, "one seed cannot"), (2, "2 seeds cannot")])
def test_one_or_two_seeds_have_no_winner_and_the_table_says_why(sketch, table, seeds, said):
    for method, value in [("none", 500.0), ("SN", 2.0)]:
        for seed in range(seeds):
            sketch.run(method, "A", value + seed, seed)

    table = table(sketch.results())

    assert bold(table) == set()
    assert any(note.startswith(f"Nothing is bold: {said}") for note in table.notes)


def test_an_incomplete_column_has_no_winner_and_neither_have_the_summaries(sketch, table):
    runs(sketch, {"none": 5.0, "SN": 6.0})
    for seed in range(3):
        sketch.run("none", "B", 5.0, seed)
        sketch.run("SN", "B", "queued" if seed else 6.0, seed)

    table = table(sketch.results())

    bold = {
        column
        for row in table.rows
        for column, e in zip(table.columns, row, strict=True)
        if e.best
    }
    assert bold == {"A"}


def test_methods_with_different_seeds_are_not_ranked(sketch, table):
    sketch.run("none", "A", 5.0, 0)
    sketch.run("SN", "A", 6.0, 1)

    assert not any(entry.best for row in table(sketch.results()).rows for entry in row)


def test_a_single_method_wins_nothing_and_all_diverged_neither(sketch, table):
    sketch.run("SN", "A", 5.0)
    assert not any(entry.best for row in table(sketch.results()).rows for entry in row)

    sketch.rows.clear()
    for method in ("none", "SN"):
        sketch.run(method, "A", "diverged")
    assert not any(entry.best for row in table(sketch.results()).rows for entry in row)


def bold(table):
    return {
        (row[0].text, column)
        for row in table.rows
        for column, entry in zip(table.columns, row, strict=True)
        if entry.best
    }


def test_a_collapsed_run_is_never_the_best_and_says_so(sketch_of, exhibit):
    sketch = sketch_of("digits")
    values = {"noise": (9.9, 9.9, 9.9), "SN": (6.0, 5.0, 5.5), "WN": (4.0, 9.0, 5.0)}
    values["none"] = (2.0, 1.1, 1.2)
    for method, scores in values.items():
        for seed, score in enumerate(scores):
            collapsed = method == "noise" or score == 9.0
            sketch.run(method, "A", 5.0, seed, cs_digits=score, collapsed=collapsed)

    table = next(
        t for t in exhibit("scores").show(sketch.results()) if t.name == "score_cs_digits"
    )

    assert bold(table) == {("SN", "A")}
    noise, sn, wn = (entries(table, m)["A"] for m in ("noise", "SN", "WN"))
    assert (noise.text, noise.mark, noise.detail) == ("9.90", "§", "3/3 collapsed")
    assert (sn.text, sn.mark) == ("5.50", "")
    assert (wn.text, wn.mark, wn.detail) == ("5.00", "§", "4.00–9.00, 1/3 collapsed")
    assert any(note.startswith("§ Some of the runs collapsed") for note in table.notes)


def test_a_collapsed_setting_is_the_best_only_where_there_is_no_other(sketch, table, exhibit):
    sketch.run("SN", "A", 5.0, collapsed=True)
    sketch.run("SN", "B", 9.0)
    sketch.run("WN", "A", 7.0, collapsed=True)
    sketch.run("WN", "B", 8.0, collapsed=True)

    (best,) = exhibit("best_setting").show(sketch.results())

    assert [row[1] for row in best.rows] == ["B", "A"]
    assert [row[2].mark for row in best.rows] == ["", "§"]
    shown = table(sketch.results())
    best_of = {m: entries(shown, m)["Best"] for m in ("SN", "WN")}
    assert [(e.text, e.mark) for e in best_of.values()] == [("9.00", ""), ("7.00", "§")]


def test_the_worst_end_of_a_scores_range_is_not_the_best(sketch, exhibit):
    for seed in range(3):
        for method in ("none", "SN"):
            sketch.run(method, "A", 5.0, seed, coverage_digits=0.0)
        sketch.run("WN", "A", "diverged", seed)

    table = next(
        t for t in exhibit("scores").show(sketch.results()) if t.name == "score_coverage_digits"
    )

    assert [row[1].text for row in table.rows] == ["0.000", "0.000", "diverged"]
    assert bold(table) == set()


def test_where_all_scores_are_equal_there_is_no_winner(sketch, table):
    for method in ("none", "SN", "WN"):
        for seed in range(3):
            sketch.run(method, "A", 0.001, seed)

    table = table(sketch.results())

    assert bold(table) == set()
    assert "Nothing is bold: all scores are equal." in table.notes


def test_a_score_that_rewards_noise_crowns_nobody_who_fails_by_the_first_score(sketch, exhibit):
    for seed in range(3):
        sketch.run("noise", "A", 500.0 + seed, seed, authenticity_digits=1.0 - 0.001 * seed)
        sketch.run("SN", "A", 5.0 + 0.1 * seed, seed, authenticity_digits=0.8 + 0.001 * seed)

    tables = {t.name: t for t in exhibit("scores").show(sketch.results())}
    table = tables["score_authenticity_digits"]

    assert bold(table) == set()
    assert "Mind that it rewards noise, which is like no training image." in table.notes
    assert any("nobody who is the best is so by FD (digits) too" in note for note in table.notes)


@pytest.mark.parametrize(
    ("value", "text"), [(math.inf, "∞"), (-math.inf, "∞"), (1e300, "1.00e+300")]
)
def test_a_score_that_is_not_finite_or_huge_is_worse_than_others(sketch, table, value, text):
    runs(sketch, {"none": 7.0, "SN": 5.0, "WN": 9.0})
    for seed in range(3):
        sketch.rows[seed] = {**sketch.rows[seed], "fd_digits": value}

    table = table(sketch.results())

    assert entries(table, "none")["A"].text == text
    assert bold(table) == {("SN", "A")}


def test_success_is_completed_and_not_collapsed(sketch, table):
    sketch.run("SN", "A", 5.0, 0)
    sketch.run("SN", "A", 5.0, 1, collapsed=True)
    sketch.run("SN", "B", "diverged", 0)
    sketch.run("SN", "B", "queued", 1)

    table = table(sketch.results())

    assert entries(table, "SN")["Success"].text == "1/4"
    assert table.raw[["succeeded", "runs"]].values.tolist() == [[1, 4]]


def test_the_floor_stands_below_the_scores(sketch, table):
    sketch.run("SN", "A", 5.0, fd_digits_floor=1.834)

    table = table(sketch.results())

    assert [entry.text for entry in table.rows[-1]] == ["Real data", "1.83", ""]
    assert table.raw["A"].tolist() == [5.0, 1.834]


def test_a_cell_that_the_plan_leaves_out_is_a_dash(sketch, table):
    sketch.run("SN", "A", 5.0)
    sketch.run("WN", "B", 5.0)

    assert entries(table(sketch.results()), "SN")["B"].text == "—"


def test_a_higher_score_is_better_where_the_score_says_so(sketch_of, exhibit):
    sketch = sketch_of("digits")
    for method, value in [("none", 8.0), ("SN", 9.0)]:
        for seed in range(3):
            sketch.run(method, "A", 5.0, seed, cs_digits=value + 0.1 * seed)

    table = next(
        t for t in exhibit("scores").show(sketch.results()) if t.name == "score_cs_digits"
    )

    assert [row[1].text for row in table.rows] == ["8.10", "9.10"]
    assert [row[1].best for row in table.rows] == [False, True]
    assert "higher is better" in table.caption


def test_half_a_count_is_not_rounded(sketch, exhibit):
    for method, counts in [("none", (8.0, 9.0)), ("SN", (7.0, 8.0))]:
        for seed, count in enumerate(counts):
            sketch.run(method, "A", 5.0, seed, modes_covered_digits=count)

    table = next(
        t
        for t in exhibit("scores").show(sketch.results())
        if t.name == "score_modes_covered_digits"
    )

    assert [row[1].text for row in table.rows] == ["8.5", "7.5"]
