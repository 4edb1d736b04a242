"""What of each method is searched, and what run a point of that space is."""

from __future__ import annotations

import pytest

from lipbench.errors import UserError
from lipbench.planning import resolve, suite
from lipbench.plugins import Plugins
from lipbench.tuning.space import searched_methods, walk

BASE = """
name: searched
dataset: digits
architecture: {width: 0.125}
methods: [none, spectral_norm, wgan_gp]
settings: C
budget: {generator_updates: 6, batch_size: 8, generator_batch_size: 8}
protocol: digits
tune:
  budget: {trials: 2}
  search:
"""


@pytest.fixture
def searched(tmp_path, cache):
    """Return a function from a search space to what is searched of each method, by label."""

    def searched(space: str, *assignments: str):
        path = tmp_path / "searched.yaml"
        lines = "".join(f"    {line}\n" for line in space.strip().splitlines())
        path.write_text(BASE + lines)
        read, document = suite.read(path, list(assignments))
        resolved = resolve.resolve(read, document, Plugins(), cache)
        return {candidate.label: candidate for candidate in searched_methods(resolved)}

    return searched


def names(candidate):
    return [parameter.name for parameter in candidate.search]


def test_a_methods_own_parameter_is_searched_where_the_method_is(searched):
    found = searched("lr: {low: 1.0e-4, high: 1.0e-3}\nwgan_gp.coefficient: {low: 1, high: 10}")
    assert names(found["none"]) == ["lr"]
    assert names(found["WGAN-GP"]) == ["lr", "wgan_gp.coefficient"]


def test_a_parameters_kind_is_its_fields(searched):
    search = searched(
        """
lr: {low: 1, high: 2}
n_dis: {low: 1, high: 4}
beta1: [0, 0.5]
spectral_norm.power_iterations: {low: 1, high: 3}
spectral_norm.gamma: [true, false]
loss: [hinge, wasserstein]
loss.drift: {low: 0, high: 1}
""",
        "methods=spectral_norm",
        "allow=[spectral_norm_with_wasserstein]",
    )["SN"].search
    assert {p.name: p.kind for p in search} == {
        "lr": "float",
        "n_dis": "int",
        "beta1": "categorical",
        "spectral_norm.power_iterations": "int",
        "spectral_norm.gamma": "categorical",
        "loss": "categorical",
        "loss.drift": "float",
    }


def test_a_point_changes_the_run_where_it_says_and_nowhere_else(searched):
    candidate = searched(
        "lr: {low: 1.0e-4, high: 1.0e-3}\nspectral_norm.power_iterations: [1, 5]"
    )["SN"]
    spec = candidate.spec({"lr": 5e-4, "spectral_norm.power_iterations": 5}, seed=9)
    assert (spec.setting.lr, spec.setting.beta1, spec.setting.n_dis) == (5e-4, 0.5, 1)
    assert spec.methods[0].params == {"power_iterations": 5, "gamma": False}
    assert (spec.seed, spec.loss) == (9, candidate.base.loss)
    assert candidate.spec({}, seed=0) == candidate.base


def test_a_losses_parameter_exists_with_the_losses_that_have_it(searched):
    candidate = searched("loss.fake_target: {low: 0, high: 1}\nloss: [hinge, least_squares]")[
        "none"
    ]
    assert names(candidate) == ["loss", "loss.fake_target"]  # whatever order they stand in
    hinge = walk(candidate.search, lambda p: "hinge" if p.name == "loss" else 0.5)
    squares = walk(candidate.search, lambda p: "least_squares" if p.name == "loss" else 0.5)
    assert hinge == {"loss": "hinge"}
    assert squares == {"loss": "least_squares", "loss.fake_target": 0.5}
    assert candidate.spec(squares, 0).loss.params == {
        "fake_target": 0.5,
        "real_target": 1.0,
        "generator_target": 1.0,
    }
    assert candidate.spec(hinge, 0).loss.params == {}


def test_a_method_that_requires_a_loss_keeps_it_while_others_search(searched):
    found = searched("lr: [1.0e-4]\nloss: [hinge, non_saturating]")
    assert names(found["WGAN-GP"]) == ["lr"]
    assert found["WGAN-GP"].spec({"lr": 1e-4}, 0).loss.name == "wasserstein"
    assert names(found["none"]) == ["lr", "loss"]


def test_a_condition_on_a_loss_that_is_fixed_holds_or_does_not(searched):
    space = "loss: [hinge, non_saturating]\nn_dis: {low: 1, high: 5, when: {loss: %s}}\nlr: [0.1]"
    found = searched(space % "[hinge, wasserstein]")
    assert names(found["WGAN-GP"]) == ["lr", "n_dis"]
    assert found["WGAN-GP"].search[-1].when == {}
    assert found["none"].search[-1].when == {"loss": ("hinge",)}
    assert names(searched(space % "hinge")["WGAN-GP"]) == ["lr"]
    assert names(searched(space % "wasserstein")["none"]) == ["loss", "lr"]


def test_conditions_chain(searched):
    search = searched(
        "beta2: {low: 0.1, high: 0.9, when: {beta1: 0.5}}\n"
        "beta1: {choices: [0, 0.5], when: {n_dis: 5}}\n"
        "n_dis: [1, 5]"
    )["none"].search
    assert [p.name for p in search] == ["n_dis", "beta1", "beta2"]
    values = {"n_dis": 1, "beta1": 0.5, "beta2": 0.3}
    assert walk(search, lambda p: values[p.name]) == {"n_dis": 1}
    values["n_dis"] = 5
    assert walk(search, lambda p: values[p.name]) == values


def test_what_the_suite_says_of_the_loss_stays_where_it_is_not_searched(searched):
    given = "loss={non_saturating: {real_target: 0.9}}"
    candidate = searched("lr: [0.1]", given, "methods=none")["none"]
    assert candidate.spec({"lr": 0.1}, 0).loss.params == {"real_target": 0.9}
    both = searched("loss: [non_saturating, hinge]", given, "methods=none")["none"]
    assert both.spec({"loss": "non_saturating"}, 0).loss.params == {"real_target": 0.9}
    assert both.spec({"loss": "hinge"}, 0).loss.params == {}


def test_a_choice_that_does_not_fit_the_networks_is_refused(searched):
    with pytest.raises(
        UserError, match=r"searched\.yaml:\d+: GroupNorm: .*7 groups do not divide"
    ):
        searched("group_norm.groups: [1, 7]", "methods=group_norm")


def test_presets_have_the_ranges_of_their_studies(searched):
    kurach = {p.name: p for p in searched("preset: kurach2019")["WGAN-GP"].search}
    assert (kurach["lr"].low, kurach["lr"].high, kurach["lr"].log) == (1e-5, 1e-2, True)
    assert (kurach["beta2"].low, kurach["beta2"].high) == (0.0, 0.999)
    assert kurach["n_dis"].choices == (1, 5)
    coefficient = kurach["wgan_gp.coefficient"]
    assert (coefficient.low, coefficient.high, coefficient.log) == (0.1, 100, True)
    lucic = searched("preset: lucic2018_wide", "methods=weight_clipping")["WC"].search
    assert [p.name for p in lucic] == ["lr", "beta1", "n_dis", "weight_clipping.bound"]
    assert (lucic[-1].low, lucic[-1].high, lucic[-1].log) == (1e-3, 1.0, True)


def test_a_preset_can_be_changed_and_shortened(searched):
    search = searched("preset: kurach2019\nlr: [1.0e-4, 2.0e-4]\nbeta2: null")["none"].search
    assert [p.name for p in search] == ["lr", "beta1", "n_dis"]
    assert search[0].choices == (1e-4, 2e-4)


def test_a_methods_parameters_can_stand_under_its_name(searched):
    flat = searched("lr: [0.1]\nwgan_gp.coefficient: {low: 1, high: 2}")["WGAN-GP"].search
    nested = searched("lr: [0.1]\nwgan_gp: {coefficient: {low: 1, high: 2}}")["WGAN-GP"].search
    set_ = searched("lr: [0.1]", "tune.search.wgan_gp.coefficient={low: 1, high: 2}")["WGAN-GP"]
    assert flat == nested == set_.search


@pytest.mark.parametrize(
    ("space", "complaint"),
    [
        ("lrr: [1]", "no parameter called 'lrr'; did you mean 'lr'"),
        ("spectral_norm.iterations: [1]", "no parameter called 'spectral_norm.iterations'"),
        ("weight_norm.gamma: [true]", "no parameter called 'weight_norm.gamma'"),
        ("loss.fake_target: {low: 0, high: 1}", "no method of this study has it"),
        ("lr: {low: 0.1, high: 0.01}", "no value is from 0.1 to 0.01"),
        ("lr: {low: 0.1, high: 0.1}", "no value is from 0.1 to 0.1"),
        ("lr: {low: 0, high: 1, log: true}", "begins above 0"),
        ("lr: {low: 0.1, high: 1, log: true, step: 0.1}", "has no step"),
        ("lr: {low: 0.1, high: 1, step: 2}", "leaves one value"),
        ("lr: {low: -1, high: 1}", "greater than 0"),
        ("beta1: {low: 0, high: 1}", "less than 1"),
        ("n_dis: {low: 1, high: 2.5}", "whole number"),
        ("n_dis: [1, 1]", "a choice is there twice"),
        ("n_dis: [0, 1]", "greater than or equal to 1"),
        ("spectral_norm.gamma: {low: 0, high: 1}", "write its choices"),
        ("wgan_gp.coefficient: {low: -1, high: 1}", "greater than or equal to 0"),
        ("lr: {lo: 0.1, high: 1}", "no key called 'tune.search.lr.lo'"),
        ("lr: {lo: 0.1}", "no key called 'tune.search.lr.lo'"),
        ("spectral_norm: {iterations: [1]}", "no parameter called 'spectral_norm.iterations'"),
        ("loss: [hinge, hing]", "no loss called 'hing'"),
        ("lr: [0.1]\nbeta1: {low: 0, high: 0.5, when: {lr: 0.2}}", "not among its choices"),
        ("beta1: {low: 0, high: 0.5, when: {beta2: 0.2}}", "no searched parameter called 'beta2'"),
        ("beta1: {choices: [0.1], when: {n_dis: 1}}\nn_dis: {choices: [1], when: {beta1: 0.1}}",
         "waits for another"),
        ("preset: kurach", "no preset called 'kurach'; did you mean 'kurach2019'"),
        ("preset: kurach2019\nwgan_gp.every: null", "is null"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_refused_with_its_place(searched, space, complaint):
    with pytest.raises(UserError, match=complaint) as refused:
        searched(space)
    assert "searched.yaml:" in str(refused.value)


def test_a_setting_must_be_whole(searched):
    with pytest.raises(UserError, match="beta2, n_dis: neither always searched"):
        searched("lr: [0.1]\nbeta1: [0.5]", "settings=null")
    with pytest.raises(UserError, match="a study has one setting"):
        searched("lr: [0.1]", "settings=[A, B]")


def test_a_loss_that_a_method_must_not_have_is_refused_among_the_choices(searched):
    with pytest.raises(UserError, match="allow:"):
        searched("loss: [hinge, wasserstein]", "methods=spectral_norm")
