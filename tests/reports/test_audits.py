"""What audits say of discriminators, in numbers that can be worked out by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from lipbench.reporting import Figure, Omitted, Table

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


def test_the_newest_audit_at_the_best_setting_is_shown(sketch, show):
    worse = sketch.run("SN", "A", 9.0)
    unaudited = sketch.run("SN", "B", 5.0, 0)
    best = sketch.run("SN", "B", 5.0, 1)
    last = sketch.run("SN", "B", 5.0, 2)
    sketch.audit(worse, upper_bound=1.0)
    sketch.audit(best, 100, upper_bound=2.0)
    sketch.audit(best, 200, upper_bound=3.0)
    sketch.audit(last, 200, upper_bound=4.0)
    assert unaudited not in sketch.audits

    (table,) = show("bounds", sketch.results(), Table)

    assert table.rows[0][0].detail == "B, seed 1, update 200"
    assert table.raw[["run_id", "update", "upper_bound"]].values.tolist() == [[best, 200, 3.0]]


def test_at_the_only_setting_a_method_without_a_score_is_shown_too(sketch, show):
    sketch.audit(sketch.run("SN", "A", "running"), 100)
    assert show("bounds", sketch.results(), Table)[0].raw["method"].tolist() == ["SN"]

    sketch.run("SN", "B", "queued")
    assert show("bounds", sketch.results(), Table) == []


def test_methods_that_are_not_shown_are_named(sketch, show):
    sketch.audit(sketch.run("SN", "A", 5.0))
    sketch.run("WN", "B", 5.0)
    sketch.audit(sketch.run("none", "B", "diverged"))

    (table,) = show("bounds", sketch.results(), Table)

    assert table.raw["method"].tolist() == ["SN"]
    assert "Not audited there: WN." in table.notes
    assert "Not shown, for want of a setting with a finite score: none." in table.notes


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

    assert words(table.rows[0]) == ["SN", "0.5", "0.25", "0.75", "1", "4", "1", "25%"]


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


def test_a_figure_of_bounds_spans_the_lower_and_the_upper_one(sketch, show):
    sketch.audit(sketch.run("SN", "A", 5.0), lower_bound=0.5, upper_bound=8.0)

    (figure,) = show("bounds", sketch.results(), Figure)

    axes = figure.drawing.axes[0]
    assert axes.get_xscale() == "log"
    (span,) = [line for line in axes.lines if line.get_linewidth() == 4]
    assert (list(span.get_xdata()), list(span.get_ydata())) == ([0.5, 8.0], [0, 0])
    assert figure.raw[["lower_bound", "upper_bound"]].values.tolist() == [[0.5, 8.0]]
    assert axes.get_xlim()[0] < 0.25
    assert axes.get_xlim()[1] > 8


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

    (table,) = show("layers", sketch.results())

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

    (table,) = show("layers", sketch.results())

    assert words(table.rows[0]) == ["Cayley", "2", "0.5", "2–3", "1.5", "1.25"]
    assert table.raw["layer"].tolist() == ["a", "b"]
    assert table.raw["sigma_kernel"].isna().tolist() == [True, False]
    assert any("some have no weight matrix" in note for note in table.notes)


def test_spectra_are_squared_and_scaled_to_one(sketch, show, layer_of):
    head = layer_of("head", spectrum_kernel=[3.0], spectrum_circular=None)
    layers = [layer_of("conv", spectrum_kernel=[4.0, 2.0, 1.0]), head]
    sketch.audit(sketch.run("SN", "A", 5.0), layers=layers)
    sketch.audit(sketch.run("WN", "A", 5.0), layers=layers)

    kernel, circular = show("spectra", sketch.results())

    (axes,) = kernel.drawing.axes
    assert axes.get_title() == "conv"
    assert [list(line.get_ydata()) for line in axes.lines] == [[1.0, 0.25, 0.0625]] * 2
    assert kernel.raw["squared_scaled"].tolist() == [1.0, 0.25, 0.0625] * 2
    assert kernel.raw["singular_value"].tolist() == [4.0, 2.0, 1.0] * 2
    (line, _) = circular.drawing.axes[0].lines
    assert list(line.get_xdata()) == [0.0, 0.5, 1.0]
    assert list(line.get_ydata()) == [1.0, 0.25, 0.0625]


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


def test_sigma_is_drawn_over_the_updates_of_one_run(sketch, show, layer_of):
    run = sketch.run("SN", "A", 5.0)
    for update, sigma in ((10, 1.3), (20, 1.1)):
        sketch.audit(run, update, layers=[layer_of("conv0", sigma_kernel=sigma)])
    sketch.audit(sketch.run("none", "A", 5.0), layers=[layer_of("conv0", sigma_kernel=7.0)])

    figure, omitted = show("sigmas", sketch.results())

    assert [axes.get_title() for axes in figure.drawing.axes] == ["SN"]
    line, one = figure.drawing.axes[0].lines
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([10, 20], [1.3, 1.1])
    assert list(one.get_ydata()) == [1, 1]
    assert figure.raw["sigma_kernel"].tolist() == [1.3, 1.1]
    assert "no audited method estimates its sigma" in omitted.reason


def test_a_lag_is_the_largest_excess_over_the_estimate(sketch, show, layer_of):
    run = sketch.run("SN", "A", 5.0)

    def layers(*exact):
        return [
            layer_of(f"conv{i}", sigma_kernel=s / 2, sigma_original=s, sigma_estimate=2.0)
            for i, s in enumerate(exact)
        ]

    sketch.audit(run, 10, layers=layers(2.0, 2.5))
    sketch.audit(run, 20, layers=layers(2.1, 2.0))

    figure, table = show("sigmas", sketch.results())

    assert words(table.rows[0]) == ["SN", "2", "1.25", "+25.0%", "conv1, update 10"]
    assert table.raw["lag"].tolist() == pytest.approx([0.0, 0.25, 0.05, 0.0])
    low, high = figure.drawing.axes[0].get_ylim()
    assert low < 1 < high


def test_boxes_hold_the_middle_half_and_bars_the_mean_saturation(sketch, show):
    sketch.audit(sketch.run("SN", "A", 5.0))

    (figure,) = show("gradients", sketch.results())

    norms, saturated = figure.drawing.axes
    assert [(bar.get_x(), bar.get_width()) for bar in norms.patches] == [(0.25, 0.5)] * 3
    whiskers = [line for line in norms.lines if line.get_linewidth() == 0.6]
    assert [list(line.get_xdata()) for line in whiskers] == [pytest.approx([0.05, 0.95])] * 3
    assert [bar.get_width() for bar in saturated.patches] == pytest.approx([0.6, 0.2])
    numbers = figure.raw.set_index(["of", "what"])["value"]
    assert numbers["gradient norm, fake", "quantile 0.25"] == 0.25
    assert numbers["saturation, body.activation1", "dead"] == 0.3


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
    assert figure.raw["loss_heldout"].tolist() == [1.1, 1.2]
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
    points = [line for line in lower.lines if len(line.get_xdata())]
    assert [list(p.get_xdata()) + list(p.get_ydata()) for p in points] == [[1.0, 2.0, 5.0, 6.0]]
    points = [line for line in upper.lines if len(line.get_xdata())]
    assert [list(p.get_xdata()) + list(p.get_ydata()) for p in points] == [[4.0, 5.0]]
