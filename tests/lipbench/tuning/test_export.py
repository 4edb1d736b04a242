"""What a study found, as a suite's file that runs."""

from __future__ import annotations

import pytest

from lipbench import yamlmarks
from lipbench.errors import UserError
from lipbench.planning import resolve, suite
from lipbench.plugins import Plugins
from lipbench.results.frame import load_runs, load_trials
from lipbench.tuning import export


def exported(made):
    plan = made.folder.plan()
    chosen = export.best(plan, load_runs(made.folder.path), load_trials(made.folder.path))
    export.check(made.made, chosen)
    document = yamlmarks.read(made.folder.path.parents[1] / "tuned.yaml")
    return plan, chosen, export.suite(document, plan, chosen)


def test_the_suite_has_each_methods_best_configuration_and_seeds_that_chose_nothing(
    stage, tmp_path, cache
):
    made = stage("tune.search.spectral_norm.power_iterations=[1, 2]")
    made.finish(made.tuner())
    _, chosen, text = exported(made)
    path = tmp_path / "best.yaml"
    path.write_text(text)
    read, document = suite.read(path, [])
    plan = resolve.plan(read, document, Plugins(), cache)
    assert plan.name == "tuned_best"
    assert sorted({run.spec.seed for run in plan.runs}) == [102, 103]
    for run in plan.runs:
        found = chosen[run.method].spec
        assert (run.spec.setting, run.spec.methods) == (found.setting, found.methods)
        assert (run.spec.loss, run.spec.budget) == (found.loss, found.budget)


def test_fresh_seeds_decide_between_the_configurations_that_they_confirm(stage):
    made = stage("methods=none", "tune.confirm.configurations=2")
    tuner = made.tuner()
    lrs = []
    while task := tuner.next():
        confirms = task.run.trial.confirms
        lrs.append(task.run.spec.setting.lr)
        # The best by the search is the worst by fresh seeds.
        made.train(task, fd_digits=(1.0 if confirms else -1.0) * -task.run.spec.setting.lr)
        tuner.finished(task)
    plan, chosen, _ = exported(made)
    confirmed = {r.spec.setting.lr for r in plan.runs if r.trial.confirms}
    assert chosen["none"].spec.setting.lr == max(confirmed)


def test_a_method_without_a_completed_trial_is_named_and_left_out(stage):
    made = stage()
    made.finish(
        made.tuner(),
        lambda task: "diverged" if task.run.method == "SN" else "completed",
    )
    _, chosen, text = exported(made)
    assert list(chosen) == ["none"]
    assert "# Without a completed trial: SN." in text


def test_a_file_that_says_otherwise_than_the_study_is_not_exported(stage):
    made = stage("methods=none")
    made.finish(made.tuner())
    _, chosen, _ = exported(made)
    changed = stage("methods=none", "budget.generator_updates=20")
    with pytest.raises(UserError, match=r"budget\.generator_updates was 10, is 20"):
        export.check(changed.made, chosen)
