"""What a report says of a study's trials, and of its best configurations run again."""

from __future__ import annotations

import dataclasses
import math
import re

import pandas as pd
import pytest

from lipbench.planning.tuning import Objective, Parameter
from lipbench.reporting import Figure, Omitted, Table, compose, exhibits, render

NAMES = {type(e).__module__.rpartition(".")[2]: e.reads for e in exhibits()}
OF_TRIALS = sorted(name for name, reads in NAMES.items() if reads == "trials")
OF_RUNS = sorted(set(NAMES) - set(OF_TRIALS))
SPEED = Objective("seconds_per_update", "s/update", False, if_diverged=1.0, decimals=3)
LR = {"lr": 1e-3}


@pytest.fixture
def show(exhibit):
    """Return what an exhibit shows of a study."""
    return lambda name, results: list(exhibit(name).show(results))


def texts(table):
    """Return a table's entries, each with its mark and small print."""
    return [
        [
            e if isinstance(e, str) else " ".join(filter(None, (e.text + e.mark, e.detail)))
            for e in r
        ]
        for r in table.rows
    ]


def words(folder):
    """Return what a reader of the page sees."""
    html = (folder / "index.html").read_text(encoding="utf-8")
    return re.sub(r"<[^>]+>", " ", re.sub(r"<(style|script)\b.*?</\1>", "", html, flags=re.S))


@pytest.mark.parametrize("name", OF_TRIALS)
def test_an_ordinary_report_has_no_section_on_trials(sketch, show, name):
    sketch.run("SN", "A", 7.0)

    assert show(name, sketch.results()) == []


def test_a_section_without_parts_is_none(sketch):
    sketch.run("SN", "A", 7.0)

    page = compose(sketch.results(), exhibits())["index.html"].decode()

    assert "Tuned methods" not in page
    assert "Robustness" in page


STATES = {
    "nothing": (),
    "queued": ("queued",),
    "failed": ("failed", "out_of_memory"),
    "pruned": ("pruned",),
    "diverged": ("diverged",),
    "one": (7.0,),
    "mixed": ("pruned", "diverged", 9.0, "failed", 8.0, "running", "queued"),
}


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("state", STATES)
def test_a_study_in_any_state_renders_without_a_nan(searching, tmp_path, state, several):
    if several:
        both = (*searching.tuning.objectives, SPEED)
        searching.tuning = dataclasses.replace(searching.tuning, objectives=both)
    for value in STATES[state]:
        of_both = {"fd_digits": value, "seconds_per_update": 0.1}
        scored = several and not isinstance(value, str)
        searching.trial("SN", of_both if scored else value, params=LR, intermediate=30.0)

    render(searching.results(["SN", "WN"]), tmp_path / "report")

    page = words(tmp_path / "report")
    assert not re.search(r"\b(nan|None|NaT|inf)\b|<NA>", page)
    assert "no confirmation runs yet" in page
    assert ("no trials yet" in page) == (state == "nothing")
    assert "Robustness" not in page


@pytest.mark.parametrize("name", OF_RUNS)
def test_no_exhibit_minds_that_nothing_was_run_again(searching, show, name):
    searching.trial("SN", 7.0, params=LR)

    for result in show(name, searching.results()):
        assert isinstance(result, (Omitted, Table))


@pytest.mark.slow
def test_a_realistic_study_renders_whole(tuned, tmp_path):
    folder = render(tuned(), tmp_path / "report").parent

    page = words(folder)
    assert "200 trials: 138 completed, 50 pruned, 6 diverged, 6 failed; 48 confirmation" in page
    assert "lr in [1e-05, 0.01], log; beta1 in [0, 0.9]; n_dis in [1, 5]" in page
    assert "WN also: weight_norm.scale in {None, 1.0, 2.0}" in page
    assert len(pd.read_csv(folder / "trials.csv")) == 200
    assert len(pd.read_csv(folder / "tables/tuning_ranking.csv")) == 4 * 4
    assert {p.stem for p in folder.glob("figures/tuning_*.pdf")} == {
        "tuning_progress",
        "tuning_budget",
        "tuning_importance",
        "tuning_slices",
        "tuning_parallel",
    }
    assert "Robustness" not in page


def test_many_methods_are_drawn_in_several_figures(tuned, show):
    many = tuned(methods=[f"Method {i}" for i in range(16)], trials=4, seeds=(0,), confirmed=0)

    assert [figure.name for figure in show("tuning_progress", many)] == [
        *("tuning_progress_1", "tuning_progress_2", "tuning_budget_1", "tuning_budget_2"),
    ]
    assert [figure.name for figure in show("tuning_trials", many)] == [
        *(f"tuning_slices_{i}" for i in (1, 2, 3, 4)),
        *(f"tuning_parallel_{i}" for i in (1, 2, 3, 4)),
    ]
    assert all(len(t.rows) == 16 for t in show("tuned", many) if isinstance(t, Table))


def test_the_best_configuration_is_shown_by_what_fresh_seeds_gave(searching, show):
    for value in (9.0, 7.0, "diverged", "failed"):
        searching.trial("SN", value, params=LR)
    searching.trial("WN", 6.5, params={"lr": 2e-4})
    searching.confirm("SN", 1, (8.0, 9.0, 10.0))
    searching.confirm("WN", 0, (9.0, 9.5, 10.0))

    best, trials = show("tuned", searching.results())

    assert texts(best) == [
        ["SN", "9.00 ± 1.00 3 runs", "7.00 trial 1", "+2.00", "lr 0.001"],
        ["WN", "9.50 ± 0.50 3 runs", "6.50 trial 0", "+3.00", "lr 0.0002"],
    ]
    assert [row[1].best for row in best.rows] == [True, False]
    assert best.raw["configuration"].tolist() == ['{"lr": 0.001}', '{"lr": 0.0002}']
    assert texts(trials)[0] == ["SN", "4", "2", "0", "1", "1", "0", "5,000", "0.025"]


def test_a_search_that_was_not_run_again_is_marked_as_optimistic(searching, show):
    searching.trial("SN", 7.0, params=LR)
    searching.trial("WN", "diverged", params=LR)

    best, _ = show("tuned", searching.results())

    assert best.columns == ("Method", "In the search", "Configuration")
    assert texts(best) == [["SN", "7.00* trial 0", "lr 0.001"], ["WN", "—", "—"]]
    (note,) = best.notes
    assert note.startswith("* One run, chosen for being the best of its trials: optimistic.")


def test_diverged_and_missing_confirmations_are_told(searching, show):
    for method in ("SN", "WN"):
        searching.trial(method, 7.0, params=LR)
    searching.confirm("SN", 0, (8.0, 10.0, "diverged", "failed"))
    searching.confirm("WN", 0, ("queued", "running"))

    best, _ = show("tuned", searching.results())

    assert texts(best)[0][1] == "406.00 ± 687.62† 1 of 3 diverged, else 9.00 ± 1.41"
    assert texts(best)[1][1] == "incomplete†"
    assert not any(row[1].best for row in best.rows)
    assert any(
        "A diverged run counts as it did in the search: as 1,200.00." in n for n in best.notes
    )


def test_a_method_with_a_collapsed_confirmation_is_not_the_best(searching, show):
    for method, value in (("SN", 5.0), ("WN", 8.0)):
        searching.trial(method, value)
        searching.confirm(method, 0, [value, value + 1, value + 2])
    searching.rows[0]["collapsed"] = True

    best = show("tuned", searching.results())[0]

    sn, wn = (row[1] for row in best.rows)
    assert (sn.text, sn.mark, sn.detail, sn.best) == (
        "6.00 ± 1.00",
        "§",
        "3 runs, 1 collapsed",
        False,
    )
    assert wn.best
    assert any(note.startswith("§ Some runs collapsed") for note in best.notes)


def test_the_searchs_first_is_shown_and_not_the_best_of_those_run_again(searching, show):
    searching.trial("SN", 8.0, params=LR)
    searching.trial("SN", 7.0, params=LR)
    searching.confirm("SN", 1, (11.0, 12.0))
    searching.confirm("SN", 0, (9.0, 10.0), rank=2)

    best, every, _ = show("tuned", searching.results(["SN"]))

    assert texts(best)[0][1:3] == ["11.50 ± 0.71 2 runs", "7.00 trial 1"]
    assert [row[0] for row in texts(every)] == ["SN tuned #1", "SN tuned #2"]
    assert every.raw["fd_digits_gap"].tolist() == [4.5, 1.5]


def test_of_several_objectives_the_front_is_shown(searching, show):
    both = (*searching.tuning.objectives, SPEED)
    searching.tuning = dataclasses.replace(searching.tuning, objectives=both)
    for fd, seconds in ((9.0, 0.1), (7.0, 0.2), (8.0, 0.3)):
        scored = {"fd_digits": fd, "seconds_per_update": seconds}
        searching.trial("SN", scored, params=LR)
    searching.trial("SN", "diverged", params=LR)
    searching.trial("WN", {"fd_digits": 9.0, "seconds_per_update": 0.2}, params=LR)
    searching.confirm("SN", 1, (8.0, 10.0))
    results = searching.results()

    figure, table = show("tuning_front", results)
    assert isinstance(figure, Figure)
    assert texts(table) == [
        ["SN trial 1", "7.00", "0.200", "yes", "lr 0.001"],
        ["SN trial 0", "9.00", "0.100", "yes", "lr 0.001"],
        ["WN trial 0", "9.00", "0.200", "no", "lr 0.001"],
    ]
    assert figure.raw["on_front"].sum() == 2
    every, _ = show("tuned", results)
    assert texts(every)[0][1:3] == [
        "9.00 ± 1.41 2 runs; search: 7.00",
        "0.050 ± 0.000 2 runs; search: 0.200",
    ]
    for name in ("tuning_progress", "tuning_ranking"):
        (omitted,) = show(name, results)
        assert isinstance(omitted, Omitted)
    (figure,) = show("tuning_front", dataclasses.replace(results, methods=("SN",)))[:1]
    assert set(figure.raw["method"]) == {"SN"}


def test_one_objective_has_no_front(searching, show):
    searching.trial("SN", 7.0, params=LR)

    assert show("tuning_front", searching.results()) == []


def test_progress_is_drawn_against_updates_where_no_time_is_known(searching, show):
    for value in (9.0, 7.0):
        searching.trial("SN", value, params=LR, seconds=math.nan)

    figure, budget = show("tuning_progress", searching.results())

    assert figure.drawing.axes[1].get_xlabel() == "thousand generator updates"
    assert figure.raw["best"].tolist() == [9, 7]
    (line,) = figure.drawing.axes[1].lines
    assert line.get_xdata().tolist() == [2, 4]
    assert line.lipbench_tag == ("SN", ["SN: 7.00 in the end"])
    assert budget.raw["k"].tolist() == [1, 2]
    for figure in show("tuning_progress", searching.results(["SN", "WN"])):
        assert any("No trial has a value: WN" in note for note in figure.notes)


def test_ranks_say_how_likely_each_method_is_the_best(searching, show):
    for value in (3.0, 1.0):
        searching.trial("SN", value, params=LR)
    for value in (2.0, 4.0, 1.0):
        searching.trial("WN", value, params=LR)

    (table,) = show("tuning_ranking", searching.results())

    assert table.columns == ("Method", "1 trial", "2 trials")
    assert texts(table) == [
        ["SN", "1.00 best: 75%", "1.00 best: 81%"],
        ["WN", "2.00 best: 25%", "2.00 best: 19%"],
    ]
    assert any("by their first 2 trials. Some have more: WN (3)." in n for n in table.notes)
    assert not any("exchangeable" in note for note in table.notes)
    searching.tuning = dataclasses.replace(searching.tuning, sampler="TPESampler")
    (table,) = show("tuning_ranking", searching.results())
    assert any("TPESampler learns from earlier trials" in note for note in table.notes)


def test_slices_and_lines_have_every_trial_by_its_own_parameters(sketch, show):
    loss = Parameter("loss", "categorical", choices=("hinge", None))
    margin = Parameter("gan.margin", "float", 0, 1, when={"loss": ("hinge",)})
    sketch.search({"SN": (loss, margin)})
    sketch.trial("SN", 7.0, params={"loss": "hinge", "gan.margin": 0.5})
    sketch.trial("SN", 9.0, params={"loss": None, "gan.margin": math.nan})
    sketch.trial("SN", "diverged", params={"loss": "hinge", "gan.margin": 1.0})
    sketch.trial("SN", "pruned", params={"loss": "hinge", "gan.margin": 0.1}, intermediate=30.0)
    sketch.trial("SN", "failed", params={"loss": "hinge", "gan.margin": 0.2})

    slices, lines = show("tuning_trials", sketch.results())

    assert slices.raw["value"].tolist() == [7, 9, 1200, 30]
    assert slices.raw["loss"].tolist() == ["hinge", "None", "hinge", "hinge"]
    assert slices.raw["best"].tolist() == [True, False, False, False]
    by_loss, by_margin = slices.drawing.axes
    assert [t.get_text() for t in by_loss.get_xticklabels()] == ["hinge", "None"]
    assert by_margin.get_xlabel() == "margin"
    (points,) = by_margin.collections
    places, values = points.get_offsets().T
    assert places.tolist() == pytest.approx([0.5, 1.0, 0.1])
    assert values[[0, 2]].tolist() == pytest.approx([7.0, 30.0])
    assert 30 < values[1] < by_margin.get_ylim()[1] < 1200  # diverged: at the edge
    assert [line.get_markerfacecolor() for line in by_margin.lines] == ["none"]  # the ring
    method, hovers = points.lipbench_tag
    assert method == "SN"
    assert hovers[0] == "SN, trial 0, seed 0, completed: 7.00; loss hinge, margin 0.5"
    assert len(lines.drawing.axes[0].lines) == 4
    assert lines.raw["gan.margin"].isna().tolist() == [False, True, False, False]


@pytest.mark.slow
def test_importance_needs_trials(searching, show, tuned):
    searching.trial("SN", 7.0, params=LR)
    (omitted,) = show("tuning_importance", searching.results())
    assert "fewer than 10 trials have a value" in omitted.reason

    results = tuned(methods=("SN", "WN"), confirmed=0)
    (figure,) = show("tuning_importance", results)
    assert set(figure.raw["method"]) == {"SN", "WN"}
    assert figure.raw["share"].between(0, 1).all()
    assert any("WN: weight_norm.margin" in note for note in figure.notes)


def test_the_head_of_the_page_says_how_was_searched(searching, tmp_path):
    searching.tuning = dataclasses.replace(
        searching.tuning,
        search={**searching.tuning.search, "WN": (Parameter("n_dis", "int", 1, 5),)},
        sampler="TPESampler",
        sampler_options={"multivariate": True},
        pruner="MedianPruner",
        budget="generator_updates",
        amount=50_000,
        seeds=(0, 1),
        configurations=3,
        notes=("TPE models no condition.",),
    )

    render(searching.results(["SN", "WN"]), tmp_path / "report")

    page = " ".join(words(tmp_path / "report").split())
    assert "Searched SN: lr in [0.0001, 0.01], log WN: n_dis in [1, 5]" in page
    assert "Objective FD (digits), lower is better, 1,200 where training diverged" in page
    assert "Sampler TPESampler(multivariate=True) Pruner MedianPruner" in page
    assert "A search 50,000 generator updates of one method, with seeds 0 or 1" in page
    assert "Run again the best 3 of each search, with seeds 100, 101 and 102" in page
    assert "Mind TPE models no condition." in page


def test_confirmed_configurations_are_in_the_other_exhibits(searching, show):
    for method in ("SN", "WN"):
        searching.trial(method, 7.0, params=LR)
        searching.confirm(method, 0, (8.0, 9.0))
    results = searching.results()

    assert show("settings", results) == show("robustness", results) == []
    (best,) = show("best_setting", results)
    assert texts(best)[0][:3] == ["SN", "tuned #1", "8.50 8.00–9.00"]
    assert all("robustness" not in note for t in show("scores", results) for note in t.notes)
