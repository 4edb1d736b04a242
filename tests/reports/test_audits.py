"""What audits say of discriminators, in numbers that can be worked out by hand."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from lipbench.reporting import Figure, Omitted, Table
from lipbench.reporting.style import RC

ALL = ["bounds", "layers", "spectra", "sigmas", "gradients", "overfitting", "score_and_bound"]


@pytest.fixture
def show(exhibit):
    """Return what an exhibit shows of a study, by the results' kind."""

    def of(name, results, kind=(Table, Figure, Omitted)):
        return [result for result in exhibit(name).show(results) if isinstance(result, kind)]

    return of


def words(entries):
    """Return the texts of a table's row."""
    return [getattr(entry, "text", entry) for entry in entries]


def test_an_entry_is_the_median_over_the_newest_audits_of_all_runs(sketch, show):
    first = sketch.run("SN", "A", 9.0)
    sketch.run("SN", "B", 5.0, 0)
    second = sketch.run("SN", "B", 5.0, 1)
    third = sketch.run("SN", "B", 5.0, 2)
    sketch.audit(first, 200, upper_bound=1.0)
    sketch.audit(second, 100, upper_bound=2.0)
    sketch.audit(second, 200, upper_bound=3.0)
    sketch.audit(third, 200, upper_bound=None)

    (table,) = show("bounds", sketch.results(), Table)

    assert (table.rows[0][0].detail, table.rows[0][0].runs) == ("3 runs", (first, second, third))
    upper = table.rows[0][5]
    assert (upper.text, upper.detail, upper.runs) == ("2", "1–3, 2 runs", (first, second))
    assert table.raw["run_id"].tolist() == [first, second, third]
    assert table.raw["upper_bound"].tolist()[:2] == [1.0, 3.0]
    assert "3 of 4 runs, each with its newest audit (update 200)." in table.notes


def test_a_median_may_be_infinite_and_leaves_out_what_is_not_known(sketch, show):
    for seed, bound in enumerate(["inf", "inf", 2.0, "nan"]):
        sketch.audit(sketch.run("SN", "A", 5.0, seed), upper_bound=bound)

    (table,) = show("bounds", sketch.results(), Table)

    assert (table.rows[0][5].text, table.rows[0][5].detail) == ("∞", "2–∞, 3 runs")


def test_a_run_without_a_score_is_shown_and_told(sketch, show):
    sketch.audit(sketch.run("SN", "A", "running"), 100)
    sketch.audit(sketch.run("SN", "B", "out_of_memory"), 200)

    (table,) = show("bounds", sketch.results(), Table)

    assert table.raw["setting"].tolist() == ["A", "B"]
    assert "Of these, not completed: 1 running, 1 out of memory." in table.notes
    assert any("(update 100 to 200)" in note for note in table.notes)


def test_methods_that_are_not_audited_are_named(sketch, show):
    sketch.audit(sketch.run("SN", "A", 5.0))
    sketch.run("WN", "B", 5.0)

    (table,) = show("bounds", sketch.results(), Table)

    assert table.raw["method"].tolist() == ["SN"]
    assert "Without such an audit: WN." in table.notes


@pytest.mark.parametrize("name", ALL)
def test_without_audits_the_command_that_makes_them_is_named(sketch, show, name):
    sketch.run("SN", "A", 5.0)

    (omitted,) = show(name, sketch.results())

    assert "`lipbench audit RUN`" in omitted.reason


@pytest.mark.parametrize("name", ALL)
def test_an_audit_that_holds_little_is_shown_as_far_as_it_goes(sketch, show, name):
    sketch.audits[sketch.run("SN", "A", 5.0)] = [{"update": 10}]

    results = show(name, sketch.results())

    assert results
    for result in results:
        rows = result.rows if isinstance(result, Table) else []
        assert not {"nan", "None"} & {word for row in rows for word in words(row)}


def test_bounds_are_written_from_both_sides(sketch, show):
    sketch.audit(sketch.run("SN", "A", 5.0))

    (table,) = show("bounds", sketch.results(), Table)

    assert words(table.rows[0]) == ["SN", "0.5", "0.25", "0.75", "1", "4", "1", "25"]


def test_a_method_without_an_upper_bound_has_a_dash_and_the_reason(sketch, show):
    for method, reason in [
        ("BN", "it uses the batch"),
        ("LN", "it divides"),
        ("GN", "it divides"),
    ]:
        sketch.audit(
            sketch.run(method, "A", 5.0),
            upper_bound=None,
            upper_bound_kernel=None,
            tightness=None,
            no_upper_bound=[reason],
        )

    table, figure = show("bounds", sketch.results())

    marks = [(row[5].text, row[5].mark) for row in table.rows]
    assert marks == [("—", "a"), ("—", "b"), ("—", "b")]
    assert "a: no upper bound, since it uses the batch." in table.notes
    assert "b: no upper bound, since it divides." in table.notes
    texts = [text.get_text() for text in figure.drawing.axes[0].texts]
    assert texts == ["no upper bound"] * 3


def test_layers_of_one_kind_give_one_reason_and_the_numbers_file_names_each(sketch, show):
    reasons = [f"norm{i} (BatchNorm2d): it divides: no constant" for i in range(3)]
    reasons.append("its graph cannot be traced: it branches")
    sketch.audit(sketch.run("BN", "A", 5.0), upper_bound=None, no_upper_bound=reasons)

    (table,) = show("bounds", sketch.results(), Table)

    assert table.rows[0][5].mark == "a,b"
    assert table.notes[-2:] == (
        "a: no upper bound, since BatchNorm2d: it divides: no constant.",
        "b: no upper bound, since its graph cannot be traced: it branches.",
    )
    assert table.raw["no_upper_bound"][0] == "; ".join(reasons)


def test_a_discriminator_of_batches_has_no_bounds_and_is_named(sketch, show):
    nothing = {"per_image": False, "lower_bounds": {}, "lower_bound": None, "upper_bound": None}
    sketch.audit(sketch.run("MB stddev", "A", 5.0), upper_bound_kernel=None, **nothing)

    table, omitted = show("bounds", sketch.results())

    assert words(table.rows[0])[1:7] == ["—"] * 6
    assert any(note.startswith("No bounds of MB stddev: ") for note in table.notes)
    assert "no audited discriminator has a finite bound" in omitted.reason


def test_infinite_and_missing_numbers_are_read_from_their_words(sketch, show):
    bounds = {"real": "inf", "fake": "nan", "attack": 2.5}
    sketch.audit(sketch.run("SN", "A", 5.0), lower_bounds=bounds, upper_bound="inf")

    (table,) = show("bounds", sketch.results(), Table)

    assert words(table.rows[0])[1:6] == ["∞", "—", "—", "2.5", "∞"]
    assert table.raw["lower_bound_real"].tolist() == [math.inf]


def test_a_figure_of_bounds_has_a_point_a_run_and_spans_the_medians(sketch, show):
    for seed, (low, high) in enumerate([(0.5, 8.0), (0.25, 4.0), (1.0, 16.0)]):
        sketch.audit(sketch.run("SN", "A", 5.0, seed), lower_bound=low, upper_bound=high)

    (figure,) = show("bounds", sketch.results(), Figure)

    axes = figure.drawing.axes[0]
    assert axes.get_xscale() == "log"
    (span,) = [line for line in axes.lines if line.get_linewidth() == 5]
    assert list(span.get_xdata()) == [0.5, 8.0]
    lower, upper, kernels = axes.collections
    assert lower.get_offsets()[:, 0].tolist() == [0.25, 0.5, 1.0]
    assert upper.get_offsets()[:, 0].tolist() == [4.0, 8.0, 16.0]
    assert kernels.get_offsets()[:, 0].tolist() == [1.0, 1.0, 1.0]
    method, hovers = upper.lipbench_tag
    assert (method, hovers[0]) == ("SN", "SN, A, seed 1: upper bound 4")
    assert axes.get_xlim()[0] < 0.25
    assert axes.get_xlim()[1] > 16


def test_bounds_at_several_settings_are_a_map_of_medians(sketch, show):
    for setting, bounds in (("A", (1.0, 2.0, 9.0)), ("B", (4.0,))):
        for seed, bound in enumerate(bounds):
            sketch.audit(sketch.run("SN", setting, 5.0, seed), lower_bound=bound)

    _, by_setting = show("bounds", sketch.results(), Figure)

    assert by_setting.raw[["setting", "median", "count"]].values.tolist() == [
        ["A", 2.0, 3],
        ["B", 4.0, 1],
    ]
    marks = [patch.lipbench_tag for patch in by_setting.drawing.axes[0].patches]
    assert marks[0] == ("SN", ["SN, A: median 2, range 1–9 of 3 runs"])


def test_of_many_runs_some_are_drawn_with_both_ends(sketch, show):
    for seed in range(1200):
        sketch.audit(sketch.run("SN", "A", 5.0, seed), lower_bound=1.0 + seed)

    (figure,) = show("bounds", sketch.results(), Figure)

    drawn = figure.drawing.axes[0].collections[0].get_offsets()[:, 0]
    assert (len(drawn), min(drawn), max(drawn)) == (1000, 1.0, 1200.0)
    assert any(note.startswith("Of more than 1000 runs of a method") for note in figure.notes)
    assert len(figure.raw) == 1200


def test_kernels_at_one_under_larger_operators_are_told_in_numbers(sketch, show, layer_of):
    layers = [
        layer_of("a", sigma_kernel=1.001, sigma_operator=2.38),
        layer_of("b", sigma_kernel=0.9, sigma_operator=1.2),
    ]
    sketch.audit(sketch.run("SN", "A", 5.0), layers=layers, upper_bound=16.4)
    sketch.audit(sketch.run("none", "A", 5.0), layers=[layer_of("a", sigma_kernel=3.0)])
    orthogonal = [layer_of("a", sigma_operator=1.0)]
    sketch.audit(sketch.run("Cayley", "A", 5.0), layers=orthogonal)

    (table,) = show("bounds", sketch.results(), Table)

    (told,) = [note for note in table.notes if note.startswith("So kernels near 1")]
    assert told == (
        "So kernels near 1 do not make a network 1-Lipschitz. SN: every kernel's sigma is at most "
        "1.01, but the operator norms of its layers are 1.2 to 2.38, and the upper bound that "
        "follows is 16.4."
    )


def test_kernels_that_an_estimate_divides_are_told_of_where_it_lags(sketch, show, layer_of):
    lagging = {"sigma_kernel": 1.4, "sigma_original": 2.8, "sigma_estimate": 2.0}
    sketch.audit(sketch.run("SN", "A", 5.0), layers=[layer_of("a", **lagging)])
    of_the_map = layer_of("a", sigma_kernel=1.3, sigma_operator=1.05)
    sketch.audit(sketch.run("Conv SN", "A", 5.0), layers=[of_the_map, layer_of("b", **lagging)])
    at_its_kernel = [layer_of("a", **lagging, sigma_operator=1.5)]
    sketch.audit(sketch.run("SN of D", "A", 5.0), layers=at_its_kernel)

    (table,) = show("bounds", sketch.results(), Table)

    (told,) = [note for note in table.notes if note.startswith("So kernels near 1")]
    assert "SN: every kernel's sigma is at most 1.40, but the operator norms" in told
    assert told.count("every kernel") == 1


def test_ranks_are_of_layers_with_several_outputs(sketch, show, layer_of):
    head = layer_of("head", spectrum_kernel=[1.0], effective_rank=1.0, stable_rank=1.0)
    conv = layer_of("conv", effective_rank=7.0, stable_rank=6.0)
    sketch.audit(sketch.run("SN", "A", 5.0), layers=[conv, head])

    (table,) = show("layers", sketch.results(), Table)

    assert words(table.rows[0])[-2:] == ["7", "6"]


def test_a_layer_without_a_matrix_has_no_kernels_facts_and_the_others_count(
    sketch, show, layer_of
):
    of_weight = ("sigma_kernel", "effective_rank", "stable_rank", "spectrum_kernel")
    layers = [
        layer_of("a", **dict.fromkeys(of_weight)),
        layer_of("b", sigma_kernel=0.5, sigma_operator=3.0),
    ]
    sketch.audit(sketch.run("Cayley", "A", 5.0), layers=layers)

    table, figure = show("layers", sketch.results())

    assert words(table.rows[0]) == ["Cayley", "2", "0.5", "2.5", "1.5", "1.25"]
    assert table.rows[0][3].detail == "2–3"
    assert table.raw["layer"].tolist() == ["a", "b"]
    assert table.raw["sigma_kernel"].isna().tolist() == [True, False]
    assert any("without a weight matrix" in note for note in table.notes)
    assert figure.raw[["layer", "median"]].values.tolist() == [["a", 2.0], ["b", 3.0]]


def test_spectra_are_squared_and_scaled_to_one_with_the_range_over_runs(sketch, show, layer_of):
    head = layer_of("head", spectrum_kernel=[3.0], spectrum_circular=None)
    layers = [layer_of("conv", spectrum_kernel=[4.0, 2.0, 1.0]), head]
    flat = [layer_of("conv", spectrum_kernel=[2.0, 2.0, 1.0]), head]
    sketch.audit(sketch.run("SN", "A", 5.0), layers=layers)
    sketch.audit(sketch.run("SN", "A", 5.0, 1), layers=flat)
    sketch.audit(sketch.run("WN", "A", 5.0), layers=layers)

    kernel, circular = show("spectra", sketch.results())

    (axes,) = kernel.drawing.axes
    assert axes.get_title() == "conv"
    assert [list(line.get_ydata()) for line in axes.lines] == [
        [1.0, 0.625, 0.15625],
        [1.0, 0.25, 0.0625],
    ]
    (band,) = axes.collections
    assert band.lipbench_tag[0] == "SN"
    of_sn = kernel.raw[kernel.raw["method"] == "SN"]
    assert of_sn[["low", "high"]].values.tolist() == [[1, 1], [0.25, 1], [0.0625, 0.25]]
    assert of_sn["runs"].tolist() == [2, 2, 2]
    assert "medians over runs" in kernel.caption
    assert list(circular.drawing.axes[0].lines[0].get_xdata()) == [0.0, 0.5, 1.0]
    assert "medians over runs" not in circular.caption


def test_a_layer_of_a_wrapped_network_stands_in_the_panel_of_the_plain_one(sketch, show, layer_of):
    sketch.audit(sketch.run("GN", "A", 5.0), layers=[layer_of("inner.conv0")])
    sketch.audit(sketch.run("SN", "A", 5.0), layers=[layer_of("conv0")])
    sketch.audit(sketch.run("MD", "A", 5.0), layers=[layer_of("0"), layer_of("1.0")])

    figure = show("spectra", sketch.results())[0]

    panels = {axes.get_title(): len(axes.lines) for axes in figure.drawing.axes}
    assert {name: count for name, count in panels.items() if count} == {
        "conv0": 2,
        "0": 1,
        "1.0": 1,
    }


@pytest.mark.parametrize("name", ["spectra", "sigmas", "bounds", "gradients", "score_and_bound"])
def test_many_methods_are_spread_over_figures(sketch, show, name):
    for i in range(55):
        run = sketch.run(f"m{i}", "C", 1.0 + i)
        sketch.audit(run, 10)
        sketch.audit(run, 20)

    figures = show(name, sketch.results(), Figure)

    assert len({figure.name for figure in figures}) == len(figures) > 1
    rows = pd.concat([figure.raw for figure in figures if "circular" not in figure.name])
    assert list(dict.fromkeys(rows["method"])) == [f"m{i}" for i in range(55)]


def test_sigma_is_drawn_over_updates_as_the_median_of_all_runs(sketch, show, layer_of):
    for seed, (start, end) in enumerate([(1.3, 1.1), (1.5, 1.2), (1.4, 1.9)]):
        run = sketch.run("SN", "A", 5.0, seed)
        for update, sigma in ((10, start), (20, end)):
            sketch.audit(run, update, layers=[layer_of("conv0", sigma_kernel=sigma)])
    sketch.audit(sketch.run("none", "A", 5.0), layers=[layer_of("conv0", sigma_kernel=7.0)])

    figure, omitted = show("sigmas", sketch.results())

    assert [axes.get_title() for axes in figure.drawing.axes] == ["SN"]
    line, one = figure.drawing.axes[0].lines
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([10, 20], [1.4, 1.2])
    assert list(one.get_ydata()) == [1, 1]
    assert figure.raw[["runs", "low", "high"]].values.tolist() == [[3, 1.3, 1.5], [3, 1.1, 1.9]]
    assert line.lipbench_tag == ("SN", ["SN, conv0: median of 3 runs"])
    assert "no audited method estimates its sigma" in omitted.reason


def test_the_legend_of_many_layers_fits_into_a_figure_of_one_panel(sketch, show, layer_of):
    run = sketch.run("SN", "A", 5.0)
    for update in (10, 20):
        layers = [layer_of(f"body.conv{i}", sigma_kernel=1.1) for i in range(8)]
        sketch.audit(run, update, layers=layers)

    with plt.rc_context(RC):
        figure, _ = show("sigmas", sketch.results())
        figure.drawing.canvas.draw()

    (legend,) = figure.drawing.legends
    box = legend.get_window_extent()
    assert len(legend.get_texts()) == 8
    assert box.x0 >= 0
    assert box.x1 <= figure.drawing.bbox.width


def test_a_lag_is_the_excess_over_the_estimate(sketch, show, layer_of):
    run = sketch.run("SN", "A", 5.0, 3)

    def layers(*exact):
        return [
            layer_of(f"conv{i}", sigma_kernel=s / 2, sigma_original=s, sigma_estimate=2.0)
            for i, s in enumerate(exact)
        ]

    sketch.audit(run, 10, layers=layers(2.0, 2.5))
    sketch.audit(run, 20, layers=layers(2.1, 2.0))
    sketch.audit(sketch.run("SN", "B", 5.0), 20, layers=layers(2.2))

    figure, table = show("sigmas", sketch.results())

    assert words(table.rows[0]) == ["SN", "1.25", "+5.0%", "+25.0%", "conv1"]
    assert (table.rows[0][4].detail, table.rows[0][4].runs) == ("A, seed 3, update 10", (run,))
    assert table.raw["lag"].tolist() == pytest.approx([0.0, 0.25, 0.05, 0.0, 0.1])
    low, high = figure.drawing.axes[0].get_ylim()
    assert low < 1 < high


def test_gradients_are_a_point_a_run_over_the_range_of_the_norms(sketch, show):
    sketch.audit(sketch.run("SN", "A", 5.0))
    twice = {"mean": 2.0, "quantiles": [q / 10 for q in range(21)]}
    kinds = ("real", "fake", "interpolates")
    sketch.audit(sketch.run("SN", "A", 5.0, 1), gradient_norms=dict.fromkeys(kinds, twice))

    (figure,) = show("gradients", sketch.results())

    norms, saturated = figure.drawing.axes
    points = [sorted(each.get_offsets()[:, 0]) for each in norms.collections]
    assert points == [pytest.approx([0.5, 1.0])] * 3
    ranges = [line for line in norms.lines if line.get_linewidth() == 0.7]
    assert [list(line.get_xdata()) for line in ranges] == [pytest.approx([0.075, 1.425])] * 3
    share, dead = saturated.collections
    assert share.get_offsets()[:, 0].tolist() == pytest.approx([0.6, 0.6])
    assert dead.get_offsets()[:, 0].tolist() == pytest.approx([0.2, 0.2])
    assert figure.raw["norm_fake_q25"].tolist() == pytest.approx([0.25, 0.5])
    assert figure.raw["saturation_dead"].tolist() == pytest.approx([0.2, 0.2])


def test_gradients_that_are_all_zero_are_not_drawn(sketch, show):
    nothing = {"n": 8, "mean": 0.0, "std": 0.0, "quantiles": [0.0] * 21}
    sketch.audit(sketch.run("WC", "A", 5.0), gradient_norms={"real": nothing})

    (omitted,) = show("gradients", sketch.results())

    assert omitted == Omitted("no audit has a gradient that is not 0")


def test_losses_on_train_are_dashed_and_on_held_out_images_solid(sketch, show):
    run = sketch.run("SN", "A", 5.0)
    for update, train, heldout in ((10, 1.0, 1.1), (20, 0.5, 1.2)):
        sketch.audit(run, update, loss_train=train, loss_heldout=heldout)
    sketch.audit(sketch.run("WN", "A", 5.0))

    figure, table = show("overfitting", sketch.results())

    (axes,) = figure.drawing.axes
    assert [(line.get_linestyle(), list(line.get_ydata())) for line in axes.lines] == [
        ("--", [1.0, 0.5]),
        ("-", [1.1, 1.2]),
    ]
    heldout = figure.raw[figure.raw["of"] == "held-out samples"]
    assert heldout["median"].tolist() == [1.1, 1.2]
    assert table.raw["loss_train"].tolist() == [0.5, 1.0]


def test_a_gap_is_that_of_the_newest_audit(sketch, show):
    run = sketch.run("SN", "A", 5.0)
    logits = {"train": {"mean": 2.0}, "heldout": {"mean": -1.0}}
    sketch.audit(run, 10, overfitting_gap=9.0)
    facts = {"overfitting_gap": 3.0, "loss_train": None, "loss_heldout": None}
    sketch.audit(run, 20, logits=logits, **facts)

    omitted, table = show("overfitting", sketch.results())

    assert "no curve of D's loss" in omitted.reason
    assert words(table.rows[0]) == ["SN", "2", "-1", "—", "3", "—", "—"]


def test_a_point_is_a_completed_run_with_its_newest_audit(sketch, show):
    first = sketch.run("SN", "A", 5.0, 0)
    second = sketch.run("SN", "B", 6.0, 1)
    sketch.audit(first, 10, lower_bound=9.0)
    sketch.audit(first, 20, lower_bound=1.0, upper_bound=4.0)
    sketch.audit(second, 20, lower_bound=2.0, upper_bound=None)
    sketch.audit(sketch.run("WN", "A", "diverged", fd_digits=3.0))

    (figure,) = show("score_and_bound", sketch.results())

    assert figure.raw["run_id"].tolist() == [first, second]
    lower, upper = figure.drawing.axes
    assert lower.collections[0].get_offsets().ravel().tolist() == pytest.approx([1, 5, 2, 6])
    assert upper.collections[0].get_offsets().ravel().tolist() == pytest.approx([4, 5])
    assert lower.collections[0].lipbench_tag[1][1] == "SN, B, seed 1: 6, bound 2"
