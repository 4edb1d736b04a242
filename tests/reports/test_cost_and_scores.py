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


def test_the_overhead_is_a_point_a_round_with_the_median_and_an_interval(sketch, show):
    sketch.run("SN", "A", 5.0)
    sketch.timed("SN", [1.5, 1.0, 4.0])
    sketch.timed("SN", [3.0, 3.0, 3.0], image_size=48)
    sketch.timed("SN", [9.0, 9.0, 9.0], n_dis=1)

    overhead = show("cost", sketch.results(), Figure)[0]

    small, large = overhead.drawing.axes
    assert [axes.get_title() for axes in (small, large)] == ["32 pixels", "48 pixels"]
    assert [axes.collections[0].get_offsets()[:, 0].tolist() for axes in (small, large)] == [
        [1.5, 1.0, 4.0],
        [3.0, 3.0, 3.0],
    ]
    _, median, interval = small.lines
    assert list(median.get_xdata()) == [1.5, 1.5]
    # 13/6 plus and minus t(0.975, 2) = 4.3027 times sqrt(31/12 / 3).
    assert list(interval.get_xdata()) == pytest.approx([-1.8260, 6.1593], abs=1e-3)
    assert len(large.lines) == 2
    assert overhead.raw["ratio_to_none"].tolist() == [1.5, 1.0, 4.0, 3.0, 3.0, 3.0]


def test_ratios_are_those_of_the_rounds_and_not_of_the_medians(sketch, show):
    sketch.run("SN", "A", 5.0)
    sketch.timed("none", [1.0, 2.0, 4.0], ratio_to_none=[1.0, 1.0, 1.0])
    sketch.timed("SN", [2.0, 2.0, 6.0], ratio_to_none=[2.0, 1.0, 1.5], extra_parameters=1234)

    (table,) = [t for t in show("cost", sketch.results(), Table) if t.name == "cost_ratios"]

    assert table.columns == ("Method", "32 px, n_dis 5", "Extra parameters")
    sn, none = table.rows
    assert words(sn) == ["SN", "1.50", "1,234"]
    # 1.5 plus and minus t(0.975, 2) = 4.3027 times 0.5 / sqrt(3).
    assert (sn[1].detail, none[1].detail) == ("95%: 0.26 to 2.74", "")
    assert table.raw["ratio_to_none"].tolist() == [2.0, 1.0, 1.5, 1.0, 1.0, 1.0]
    assert "Not measured there: device memory and energy." in table.notes
    assert any("EPYC, 1 thread, torch 2.9, 2026-01-02" in note for note in table.notes)


def test_memory_and_energy_are_shown_where_they_were_measured(sketch, show):
    sketch.run("SN", "A", 5.0)
    facts = {"peak_device_bytes": 300 * 2**20, "energy_joules_per_100_updates": 40.0}
    sketch.timed("SN", [1.0], **facts)
    sketch.timed("SN", [1.0], n_dis=1, **facts | {"peak_device_bytes": 2**20})

    (table,) = [t for t in show("cost", sketch.results(), Table) if t.name == "cost_ratios"]

    assert words(table.rows[0]) == ["SN", "1.00", "1.00", "0", "300", "40"]


def test_two_rounds_have_a_range_and_no_interval(sketch, show):
    sketch.run("SN", "A", 5.0)
    sketch.timed("SN", [1.5, 1.25])

    (table,) = [t for t in show("cost", sketch.results(), Table) if t.name == "cost_ratios"]

    assert table.rows[0][1].detail == "1.25–1.50"
    assert not any("95%" in note for note in table.notes)


def test_power_iterations_have_rows_of_their_own_and_figures_have_the_fewest(sketch, show):
    sketch.run("SN", "A", 5.0)
    sketch.timed("SN", [6.0], power_iterations=5)
    sketch.timed("SN", [4.0], power_iterations=1)
    results = sketch.results()

    (table,) = show("cost", results, Table)

    assert [(row[0].detail, row[1].text) for row in table.rows] == [
        ("1 power iteration", "4.00"),
        ("5 power iterations", "6.00"),
    ]
    overhead = show("cost", results, Figure)[0]
    assert overhead.raw["ratio_to_none"].tolist() == [4.0]


def test_time_grows_with_n_dis_in_a_line_a_method(sketch, show):
    sketch.run("SN", "A", 5.0)
    for method, seconds in (("SN", 2.0), ("none", 1.0)):
        for n_dis in (5, 1):
            sketch.timed(method, [seconds * n_dis], n_dis=n_dis)

    lines = show("cost", sketch.results(), Figure)[1]

    (axes,) = lines.drawing.axes
    assert [list(line.get_ydata()) for line in axes.lines] == [[2.0, 10.0], [1.0, 5.0]]
    assert [list(line.get_xdata()) for line in axes.lines] == [[1, 5], [1, 5]]


def test_one_n_dis_is_drawn_as_it_was_measured_without_an_effect(sketch, show):
    sketch.run("SN", "A", 5.0)
    sketch.run("WN", "A", 5.0)
    sketch.timed("SN", [1.0], n_dis=1)

    overhead, table, *omitted = show("cost", sketch.results())

    assert "with 1 update of the discriminator" in overhead.caption
    assert "one n_dis was measured" in omitted[0].reason
    assert "Not measured: WN." in table.notes


def test_what_else_runs_recorded_stands_beside_their_time(sketch, show):
    sketch.machines = ("EPYC (1 thread)",)
    for seed, resident in enumerate((1, 3)):
        facts = {"peak_resident_bytes": resident * 2**20, "energy_joules": math.nan}
        sketch.run("SN", "A", 5.0, seed, seconds_per_update=0.5, **facts)

    (table,) = show("cost", sketch.results(), Table)

    assert table.columns == ("Method", "5 D updates", "Process MiB")
    assert words(table.rows[0]) == ["SN", "500.0", "2"]
    assert table.rows[0][1].runs == ("SN-A-s0", "SN-A-s1")
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

    assert [words(row)[0] for row in table.rows if words(row)[-1] == "yes"] == ["none", "SN"]


def timed_points(sketch):
    for method, seconds, score in (("none", 1, 8.0), ("SN", 2, 4.0)):
        sketch.run(method, "A", score, seconds_per_update=seconds)


def test_seconds_that_were_measured_side_by_side_stand_in_for_the_runs_own(sketch, show):
    timed_points(sketch)
    for method, seconds in (("none", 300.0), ("SN", 100.0)):
        sketch.timed(method, [seconds], image_size=16)

    figure, table = show("pareto", sketch.results())

    assert table.raw[["method", "seconds"]].values.tolist() == [["SN", 2000.0], ["none", 6000.0]]
    assert table.raw["on_front"].tolist() == [True, False]
    assert any("measured of all methods side by side" in note for note in figure.notes)


@pytest.mark.parametrize("case", [{"image_size": 32}, {"n_dis": 1}, {"power_iterations": 5}])
def test_another_case_of_the_measurement_says_nothing_of_the_runs(sketch, show, case):
    timed_points(sketch)
    sketch.rows[1]["params"] = '{"spectral_norm": {"power_iterations": 1}}'
    sketch.timed("none", [300.0], image_size=16)
    sketch.timed("SN", [100.0], **{"image_size": 16, "power_iterations": 1} | case)

    figure, table = show("pareto", sketch.results())

    assert table.raw["seconds"].tolist() == [2000.0, 4000.0]
    assert any("on whatever machine each run had" in note for note in figure.notes)


def test_seconds_of_several_machines_have_no_front(sketch, show):
    timed_points(sketch)
    sketch.machines = ("EPYC (1 thread)", "NVIDIA H100")

    figure, table = show("pareto", sketch.results())

    assert not table.raw["on_front"].any()
    assert "No front: the runs' seconds are from several machines." in figure.notes
    assert "dashed" not in figure.caption


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
    assert words(sn) == ["SN", "A", "2", "9.0", "6.5", "600", "2.5", "0.25", "—"]
    assert words(wn) == ["WN", *["—"] * 8]
    primary = table.raw[table.raw["score"] == "fd_digits"].set_index("setting")
    assert primary["best"].to_dict() == {"A": 6.5, "B": 1.0}
    assert set(table.raw["score"]) == set(PROTOCOLS["digits"].scores)
    assert any("1.5 (floor)" in note for note in table.notes)


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
