"""What a trial is judged by."""

from __future__ import annotations

import pytest

from lipbench.errors import UserError
from lipbench.outcome import Outcome
from lipbench.runs.run_folder import RunFolder, Status
from lipbench.tuning.objectives import intermediate, seconds, values


@pytest.fixture
def run(tmp_path):
    """Return the folder of a run of 10 updates with scores, audits and a status."""
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    row = {"checkpoint": "selection", "update": 5, "scores": {"fd_digits": 70.0}}
    row["protocol"] = "digits@2"
    folder.append("scores", row)
    folder.append("scores", row | {"update": 10, "scores": {"fd_digits": float("nan")}})
    folder.append("scores", row | {"checkpoint": "best", "scores": {"fd_digits": 1.0}})
    folder.append(
        "scores", row | {"checkpoint": "last", "update": 10, "scores": {"fd_digits": 60.0}}
    )
    folder.append("audits", {"update": 5, "lower_bound": 9.0, "upper_bound": 99.0})
    folder.append("audits", {"update": 10, "lower_bound": 2.0, "upper_bound": None})
    return folder


DONE = Status(
    "completed",
    update=10,
    cost={"seconds_training": 3.0, "seconds_scoring": 1.5, "seconds_per_update": 0.3},
)


def wanted(stage, *names):
    assignments = ("intervals.audit=5", f"tune.objective=[{', '.join(names)}]")
    return stage(*assignments).made.tuning.objectives


def test_a_score_is_that_of_the_last_checkpoint_and_not_of_one_that_was_selected(stage, run):
    assert values(wanted(stage, "fd_digits"), run, DONE, 10) == [60.0]


def test_costs_and_bounds_are_those_at_the_end(stage, run):
    objectives = wanted(stage, "fd_digits", "seconds_training", "lower_bound")
    assert values(objectives, run, DONE, 10) == [60.0, 3.0, 2.0]
    assert seconds(DONE) == 4.5


def test_a_trial_without_a_bound_counts_as_one_that_diverged(stage, run):
    assert values(wanted(stage, "upper_bound"), run, DONE, 10) == [1e9]
    assert values(wanted(stage, "upper_bound"), run, DONE, 20) == [1e9]  # not audited at all


def test_a_diverged_trial_has_the_ceiling_of_each_objective(stage, run):
    objectives = wanted(stage, "fd_digits", "extra_parameters", "{lower_bound: {if_diverged: 50}}")
    assert values(objectives, run, Status(Outcome.DIVERGED, update=3), 10) == [1200.0, 1e12, 50.0]


def test_diverging_never_pays(stage, run):
    ceiling = "{fd_digits: {if_diverged: 50}}"
    assert values(wanted(stage, ceiling), run, DONE, 10) == [50.0]  # the score is 60
    (objective,) = wanted(stage, ceiling)
    assert intermediate(objective, run.rows("scores")) == {5: 50.0, 10: 50.0}


def test_a_cost_that_the_machine_does_not_measure_is_refused(stage, run):
    with pytest.raises(UserError, match="energy_joules was not measured"):
        values(wanted(stage, "energy_joules"), run, DONE, 10)


def test_an_objective_that_only_a_gpu_has_is_refused_before_anything_is_trained(stage):
    made = stage("tune.objective=energy_joules").made
    with pytest.raises(UserError, match="measured on a GPU only"):
        made.check_device("cpu")
    made.check_device("cuda:0")


def test_a_pruner_hears_the_selections_scores_and_never_the_protocols(stage, run):
    (objective,) = wanted(stage, "fd_digits")
    assert intermediate(objective, run.rows("scores")) == {5: 70.0, 10: 1200.0}


@pytest.mark.parametrize(
    ("assignments", "complaint"),
    [
        (["tune.objective=fid"], "no objective called 'fid'"),
        (["tune.objective=[fd_digits, fd_digits]"], "there twice"),
        (["tune.objective=parzen_pixels"], "nothing bounds parzen_pixels"),
        (["tune.objective=lower_bound"], r"set intervals\.audit"),
        (
            ["tune.objective=[fd_digits, extra_parameters]", "tune.pruner=MedianPruner"],
            "cannot prune",
        ),
        (["tune.objective=recall_digits", "tune.pruner=MedianPruner"], "recall_digits is none"),
        (["tune.objective=seconds_per_update"], "measured from update 11 on; a trial has 10"),
        (["tune.pruner={HyperbandPruner: {min_resource: 0}}"], "HyperbandPruner: ZeroDivision"),
        (["intervals.score=10", "tune.pruner=MedianPruner"], r"set intervals\.score below"),
        (["intervals.score=null", "tune.pruner=MedianPruner"], r"set intervals\.score below"),
        (["tune.sampler=TPE"], "no sampler called 'TPE'"),
        (["tune.sampler={TPESampler: {seed: 3}}"], "leave the option seed out"),
        (["tune.sampler={TPESampler: {startup: 3}}"], "no option called 'startup'"),
        (["tune.sampler={TPESampler: {n_startup_trials: many}}"], "got 'many'; it is 'int'"),
        (["tune.pruner=Median"], "no pruner called 'Median'; did you mean 'MedianPruner'"),
        (["tune.pruner={MedianPruner: {n_startup_trials: -1}}"], "cannot be negative"),
        (
            ["tune.sampler=CmaEsSampler", "tune.objective=[fd_digits, cs_digits]"],
            "CmaEsSampler takes one objective",
        ),
        (["tune.budget={trials: 1, device_hours: 1}"], "one of trials, generator_updates"),
        (["tune.budget={generator_updates: 9}"], "less than one trial's 10"),
        (["tune.confirm.seeds=[0, 1]"], "seed 0 is one of the trials'"),
    ],
)
def test_what_does_not_fit_a_study_is_refused_in_a_line(stage, assignments, complaint):
    with pytest.raises(UserError, match=complaint) as refused:
        stage(*assignments)
    assert len(str(refused.value).splitlines()) == 1


def test_a_score_without_a_ceiling_can_be_given_one(stage):
    (objective,) = stage(
        "tune.objective={parzen_pixels: {if_diverged: -500}}"
    ).made.tuning.objectives
    assert (objective.if_diverged, objective.higher_is_better) == (-500.0, True)
