"""Which runs `--only` names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lipbench.errors import UserError
from lipbench.planning import only


@pytest.fixture
def plan(write, plan_of):
    """Return a plan with labels that hold commas and equal signs, at two seeds."""
    methods = '[none, spectral_norm, aol, {spectral_norm: {power_iterations: 2}, label: "SN, 2"}]'
    settings = "[A, {lr: 1e-3, beta1: 0, beta2: 0.9, n_dis: 2}]\nseeds: [0, 1]"
    return plan_of(write(("[none, spectral_norm]", methods), ("[C]", settings)))


def picked(plan, text):
    runs = only.chosen(plan, text)
    return {run.method for run in runs}, {run.setting for run in runs}, len(runs)


WRITTEN = "lr=0.001 b1=0 b2=0.9 n_dis=2"


@pytest.mark.parametrize(
    ("text", "methods", "settings", "count"),
    [
        ("", {"none", "SN", "AOL", "SN, 2"}, {"A", WRITTEN}, 16),
        ("method=SN,setting=A,seed=1", {"SN"}, {"A"}, 1),
        ("method=sn", {"SN"}, {"A", WRITTEN}, 4),
        ("METHOD = sN , setting=a", {"SN"}, {"A"}, 2),
        ("method=spectral_norm,setting=A", {"SN", "SN, 2"}, {"A"}, 4),
        ("method=Aol", {"AOL"}, {"A", WRITTEN}, 4),
        ("method=SN,method=none,setting=A", {"SN", "none"}, {"A"}, 4),
        ("sn,none,a", {"SN", "none"}, {"A"}, 4),
        ("method=SN, 2,setting=A", {"SN, 2"}, {"A"}, 2),
        ("SN, 2,A", {"SN, 2"}, {"A"}, 2),
        (f"setting={WRITTEN},SN", {"SN"}, {WRITTEN}, 2),
        (f"{WRITTEN},SN", {"SN"}, {WRITTEN}, 2),
        ("1,none", {"none"}, {"A", WRITTEN}, 2),
    ],
)
def test_a_run_is_named_by_label_plugin_setting_or_seed_in_any_capitals(
    plan, text, methods, settings, count
):
    assert picked(plan, text) == (methods, settings, count)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("setting=Z", r"no setting called 'Z'; there are A, lr="),
        ("method=A", r"no method is called A: write setting=A$"),
        ("setting=SN", r"no setting is called SN: write method=SN$"),
        (
            "spectral_nrom",
            r"no method or setting called 'spectral_nrom'; did you mean 'spectral_n",
        ),
        ("seed=7", r"no seed called '7'; there are 0, 1"),
        ("metod=SN", r"no key called 'metod'; did you mean 'method'\?"),
        ("method=", r"no method called ''; there are"),
    ],
)
def test_a_name_that_the_plan_has_not_is_refused_with_what_it_has(plan, text, message):
    with pytest.raises(UserError, match=f"^--only: {message}"):
        only.chosen(plan, text)


def test_a_value_that_names_a_method_and_a_setting_asks_for_its_kind(write, plan_of):
    methods = "[none, {spectral_norm: {}, label: a}]"
    plan = plan_of(write(("[none, spectral_norm]", methods), ("[C]", "[A, C]")))
    with pytest.raises(UserError, match=r"^--only: A names a method and a setting; write method=A "
                       r"or setting=A$"):  # fmt: skip
        only.chosen(plan, "A")
    assert picked(plan, "method=A,C") == ({"a"}, {"C"}, 1)


def test_a_spelling_of_the_plan_goes_before_one_in_other_capitals(write, plan_of):
    methods = "[{none: {}, label: sn}, {spectral_norm: {}, label: SN}]"
    plan = plan_of(write(("[none, spectral_norm]", methods)))
    assert picked(plan, "method=sn")[0] == {"sn"}
    assert picked(plan, "method=Sn")[0] == {"sn", "SN"}


def test_values_that_no_run_has_together_are_refused(plan):
    part = replace(
        plan, runs=tuple(run for run in plan.runs if run.setting != "A" or run.spec.seed)
    )
    with pytest.raises(UserError, match=r"no run of the suite has setting=A and seed=0$"):
        only.chosen(part, "a,0")


def test_few_of_many_names_are_listed_and_a_long_one_is_cut(write, plan_of):
    points = list(range(1, 101))
    plan = plan_of(write(("[none, spectral_norm]", f"[{{weight_clipping: {{bound: {points}}}}}]")))
    with pytest.raises(UserError, match=r"^--only: no method called 'x.* and 71 more$") as caught:
        only.chosen(plan, "method=" + "x\n" * 500)
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(UserError, match=r"^--only: no method") as caught:
        only.chosen(plan, ",".join("x" * 500))
    assert len(str(caught.value)) < 1200
