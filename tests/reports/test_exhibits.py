"""The figures, and the tables of settings, outcomes and cost."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from lipbench.reporting import Figure, Omitted, Sentences, Table, exhibits

# Those on a study's trials are nothing in another report: test_tuning.py.
EVERY = sorted(type(e).__module__.rpartition(".")[2] for e in exhibits() if e.reads == "runs")
EVERY.remove("plane")  # nothing in a report on images: test_plane.py


def shown(exhibit, name, results):
    return list(exhibit(name).show(results))


@pytest.fixture
def empty(sketch):
    """Return a study of no runs at all."""
    return sketch.results(["SN", "WN"], ["A"])


@pytest.fixture
def live(sketch):
    """Return a sweep that has only begun."""
    sketch.run("SN", "A", "running")
    sketch.run("SN", "B", "queued")
    sketch.run("WN", "A", "queued")
    return sketch.results()


@pytest.fixture
def diverged(sketch):
    """Return a study in which nothing else happened."""
    for method in ("SN", "WN"):
        for setting in "AB":
            run = sketch.run(method, setting, "diverged", cause="loss_d is nan")
            sketch.curves += [(run, u, "loss_d", v) for u, v in ((1, 1.0), (2, math.inf))]
    return sketch.results()


def texts(result):
    """Return every word that a result shows."""
    if isinstance(result, Omitted):
        return [result.reason]
    if isinstance(result, Sentences):
        return list(result.texts)
    words = [result.caption, *result.notes]
    if isinstance(result, Table):
        entries = [e for row in result.rows for e in row]
        words += [*result.columns, *[getattr(e, "text", e) for e in entries]]
        words += [getattr(e, "detail", "") for e in entries]
    return words


@pytest.fixture
def audited(sketch):
    """Return a study whose runs are audited and timed, the diverged ones with no finite number."""
    nothing = dict.fromkeys(("lower_bound", "upper_bound_kernel", "tightness"), "nan")
    for method, value in (("SN", 5.0), ("WN", "diverged")):
        run = sketch.run(method, "A", value, seconds_per_update=0.1)
        sketch.audit(run, 1000)
        lost = {} if value == 5.0 else {"upper_bound": None, "lower_bounds": {"real": "nan"}}
        sketch.audit(run, 2000, **(nothing | lost if lost else {}))
        sketch.timed(method, [1.0, 2.0])
    return sketch.results()


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("state", ["empty", "live", "diverged", "audited"])
def test_every_exhibit_shows_something_or_says_why_not(exhibit, request, name, state):
    results = shown(exhibit, name, request.getfixturevalue(state))

    assert results
    words = [word for result in results for word in texts(result)]
    assert all("nan" not in w.lower() for w in words if "loss_d is nan" not in w)
    assert not any(word == "inf" for word in words)


def test_settings_are_those_of_the_runs_in_the_plans_order(sketch, exhibit):
    sketch.run("SN", "C", 1.0)
    sketch.run("SN", "A", 1.0)

    (table,) = shown(exhibit, "settings", sketch.results(settings=["A", "C"]))

    assert table.rows == (("A", "0.0001", "0.5", "0.9", "5"), ("C", "0.0002", "0.5", "0.999", "1"))


def test_a_setting_that_differs_between_methods_is_a_range(sketch, exhibit):
    sketch.run("SN", "recipe", 1.0, lr=1e-4)
    sketch.run("WN", "recipe", 1.0, lr=3e-4)

    (table,) = shown(exhibit, "settings", sketch.results())

    assert table.rows[0][:2] == ("recipe", "0.0001 to 0.0003")


def test_outcomes_are_counted_and_runs_that_stopped_are_listed(sketch, exhibit):
    sketch.run("SN", "A", 1.0)
    sketch.run("SN", "B", "diverged", generator_updates=1234, cause="loss_d is nan")
    sketch.run("WN", "A", "failed", cause="RuntimeError:\n  " + "x" * 500)

    counts, stopped = shown(exhibit, "outcomes", sketch.results())

    assert counts.columns == ("Method", "Completed", "Diverged", "Failed", "Runs")
    assert counts.rows == (("SN", "1", "1", "0", "2"), ("WN", "0", "0", "1", "1"))
    assert stopped.rows[0] == ("SN", "B", "0", "diverged", "1,234", "loss_d is nan")
    assert len(stopped.rows[1][-1]) < 200
    assert len(stopped.raw["cause"][1]) > 500


def test_recorded_times_are_shown_without_a_ratio_that_machines_would_make(sketch, exhibit):
    times = {("none", "A"): 0.040, ("none", "B"): 0.010, ("SN", "A"): 0.060, ("SN", "B"): 0.013}
    for (method, setting), seconds in times.items():
        sketch.run(method, setting, 1.0, seconds_per_update=seconds)

    omitted, table = shown(exhibit, "cost", sketch.results())

    assert "not measured side by side" in omitted.reason
    assert table.columns == ("Method", "1 D update", "5 D updates")
    texts = [[entry.text for entry in row] for row in table.rows]
    assert texts == [["none", "10.0", "40.0"], ["SN", "13.0", "60.0"]]
    assert table.rows[1][0].runs == ("SN-A-s0", "SN-B-s0")


def bars(figure):
    return [bar.get_height() for axes in figure.drawing.axes for bar in axes.patches]


def test_a_bar_is_an_entry_and_the_axis_of_a_distance_is_logarithmic(sketch, exhibit):
    sketch.run("SN", "A", 10.0, 0, fd_digits_floor=1.0, cs_digits=9.0)
    sketch.run("SN", "A", 20.0, 1, fd_digits_floor=1.0, cs_digits=9.0)
    sketch.run("SN", "B", 40.0, 0, fd_digits_floor=1.0, cs_digits=8.0)

    distance, score, modes = shown(exhibit, "bars", sketch.results())

    assert bars(distance) == [15.0, 40.0]
    assert bars(score) == [9.0, 8.0]
    axes = distance.drawing.axes[0]
    assert (axes.get_yscale(), score.drawing.axes[0].get_yscale()) == ("log", "linear")
    assert [list(line.get_ydata()) for line in axes.lines] == [[10.0, 20.0], [1.0, 1.0]]
    assert modes == Omitted("no run has been scored yet: modes (digits)")


def test_a_diverged_bar_reaches_the_top_and_says_so(sketch, exhibit):
    sketch.run("SN", "A", 10.0, cs_digits=9.0)
    sketch.run("SN", "B", "diverged")
    sketch.run("SN", "C", "queued")

    distance, score, _ = shown(exhibit, "bars", sketch.results())

    axes = distance.drawing.axes[0]
    assert [bar.get_hatch() for bar in axes.patches] == [None, "////"]
    assert axes.patches[1].get_height() == axes.get_ylim()[1]
    assert [text.get_text() for text in axes.texts] == ["diverged", "incomplete"]
    assert bars(score) == [9.0]


def test_many_methods_take_more_rows_of_bars(sketch, exhibit):
    for i in range(10):
        for setting in "ABCDEF":
            sketch.run(f"$m_{i}$", setting, 1.0 + i)

    figure = shown(exhibit, "bars", sketch.results())[0]

    assert len(figure.drawing.axes) == 2
    assert len(bars(figure)) == 60


def test_a_learning_curve_is_the_median_over_seeds(sketch, exhibit):
    for seed, scale in enumerate([1.0, 3.0]):
        run = sketch.run("SN", "A", scale, seed)
        sketch.curves += [
            (run, u, "fd_digits_selection", scale * (300 - u)) for u in (0, 100, 200)
        ]

    results = shown(exhibit, "curves", sketch.results())

    figure = results[0]
    line = figure.drawing.axes[0].lines[0]
    assert list(line.get_xdata()) == [0, 100, 200]
    assert list(line.get_ydata()) == [600.0, 400.0, 200.0]
    assert [type(r) for r in results] == [Figure, Omitted, Omitted, Omitted]


def test_a_score_known_only_at_the_end_has_no_curve(sketch, exhibit):
    run = sketch.run("SN", "A", 5.0)
    sketch.curves.append((run, 2000, "fd_digits_selection", 5.0))

    assert "not scored during training" in shown(exhibit, "curves", sketch.results())[0].reason


def test_training_curves_mark_where_a_run_diverged(sketch, exhibit):
    run = sketch.run("SN", "A", "diverged")
    sketch.curves += [(run, u, "loss_d", v) for u, v in ((0, 1.0), (10, 2.0), (20, math.nan))]

    figure = shown(exhibit, "curves", sketch.results())[-1]

    cross = next(line for line in figure.drawing.axes[0].lines if line.get_marker() == "x")
    assert (list(cross.get_xdata()), list(cross.get_ydata())) == ([10.0], [2.0])


def test_samples_are_cropped_to_whole_images(sketch, exhibit, tmp_path):
    sketch.grid_of_samples(sketch.run("SN", "A", 5.0), tmp_path / "a.png", 200)
    sketch.run("SN", "B", "queued")
    broken = sketch.run("SN", "C", "diverged")
    sketch.samples[broken] = tmp_path / "gone.png"

    (figure,) = shown(exhibit, "samples", sketch.results())

    a, b, c = figure.drawing.axes
    assert np.asarray(a.images[0].get_array()).shape == (4 * 16, 4 * 16, 3)
    assert [text.get_text() for axes in (b, c) for text in axes.texts] == ["queued", "diverged"]


def test_a_half_written_sample_does_not_stop_the_report(sketch, exhibit, tmp_path):
    run = sketch.run("SN", "A", "running")
    sketch.grid_of_samples(run, tmp_path / "a.png", 200)
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])

    (figure,) = shown(exhibit, "samples", sketch.results())

    assert [text.get_text() for text in figure.drawing.axes[0].texts] == ["running"]


def test_the_samples_of_a_diverged_run_are_named_as_such(sketch, exhibit, tmp_path):
    run = sketch.run("SN", "A", "diverged")
    sketch.grid_of_samples(run, tmp_path / "a.png", 200)
    Image.open(tmp_path / "a.png").verify()

    (figure,) = shown(exhibit, "samples", sketch.results())

    assert figure.drawing.axes[0].get_xlabel() == "diverged"


def test_names_of_methods_stand_upright_where_they_would_overlap(sketch, exhibit):
    for i in range(30):
        sketch.run(f"a method with a long name, {i}", "C", 1.0 + i)

    axes = shown(exhibit, "bars", sketch.results())[0].drawing.axes[0]

    assert {label.get_rotation() for label in axes.get_xticklabels()} == {90.0}


def test_curves_of_many_methods_are_spread_over_figures(sketch, exhibit):
    for i in range(20):
        run = sketch.run(f"m{i}", "C", 1.0)
        sketch.curves += [(run, update, "loss_d", float(i + update)) for update in (0, 10)]

    figures = [r for r in shown(exhibit, "curves", sketch.results()) if isinstance(r, Figure)]

    assert [figure.name for figure in figures] == ["training_1", "training_2"]
    starts = [
        [line.get_ydata()[0] for line in figure.drawing.axes[0].lines if len(line.get_ydata())]
        for figure in figures
    ]
    assert starts == [[float(i) for i in range(10)], [float(i) for i in range(10, 20)]]


def test_samples_of_many_methods_at_one_setting_stand_in_rows(sketch, exhibit, tmp_path):
    for i in range(9):
        sketch.grid_of_samples(sketch.run(f"m{i}", "C", 1.0), tmp_path / f"{i}.png", 200)

    (figure,) = shown(exhibit, "samples", sketch.results())

    shown_axes = [axes for axes in figure.drawing.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown_axes] == [f"m{i}" for i in range(9)]
    assert figure.drawing.get_figwidth() > figure.drawing.get_figheight()
