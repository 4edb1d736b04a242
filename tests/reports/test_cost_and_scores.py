"""What methods cost, and scores against cost, n_dis and training."""

from __future__ import annotations

import dataclasses
import math

import pytest

from lipbench.protocols import PROTOCOLS
from lipbench.reporting import Figure, Omitted, Table


@pytest.fixture
def show(exhibit):
    """Return what an exhibit shows of a study, by the results' kind."""

    def of(name, results, kind=(Table, Figure, Omitted)):
        return [result for result in exhibit(name).show(results) if isinstance(result, kind)]

    return of


def words(entries):
    """Return the texts of a table's row."""
    return [getattr(entry, "text", entry) for entry in entries]


def test_bars_are_medians_over_rounds_with_their_range(sketch, show):
    sketch.run("SN", "A", 5.0)
    sketch.timed("SN", [1.5, 1.0, 4.0])
    sketch.timed("SN", [3.0, 3.0, 3.0], image_size=48)
    sketch.timed("SN", [9.0, 9.0, 9.0], n_dis=1)

    bars = show("cost", sketch.results(), Figure)[0]

    small, large = bars.drawing.axes
    assert [axes.get_title() for axes in (small, large)] == ["32 pixels", "48 pixels"]
    assert [bar.get_width() for axes in (small, large) for bar in axes.patches] == [1.5, 3.0]
    assert list(small.lines[0].get_xdata()) == [1.0, 4.0]
    assert bars.raw["seconds_per_100_updates"].tolist() == [1.5, 1.0, 4.0, 3.0, 3.0, 3.0]


def test_ratios_are_those_of_the_rounds_and_not_of_the_medians(sketch, show):
    sketch.run("SN", "A", 5.0)
    sketch.timed("none", [1.0, 2.0, 4.0], ratio_to_none=[1.0, 1.0, 1.0])
    sketch.timed("SN", [2.0, 2.0, 6.0], ratio_to_none=[2.0, 1.0, 1.5], extra_parameters=1234)

    (table,) = [t for t in show("cost", sketch.results(), Table) if t.name == "cost_ratios"]

    assert table.columns == ("Method", "32 px, n_dis 5", "Extra parameters")
    sn, none = table.rows
    assert words(sn) == ["SN", "1.50", "1,234"]
    assert (sn[1].detail, none[1].detail) == ("1.00–2.00", "")
    assert table.raw["ratio"].tolist() == [1.5, 1.0]
    assert "Not measured there: device memory and energy." in table.notes
    assert any("EPYC, 1 thread, torch 2.9, 2026-01-02" in note for note in table.notes)


def test_memory_and_energy_are_shown_where_they_were_measured(sketch, show):
    sketch.run("SN", "A", 5.0)
    facts = {"peak_device_bytes": 300 * 2**20, "energy_joules_per_100_updates": 40.0}
    sketch.timed("SN", [1.0], **facts)
    sketch.timed("SN", [1.0], n_dis=1, **facts | {"peak_device_bytes": 2**20})

    (table,) = [t for t in show("cost", sketch.results(), Table) if t.name == "cost_ratios"]

    assert words(table.rows[0]) == ["SN", "1.00", "1.00", "0", "300", "40"]


def test_power_iterations_have_rows_of_their_own_and_bars_have_the_fewest(sketch, show):
    sketch.run("SN", "A", 5.0)
    sketch.timed("SN", [6.0], power_iterations=5)
    sketch.timed("SN", [4.0], power_iterations=1)
    results = sketch.results()

    tables = {table.name: table for table in show("cost", results, Table)}

    assert [row[0].detail for row in tables["cost_ratios"].rows] == [
        "1 power iteration",
        "5 power iterations",
    ]
    (row,) = tables["cost_power_iterations"].rows
    assert words(row) == ["SN", "32", "5", "4", "6"]
    assert [entry.detail for entry in row[3:]] == ["× 1.00", "× 1.50"]
    bars = show("cost", results, Figure)[0]
    assert [bar.get_width() for bar in bars.drawing.axes[0].patches] == [4.0]


def test_time_grows_with_n_dis_in_a_line_a_method(sketch, show):
    sketch.run("SN", "A", 5.0)
    for method, seconds in (("SN", 2.0), ("none", 1.0)):
        for n_dis in (5, 1):
            sketch.timed(method, [seconds * n_dis], n_dis=n_dis)

    lines = show("cost", sketch.results(), Figure)[1]

    (axes,) = lines.drawing.axes
    assert [list(line.get_ydata()) for line in axes.lines] == [[2.0, 10.0], [1.0, 5.0]]
    assert [list(line.get_xdata()) for line in axes.lines] == [[1, 5], [1, 5]]


def test_one_n_dis_and_no_power_iterations_leave_both_out(sketch, show):
    sketch.run("SN", "A", 5.0)
    sketch.run("WN", "A", 5.0)
    sketch.timed("SN", [1.0], n_dis=1)

    results = show("cost", sketch.results())

    reasons = [result.reason for result in results if isinstance(result, Omitted)]
    assert len(reasons) == 4
    assert "n_dis 5 is missing" in reasons[0]
    (table,) = [result for result in results if isinstance(result, Table)]
    assert "Not measured: WN." in table.notes


def test_what_else_runs_recorded_stands_beside_their_time(sketch, show):
    sketch.machines = ("EPYC (1 thread)",)
    for seed, resident in enumerate((1, 3)):
        facts = {"peak_resident_bytes": resident * 2**20, "energy_joules": math.nan}
        sketch.run("SN", "A", 5.0, seed, seconds_per_update=0.5, **facts)

    (table,) = show("cost", sketch.results(), Table)

    assert table.columns == ("Method", "5 D updates", "Process MiB")
    assert table.rows == (("SN", "500.0", "2"),)
    assert table.raw["peak_resident_bytes"].tolist() == [2 * 2**20]
    assert any("2 timed runs" in note for note in table.notes)
    assert any("(EPYC (1 thread))" in note for note in table.notes)


def test_the_front_holds_what_nothing_beats_in_both(sketch, show):
    points = {"none": (1, 50.0), "SN": (2, 20.0), "WN": (2, 30.0), "GP": (3, 20.0), "R1": (9, 5.0)}
    for method, (seconds, score) in points.items():
        sketch.run(method, "A", score, seconds_per_update=seconds / 2000)

    figure, table = show("pareto", sketch.results())

    assert [words(row)[0] for row in table.rows if words(row)[-1] == "yes"] == ["none", "SN", "R1"]
    assert table.raw["seconds"].tolist() == pytest.approx([1.0, 2.0, 2.0, 3.0, 9.0])
    front = figure.drawing.axes[0].lines[0]
    assert list(front.get_xdata()) == pytest.approx([1.0, 2.0, 9.0])
    assert list(front.get_ydata()) == [50.0, 20.0, 5.0]
    assert {text.get_text() for text in figure.drawing.axes[0].texts} == {"none", "SN", "R1"}


def test_the_front_respects_a_score_that_is_better_when_higher(sketch_of, exhibit):
    sketch = sketch_of("digits")
    for method, seconds, score in (("none", 1, 8.0), ("SN", 2, 9.0), ("WN", 3, 7.0)):
        sketch.run(method, "A", 5.0, cs_digits=score, seconds_per_update=seconds / 2000)
    results = sketch.results()
    by_class = dataclasses.replace(results.protocol, primary="cs_digits")

    _, table = exhibit("pareto").show(dataclasses.replace(results, protocol=by_class))

    assert [row[0] for row in table.rows if row[-1] == "yes"] == ["none", "SN"]


def test_methods_that_diverged_or_were_not_timed_are_named_beside_the_front(sketch, show):
    sketch.run("SN", "A", 5.0, seconds_per_update=0.1)
    sketch.run("WC", "A", "diverged", seconds_per_update=0.1)
    sketch.run("WN", "A", 5.0)
    sketch.run("LN", "A", "queued")

    figure, table = show("pareto", sketch.results())

    for result in (figure, table):
        assert "Diverged wherever they have a result, so nowhere here: WC." in result.notes
        assert any(note.endswith("best setting: WN, LN.") for note in result.notes)


def test_last_and_best_are_of_the_best_setting_by_the_last(sketch, show):
    for seed, (last, best, update) in enumerate([(8.0, 6.0, 500), (10.0, 7.0, 700)]):
        facts = {"fd_digits_best": best, "best_update": update, "fd_digits_gap": last - best}
        sketch.run("SN", "A", last, seed, fd_digits_se=0.25, fd_digits_floor=1.5, **facts)
    sketch.run("SN", "B", 11.0, fd_digits_best=1.0)
    sketch.run("SN", "A", "diverged", 2)
    sketch.run("WN", "A", "diverged")

    (table,) = show("last_and_best", sketch.results())

    sn, wn = table.rows
    assert words(sn) == ["SN", "A", "2", "9.00", "6.50", "600", "2.50", "0.25", "—"]
    assert words(wn) == ["WN", *["—"] * 8]
    primary = table.raw[table.raw["score"] == "fd_digits"].set_index("setting")
    assert primary["best"].to_dict() == {"A": 6.5, "B": 1.0}
    assert set(table.raw["score"]) == set(PROTOCOLS["digits"].scores)
    assert any("1.50 (floor)" in note for note in table.notes)


def test_without_scores_during_training_there_is_no_best(sketch, show):
    sketch.run("SN", "A", 5.0)

    (omitted,) = show("last_and_best", sketch.results())

    assert "no run was scored during training" in omitted.reason


def n_dis_run(sketch, method, n_dis, value, seed=0, **columns):
    sketch.run(method, f"n_dis={n_dis}", value, seed, n_dis=n_dis, **columns)


def test_a_line_joins_the_settings_that_differ_in_n_dis_only(sketch, show):
    for n_dis, values in ((5, (30.0,)), (1, (10.0, 20.0))):
        for seed, value in enumerate(values):
            n_dis_run(sketch, "SN", n_dis, value, seed)
    n_dis_run(sketch, "WN", 1, 5.0)
    sketch.run("SN", "A", 4.0)

    (figure,) = show("n_dis", sketch.results())

    (axes,) = figure.drawing.axes
    assert axes.get_title() == "lr 0.0002, betas 0.5 and 0.999"
    line = axes.lines[0]
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([1, 5], [15.0, 30.0])
    assert figure.raw[["n_dis", "low", "high"]].values.tolist() == [[1, 10, 20], [5, 30, 30]]
    assert set(figure.raw["method"]) == {"SN"}
    assert figure.notes[0].endswith("1 to 2 runs a point.")


def test_a_diverged_point_is_a_cross_at_the_top_and_no_line(sketch, show):
    n_dis_run(sketch, "SN", 1, 10.0)
    n_dis_run(sketch, "SN", 5, "diverged")

    (figure,) = show("n_dis", sketch.results())

    line, cross = figure.drawing.axes[0].lines
    assert math.isnan(line.get_ydata()[1])
    assert (list(cross.get_xdata()), cross.get_marker()) == ([5], "x")
    assert any(note.startswith("× at the top") for note in figure.notes)


def test_settings_that_differ_in_more_than_n_dis_are_not_joined(sketch, show):
    for setting in "ABCDEF":
        sketch.run("SN", setting, 10.0)

    (omitted,) = show("n_dis", sketch.results())

    assert "no two settings with results differ in n_dis" in omitted.reason
