"""The shipped suites: each plans in both forms, and asks what the papers fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipbench.errors import UserError
from lipbench.planning import resolve, suite
from lipbench.plugins import Plugins, Registry
from lipbench.tuning import study as studies

SHIPPED = sorted(Path(suite.__file__).parents[2].glob("suites/*.yaml"))
OF_ONES_OWN = ("images", "imagenet")  # datasets that are the user's own files
WITH_SMALL = [path for path in SHIPPED if "\nsmall:" in path.read_text()]


@pytest.fixture
def planned(cache):
    """Return a function from a suite's file to its runs, or a study's methods."""

    def planned(path, small=False):
        read, document = suite.read(path, [], small)
        if read.tune:
            return studies.study(read, document, Plugins(), cache).methods
        return resolve.plan(read, document, Plugins(), cache).runs

    return planned


@pytest.fixture
def runs_of(planned):
    """Return a function from an installed suite's name to its runs."""
    return lambda name, small=False: planned(suite.find(name), small)


def labels(runs):
    return list(dict.fromkeys(run.method for run in runs))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_suite_says_what_it_answers_and_can_be_planned(path, planned):
    assert path.read_text().startswith("# ")
    read, _ = suite.read(path, [])
    assert read.name == path.stem
    if read.dataset.name in OF_ONES_OWN:
        with pytest.raises(UserError, match=r"--set dataset.path=PATH"):
            planned(path)
    else:
        assert planned(path)


@pytest.mark.parametrize("path", WITH_SMALL, ids=lambda path: path.stem)
def test_every_small_form_can_be_planned_without_a_download_and_is_smaller(path, planned):
    small, _ = suite.read(path, [], small=True)
    full, _ = suite.read(path, [])
    assert small.dataset.name in ("digits", "gaussians", "mnist5k")
    assert small.budget.generator_updates < full.budget.generator_updates
    assert planned(path, small=True)


@pytest.mark.parametrize("path", WITH_SMALL, ids=lambda path: path.stem)
def test_the_small_form_of_a_suite_keeps_its_methods(path, planned):
    read = [suite.read(path, [], small)[0] for small in (False, True)]
    if read[0].dataset.name in OF_ONES_OWN:
        assert read[0].methods == read[1].methods
        return
    full, small = (set(map(_label, planned(path, small))) for small in (False, True))
    assert small <= full
    if path.stem not in ("mode_collapse", "bsn_scales"):
        assert small == full


def _label(run):
    return run.label if hasattr(run, "label") else run.method


def test_methods_digits_trains_every_built_in_method_that_needs_no_labels(runs_of):
    trained = {method.name for run in runs_of("methods_digits") for method in run.spec.methods}
    assert trained == set(_built_in()) - {"auxiliary_classifier"}


def test_mode_collapse_trains_every_built_in_method_that_works_on_points(runs_of, cache):
    trained = {method.name for run in runs_of("mode_collapse") for method in run.spec.methods}
    path = suite.find("mode_collapse")
    for name in set(_built_in()) - trained:
        read, document = suite.read(path, [f"methods=[{name}]"])
        with pytest.raises(UserError, match=r"is about (convolutions|images)|conditional"):
            resolve.plan(read, document, Plugins(), cache)


def _built_in():
    return [p.name for p in Registry("methods").plugins.values() if p.origin == "built-in"]


def test_the_grid_of_table_2_has_the_papers_methods_settings_and_budget(runs_of):
    runs = runs_of("table1_2_cifar10")
    assert labels(runs) == ["WC", "GAN-GP", "WGAN-GP", "BN", "LN", "WN", "Orthonormal", "SN"]
    assert len(runs) == 8 * 6 * 3
    assert {run.spec.budget.generator_updates for run in runs} == {100_000}
    losses = {run.method: run.spec.loss.name for run in runs}
    assert losses.pop("WGAN-GP") == "wasserstein"
    assert set(losses.values()) == {"non_saturating"}


def test_table_7_learns_gamma_for_each_reparametrization_under_the_same_penalty(runs_of):
    by_label = {run.method: run.spec for run in runs_of("table7_reparametrization")}
    for label, name in (("Frobenius", "frobenius_norm"), ("WN", "weight_norm"),
                        ("SN", "spectral_norm")):  # fmt: skip
        methods = {
            method.name: method.params for method in by_label[f"WGAN-GP with {label}"].methods
        }
        assert methods[name]["gamma"] is True
        assert methods["wgan_gp"]["coefficient"] == 10
    assert {spec.loss.name for spec in by_label.values()} == {"wasserstein"}


def test_figure_15_trains_runs_of_table_7(runs_of):
    table = {run.spec.hash for run in runs_of("table7_reparametrization")}
    figure = {run.spec.hash for run in runs_of("figure15_overfitting")}
    assert figure < table
    assert len(figure) == 9


def test_figure_9_is_of_setting_c_and_figure_11_of_setting_d_but_for_n_dis(runs_of):
    assert {run.spec.setting for run in runs_of("figure9_sigma")} == {suite.MIYATO2018["C"]}
    settings = {run.setting: run.spec.setting for run in runs_of("figure11_n_dis")}
    assert settings["n_dis 5"] == suite.MIYATO2018["D"]
    assert [setting.n_dis for setting in settings.values()] == [1, 2, 5, 10, 20]
    assert {(setting.lr, setting.beta1, setting.beta2) for setting in settings.values()} == {
        (1e-3, 0.5, 0.9)
    }


def test_table_2_2x_scores_its_runs_half_way(cache):
    read, _ = suite.read(suite.find("table2_hinge_2x"), [])
    assert read.intervals.score == read.budget.generator_updates // 2 == 100_000
    assert read.intervals.keep == "all"
    small, _ = suite.read(suite.find("table2_hinge_2x"), [], small=True)
    assert small.intervals.score == small.budget.generator_updates // 2


def test_the_best_models_of_kurach_2019_have_their_settings_and_loss(runs_of):
    runs = {run.method: run.spec for run in runs_of("kurach2019_best")}
    rates = {label: spec.setting.lr for label, spec in runs.items()}
    assert rates == {
        "none, lr 1e-4": 1e-4,
        "none, lr 2e-4": 2e-4,
        "SN, lr 1e-4": 1e-4,
        "SN, lr 2e-4": 2e-4,
        "SN + GP, lr 2e-4": 2e-4,
    }
    assert {spec.setting.n_dis for spec in runs.values()} == {1}
    assert {spec.loss.name for spec in runs.values()} == {"non_saturating"}
    assert {spec.budget.generator_updates for spec in runs.values()} == {200_000}


def test_the_scales_of_bssn_are_those_of_its_code_under_the_hinge_loss(runs_of):
    runs = runs_of("bsn_scales")
    scales = {run.spec.methods[0].params.get("scale") for run in runs}
    assert scales == {None, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.6}
    assert {run.spec.loss.name for run in runs} == {"hinge"}
    assert len({run.spec.seed for run in runs}) == 5
