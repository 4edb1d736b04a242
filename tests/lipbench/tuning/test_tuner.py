"""Which run of a study comes next, and what Optuna is told: with runs that take no time."""

from __future__ import annotations

import dataclasses
import math
import shutil
import threading
from collections import Counter

import optuna
import pytest

from lipbench.errors import UserError
from lipbench.outcome import Outcome
from lipbench.results.frame import load_runs, load_trials
from lipbench.runs.run_folder import RunFolder, Status
from lipbench.tuning.samplers import PRUNERS, SAMPLERS


def told(tuner):
    """Return the state and the values of every trial, by Optuna study."""
    return {
        arm.name: [(t.state.name, t.params, t.values) for t in arm.trials()] for arm in tuner.arms
    }


def states(tuner):
    return Counter(state for trials in told(tuner).values() for state, _, _ in trials)


def test_each_method_gets_its_budget_in_turn_and_then_its_best_is_run_again(stage):
    made = stage()
    tuner = made.tuner()
    made.finish(tuner)
    plan = made.folder.plan()
    assert [(run.method, run.setting) for run in plan.runs[:4]] == [
        ("none", "trial 0"),
        ("SN", "trial 0"),
        ("none", "trial 1"),
        ("SN", "trial 1"),
    ]
    trials = [run for run in plan.runs if not run.trial.confirms]
    confirming = [run for run in plan.runs if run.trial.confirms]
    assert Counter(run.method for run in trials) == {"none": 3, "SN": 3}
    assert [(r.method, r.setting, r.spec.seed) for r in confirming] == [
        ("none", "tuned #1", 100),
        ("none", "tuned #1", 101),
        ("SN", "tuned #1", 100),
        ("SN", "tuned #1", 101),
    ]
    for method in ("none", "SN"):
        best = min((r for r in trials if r.method == method), key=lambda r: r.spec.setting.lr)
        again = [run for run in confirming if run.method == method]
        assert {run.spec.setting for run in again} == {best.spec.setting}
        assert {run.trial.number for run in again} == {best.trial.number}
    assert len(made.trained) == len(set(made.trained)) == 10
    assert states(tuner) == {"COMPLETE": 6}


def test_optuna_is_told_the_scores_of_the_protocol(stage):
    made = stage()
    tuner = made.tuner()
    made.finish(tuner)
    for trials in told(tuner).values():
        for _, params, values in trials:
            assert values == [1000 * params["lr"]]
    frame = load_trials(made.folder.path)
    assert frame["fd_digits"].tolist() == pytest.approx((1000 * frame["params_lr"]).tolist())


def test_a_diverged_trial_is_complete_with_the_protocols_ceiling_and_is_never_confirmed(stage):
    made = stage()
    tuner = made.tuner()
    lowest = []

    def outcome(task):
        lowest.append(task.run.spec.setting.lr)
        return "diverged" if task.run.spec.setting.lr <= min(lowest) else "completed"

    made.finish(tuner, outcome)
    diverged = [v for ts in told(tuner).values() for s, _, v in ts if v == [1200.0]]
    assert diverged
    assert states(tuner) == {"COMPLETE": 6}
    frame = load_trials(made.folder.path)
    assert set(frame.loc[frame["outcome"].eq("diverged"), "fd_digits"]) == {1200.0}
    confirmed = {r.spec.setting.lr for r in made.folder.plan().runs if r.trial.confirms}
    assert not confirmed & set(frame.loc[frame["outcome"].eq("diverged"), "params_lr"])


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_a_score_that_is_not_finite_is_told_as_the_ceiling(stage, score):
    made = stage("methods=none", "tune.budget.trials=1")
    tuner = made.tuner()
    task = tuner.next()
    made.train(task, fd_digits=score)
    tuner.finished(task)
    assert told(tuner)["tuned/none/seed 0"][0][2] == [1200.0]


def test_a_run_that_the_machine_failed_is_tried_again_and_never_told_as_a_value(stage):
    made = stage("methods=none", "tune.budget.trials=2", "tune.retries=2")
    tuner = made.tuner()
    first = tuner.next()
    for _ in range(3):  # the first time, and two retries
        made.train(first, "out_of_memory")
        tuner.finished(first)
        again = tuner.next()
        assert again is not None
        if again.run.spec.hash != first.run.spec.hash:
            break
    assert made.trained == [first.run.spec.hash] * 3
    made.train(again)
    tuner.finished(again)
    made.finish(tuner)
    assert states(tuner) == {"RUNNING": 1, "COMPLETE": 1}
    frame = load_trials(made.folder.path)
    assert frame["outcome"].tolist() == ["out_of_memory", "completed"]
    assert frame["fd_digits"].isna().tolist() == [True, False]
    assert made.tuner().next() is None  # of itself it is not tried again
    retried = made.tuner(retry_failed=True)
    made.finish(retried)
    assert states(retried) == {"COMPLETE": 2}


def test_a_killed_studys_trials_go_on_and_none_is_lost_or_counted_twice(stage):
    made = stage()
    killed = made.tuner()
    held = [killed.next() for _ in range(2)]
    made.train(held[0])  # whose end Optuna has not been told
    RunFolder(held[1].folder).set_status(Status(Outcome.RUNNING, update=5))
    killed.close()  # as the end of its process does
    tuner = made.tuner()
    made.finish(tuner)
    assert len(made.trained) == len(set(made.trained)) == 10
    assert held[1].run.spec.hash in made.trained
    assert states(tuner) == {"COMPLETE": 6}


def test_a_killed_study_draws_what_it_would_have_drawn(stage):
    whole = stage("name=whole", "tune.sampler=TPESampler", "tune.budget.trials=14")
    tuner = whole.tuner()
    whole.finish(tuner)
    pieces = stage("name=whole", "tune.sampler=TPESampler", "tune.budget.trials=14")
    pieces.folder.path = whole.folder.path.parent / "pieces"
    pieces.location = str(pieces.folder.path / "optuna.journal")
    for _ in range(5):
        part = pieces.tuner()
        for _ in range(3):
            task = part.next()
            pieces.train(task)
            part.finished(task)
        part.next()  # begun, and left
        part.close()
    last = pieces.tuner()
    pieces.finish(last)
    assert told(last) == told(tuner)
    drawn = [params["lr"] for trials in told(tuner).values() for _, params, _ in trials]
    assert len(set(drawn)) == 28


def test_a_trial_without_values_is_dropped_and_shifts_no_draw(stage):
    whole = stage("methods=none")
    tuner = whole.tuner()
    whole.finish(tuner)
    ((_, drawn),) = told(tuner).items()
    made = stage("methods=none")
    made.folder.path = whole.folder.path.parent / "killed"
    made.location = str(made.folder.path / "optuna.journal")
    (arm,) = made.tuner().arms
    arm._optuna.ask()  # and killed before its values were there
    tuner = made.tuner()
    made.finish(tuner)
    ((_, again),) = told(tuner).items()
    assert again[0][0] == "FAIL"
    assert again[1:] == drawn
    assert len(load_trials(made.folder.path)) == 3


def test_a_trial_drawn_but_not_in_the_ledger_is_put_there(stage):
    made = stage("methods=none", "tune.budget.trials=1")
    (arm,) = made.tuner().arms
    drawn = arm.ask()
    tuner = made.tuner()
    made.finish(tuner)
    assert states(tuner) == {"COMPLETE": 1}
    assert load_trials(made.folder.path)["params_lr"].tolist() == [drawn.params["lr"]]


def test_processes_share_a_study_and_take_over_what_another_left(stage):
    made = stage()
    one, other = made.tuner(), made.tuner()
    mine, theirs = one.next(), other.next()
    assert mine.run.spec.hash != theirs.run.spec.hash
    made.train(theirs)
    other.finished(theirs)
    tasks = []
    while task := other.next():
        tasks.append(task)
        made.train(task)
        other.finished(task)
    assert other.expects_more()  # the method of the one that is still running
    assert mine.run.spec.hash not in made.trained
    one.close()
    other._looked = -math.inf
    again = other.next()
    assert again.run.spec.hash == mine.run.spec.hash
    made.train(again)
    other.finished(again)
    made.finish(other)
    assert not other.expects_more()
    assert len(made.trained) == len(set(made.trained)) == 10


def test_two_trials_of_the_same_values_are_one_run_and_both_count(stage):
    made = stage("methods=none", "tune.search={n_dis: [1, 5]}", "tune.budget.trials=6")
    tuner = made.tuner()
    made.finish(tuner)
    assert states(tuner) == {"COMPLETE": 6}
    assert len(made.trained) <= 2 + 2  # two settings, and two confirming runs
    frame = load_trials(made.folder.path)
    assert len(frame) == 6
    assert frame["run_id"].nunique() <= 2
    assert frame["fd_digits"].notna().all()


def test_two_trials_of_the_same_values_at_once_wait_for_one_run(stage):
    made = stage("methods=none", "tune.search={n_dis: {low: 1, high: 2}}", "tune.budget.trials=8")
    tuner = made.tuner()
    held = [task for task in (tuner.next() for _ in range(8)) if task]
    assert len(held) == len({task.run.spec.hash for task in held}) <= 2
    for task in held:
        made.train(task)
        tuner.finished(task)
    made.finish(tuner)
    assert states(tuner) == {"COMPLETE": 8}


def test_a_budget_of_updates_is_never_exceeded_and_pruned_trials_leave_theirs(stage):
    made = stage("methods=none", "tune.budget={generator_updates: 35}")
    tuner = made.tuner()
    made.finish(tuner, lambda task: "diverged" if "trial" in task.run.setting else "completed")
    frame = load_trials(made.folder.path)
    assert frame["generator_updates"].tolist() == [5] * 6  # 30 of 35: a seventh could need 10
    assert tuner.arms[0].spent() == 30


def test_a_budget_of_hours_ends_as_soon_as_it_is_spent(stage):
    made = stage("methods=none", "tune.budget={device_hours: 0.035}")  # a run takes 0.01
    made.finish(made.tuner())
    assert len(load_trials(made.folder.path)) == 4


def test_a_larger_budget_goes_on_and_confirms_what_is_best_then(stage):
    made = stage("methods=none")
    made.finish(made.tuner())
    more = stage("methods=none", "tune.budget.trials=12")
    tuner = more.tuner()
    more.finish(tuner)
    assert states(tuner) == {"COMPLETE": 12}
    runs = more.folder.plan().runs
    best = min(r.spec.setting.lr for r in runs if not r.trial.confirms)
    assert [r.spec.setting.lr for r in runs if r.trial.confirms] == [best, best]
    frame = load_runs(more.folder.path)
    assert frame.loc[frame["planned"], "confirms"].sum() == 2


def test_a_studys_frame_has_the_same_columns_before_its_first_trial_and_after(stage):
    made = stage("methods=none", "tune.budget.trials=2")
    tuner = made.tuner()
    before = load_runs(made.folder.path)
    made.finish(tuner)
    after = load_runs(made.folder.path)
    assert (len(before), before.dtypes.to_dict()) == (0, after.dtypes.to_dict())
    assert before.columns.tolist() == after.columns.tolist()
    assert {"trial", "fd_digits", "fd_digits_floor"} <= set(before.columns)


def test_repeats_have_studies_and_seeds_of_their_own(stage):
    made = stage("methods=none", "seeds=[0, 1]", "tune.budget.trials=2")
    tuner = made.tuner()
    made.finish(tuner)
    assert list(told(tuner)) == ["tuned/none/seed 0", "tuned/none/seed 1"]
    frame = load_trials(made.folder.path)
    assert frame["seed"].tolist() == [0, 1, 0, 1]
    assert frame["params_lr"].nunique() == 4
    runs = made.folder.plan().runs
    assert [r.spec.seed for r in runs if not r.trial.confirms] == [0, 1, 0, 1]
    assert {r.setting for r in runs if r.trial.confirms} == {
        "tuned #1 (seed 0)",
        "tuned #1 (seed 1)",
    }


PRUNED = ("methods=none", "tune.pruner={MedianPruner: {n_startup_trials: 1}}")


def test_a_pruner_hears_the_selections_scores_and_ends_a_trial_that_is_worse(stage):
    made = stage(*PRUNED, "tune.budget.trials=2", "tune.confirm.configurations=0")
    tuner = made.tuner()
    first = tuner.next()
    assert first.consults
    assert tuner.goes_on(first, {"update": 5, "scores": {"fd_digits": 100.0}})
    assert tuner.goes_on(first, {"update": 10, "scores": {"fd_digits": 50.0}})
    made.train(first)
    tuner.finished(first)
    worse = tuner.next()
    assert not tuner.goes_on(worse, {"update": 5, "scores": {"fd_digits": 101.0}})
    made.train(worse, "pruned")
    tuner.finished(worse)
    assert states(tuner) == {"COMPLETE": 1, "PRUNED": 1}
    assert tuner.next() is None
    pruned = tuner.arms[0].trials()[1]
    assert pruned.intermediate_values == {5: 101.0}
    frame = load_trials(made.folder.path)
    assert frame["outcome"].tolist() == ["completed", "pruned"]
    assert frame["fd_digits"].isna().tolist() == [False, True]


def test_a_trial_at_its_end_is_not_pruned_and_not_finite_scores_count_as_the_ceiling(stage):
    made = stage(*PRUNED, "tune.budget.trials=2")
    tuner = made.tuner()
    first = tuner.next()
    tuner.goes_on(first, {"update": 10, "scores": {"fd_digits": 1.0}})
    made.train(first)
    tuner.finished(first)
    second = tuner.next()
    assert tuner.goes_on(second, {"update": 10, "scores": {"fd_digits": math.nan}})
    assert tuner.arms[0].trials()[1].intermediate_values == {10: 1200.0}


def test_a_trial_that_went_on_after_a_kill_reports_each_update_once(stage):
    made = stage(*PRUNED)
    killed = made.tuner()
    task = killed.next()
    killed.goes_on(task, {"update": 5, "scores": {"fd_digits": 100.0}})
    killed.close()
    tuner = made.tuner()
    again = tuner.next()
    assert again.run.spec.hash == task.run.spec.hash
    assert tuner.goes_on(again, {"update": 5, "scores": {"fd_digits": 100.0}})
    assert tuner.arms[0].trials()[0].intermediate_values == {5: 100.0}


@pytest.mark.parametrize("pruner", ["MedianPruner", "SuccessiveHalvingPruner"])
def test_a_trial_that_was_to_end_and_was_killed_before_ends_after_it(stage, pruner):
    options = {"MedianPruner": "{n_startup_trials: 1}"}
    options["SuccessiveHalvingPruner"] = "{min_resource: 5, reduction_factor: 2}"
    made = stage("methods=none", f"tune.pruner={{{pruner}: {options[pruner]}}}")
    killed = made.tuner()
    first = killed.next()
    killed.goes_on(first, {"update": 5, "scores": {"fd_digits": 1.0}})
    made.train(first)
    killed.finished(first)
    second = killed.next()
    worse = {"update": 5, "scores": {"fd_digits": 100.0}}
    assert not killed.goes_on(second, worse)
    killed.close()
    tuner = made.tuner()
    again = tuner.next()
    assert again.run.spec.hash == second.run.spec.hash
    assert not tuner.goes_on(again, worse)


def test_confirming_runs_are_not_pruned(stage):
    made = stage(*PRUNED, "tune.budget.trials=1")
    tuner = made.tuner()
    trial = tuner.next()
    made.train(trial)
    tuner.finished(trial)
    assert not tuner.next().consults


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_draws_the_same_again_and_within_the_space(stage, sampler):
    assignments = (
        "methods=none",
        f"tune.sampler={sampler}",
        "tune.budget.trials=13",
        "tune.search.beta1={low: 0.0, high: 0.9}",
        "tune.search.beta2={low: 0.5, high: 0.99, when: {n_dis: 5}}",
        "tune.confirm.configurations=0",
    )
    made, again = stage("name=a", *assignments), stage("name=a", *assignments)
    again.folder.path = made.folder.path.parent / "b"
    again.location = str(again.folder.path / "optuna.journal")
    tuners = []
    for one in (made, again):
        tuners.append(one.tuner())
        one.finish(tuners[-1])
    assert told(tuners[0]) == told(tuners[1])
    drawn = [params for trials in told(tuners[0]).values() for _, params, _ in trials]
    assert len({p["lr"] for p in drawn}) > 5
    for params in drawn:
        assert 1e-5 <= params["lr"] <= 1e-2
        assert ("beta2" in params) == (params["n_dis"] == 5)
    notes = made.made.tuning.notes
    models_conditions = SAMPLERS[sampler].conditional
    assert bool(notes) != models_conditions


@pytest.mark.parametrize("pruner", [name for name in PRUNERS if name != "NopPruner"])
def test_every_pruner_hears_and_answers(stage, pruner):
    options = {
        "PercentilePruner": "{percentile: 50.0, n_startup_trials: 1}",
        "MedianPruner": "{n_startup_trials: 1}",
        "SuccessiveHalvingPruner": "{min_resource: 5, reduction_factor: 2}",
        "HyperbandPruner": "{min_resource: 5, max_resource: 10, reduction_factor: 2}",
    }[pruner]
    made = stage("methods=none", f"tune.pruner={{{pruner}: {options}}}", "tune.budget.trials=8")
    tuner = made.tuner()
    answers = []
    for number in range(8):
        task = tuner.next()
        answers.append(tuner.goes_on(task, {"update": 5, "scores": {"fd_digits": 100.0 + number}}))
        made.train(task, "completed" if answers[-1] else "pruned")
        tuner.finished(task)
    assert not all(answers)
    assert states(tuner)["PRUNED"] == answers.count(False)


@pytest.mark.parametrize("sampler", ["TPESampler", "GPSampler", "NSGAIISampler", "RandomSampler"])
def test_several_objectives_are_told_together_and_a_front_is_confirmed(stage, sampler):
    made = stage(
        "methods=none",
        f"tune.sampler={sampler}",
        "tune.objective=[fd_digits, cs_digits]",
        "tune.budget.trials=12",
        "tune.confirm.configurations=20",
        "tune.confirm.seeds=[7]",
    )
    tuner = made.tuner()

    def better_with_lr(task):
        return {"cs_digits": task.run.spec.setting.n_dis + 0.0}

    while task := tuner.next():
        diverges = task.run.setting == "trial 3"
        made.train(task, "diverged" if diverges else "completed", **better_with_lr(task))
        tuner.finished(task)
    (arm,) = tuner.arms
    assert [d.name for d in arm._optuna.directions] == ["MINIMIZE", "MAXIMIZE"]
    assert arm.trials()[3].values == [1200.0, 1.0]
    front = {t.number for t in arm._optuna.best_trials} - {3}
    confirmed = {r.trial.number for r in made.folder.plan().runs if r.trial.confirms}
    assert confirmed == front


def test_a_changed_file_is_refused_with_what_changed_and_how_to_begin_anew(stage):
    made = stage()
    made.finish(made.tuner())
    changed = stage("tune.search.lr.high=0.1", "budget.generator_updates=20")
    with pytest.raises(UserError) as refused:
        changed.tuner()
    told = str(refused.value)
    assert "budget.generator_updates was 10, is 20" in told
    assert "search.lr.high was 0.01, is 0.1" in told
    assert "--set name=NAME" in told
    assert len(told.splitlines()) == 2


@pytest.mark.parametrize(
    "change",
    ["tune.budget.trials=4", "tune.confirm.configurations=2", "description=new", "tune.retries=0"],
)
def test_what_decides_no_trial_can_change(stage, change):
    made = stage()
    made.finish(made.tuner())
    changed = stage(change)
    changed.finish(changed.tuner())


def test_a_method_can_join_a_study(stage):
    made = stage("methods=none")
    made.finish(made.tuner())
    more = stage("methods=[none, layer_norm]")
    tuner = more.tuner()
    more.finish(tuner)
    assert len(more.trained) == 5
    assert states(tuner) == {"COMPLETE": 6}


def test_a_ledger_that_was_deleted_is_written_again_from_the_storage(stage):
    made = stage("methods=none")
    made.finish(made.tuner())
    runs = made.folder.plan().runs
    (made.folder.path / "trials.jsonl").unlink()
    tuner = made.tuner()
    assert len(tuner.remarks) == 3
    made.finish(tuner)
    assert made.folder.plan().runs == runs
    assert len(made.trained) == 5


def test_a_storage_whose_runs_are_gone_is_refused(stage):
    made = stage("methods=none")
    made.finish(made.tuner())
    (made.folder.path / "trials.jsonl").unlink()
    shutil.rmtree(made.folder.path / "runs")
    with pytest.raises(UserError, match=r"has trial 0 of .*, and its run is gone"):
        made.tuner()


def test_optuna_opens_the_storage_as_it_is(stage):
    made = stage("methods=none")
    made.finish(made.tuner())
    backend = optuna.storages.journal.JournalFileBackend(made.location)
    storage = optuna.storages.JournalStorage(backend)
    study = optuna.load_study(study_name="tuned/none/seed 0", storage=storage)
    assert len(study.trials) == 3
    assert study.best_trial.user_attrs["outcome"] == "completed"
    assert study.best_trial.user_attrs["run_id"].startswith("none-trial_")


def test_a_study_of_sqlite_is_the_same(stage):
    made = stage(storage="sqlite")
    tuner = made.tuner()
    made.finish(tuner)
    assert states(tuner) == {"COMPLETE": 6}
    assert (made.folder.path / "optuna.db").exists()


def test_what_is_left_counts_trials_and_confirming_runs(stage):
    made = stage()
    tuner = made.tuner()
    assert tuner.remaining() == 10
    task = tuner.next()
    made.train(task)
    tuner.finished(task)
    assert tuner.remaining() == 9
    made.finish(tuner)
    assert tuner.remaining() == 0


def test_a_study_and_a_suite_do_not_share_a_folder(stage):
    made = stage("methods=none")
    made.tuner()
    suite = dataclasses.replace(made.made.plan, tuning=None)
    with pytest.raises(UserError, match="holds a study's results, not a suite's"):
        made.folder.save_plan(suite, "sqlite://")


def test_a_studys_runs_have_its_objectives_as_columns(stage):
    made = stage(
        "methods=none", "intervals.audit=5", "tune.objective=[lower_bound, seconds_training]"
    )
    tuner = made.tuner()
    while task := tuner.next():
        row = {"update": 10, "lower_bound": 2.5, "upper_bound": None}
        made.train(task)
        RunFolder(task.folder).append("audits", row)
        tuner.finished(task)
    frame = load_runs(made.folder.path)
    assert set(frame["lower_bound"]) == {2.5}
    assert set(load_trials(made.folder.path)["lower_bound"]) == {2.5}
    assert "upper_bound" not in frame


def test_a_search_is_not_over_while_a_trial_that_ended_is_not_told(stage):
    made = stage("methods=none", "tune.budget.trials=2")
    one, other = made.tuner(), made.tuner()
    first, second = one.next(), other.next()
    made.train(second)
    other.finished(second)
    made.train(first)  # its process has not told it yet
    other._looked = -math.inf
    assert other.next() is None
    assert other.expects_more()
    one.finished(first)
    other._looked = -math.inf
    assert other.next().run.trial.confirms


def test_a_search_is_not_over_while_a_trial_will_be_tried_again(stage):
    made = stage("methods=none", "tune.budget.trials=1", "tune.retries=1")
    one, other = made.tuner(), made.tuner()
    task = one.next()
    made.train(task, "failed")
    one.finished(task)
    again = other.next()  # the count of attempts is the study's, not a process's
    assert again.run.spec.hash == task.run.spec.hash
    made.train(again, "failed")
    other.finished(again)
    assert other.next() is None
    assert made.tuner().next() is None


def test_a_retry_that_is_asked_for_has_as_many_attempts_as_the_first(stage):
    made = stage("methods=none", "tune.budget.trials=1", "tune.retries=1")
    made.finish(made.tuner(), lambda task: "failed")
    assert len(made.trained) == 2
    made.finish(made.tuner(retry_failed=True), lambda task: "failed")
    assert len(made.trained) == 4
    made.finish(made.tuner(), lambda task: "failed")
    assert len(made.trained) == 4


def test_a_trial_of_a_run_that_has_failed_for_good_is_not_one_more_attempt(stage):
    made = stage("methods=none", "tune.search={n_dis: [1, 2]}", "tune.budget.trials=6")
    tuner = made.tuner()
    made.finish(tuner, lambda task: "failed")
    assert len(made.trained) == 3 * len(set(made.trained))  # each run and its two retries


def test_processes_together_keep_to_a_budget_of_updates(stage):
    made = stage("methods=none", "tune.budget={generator_updates: 30}")
    one, other = made.tuner(), made.tuner()
    held = [tuner.next() for tuner in (one, other, one, other)]
    assert [task is not None for task in held] == [True, True, True, False]


def test_a_higher_score_is_better_where_it_is(stage):
    made = stage("methods=none", "tune.objective=cs_digits", "tune.confirm.seeds=[100]")
    tuner = made.tuner()
    seen = []
    while task := tuner.next():
        if not task.run.trial.confirms:
            seen.append(task.run.spec.setting.lr)
        made.train(task, cs_digits=1.0 + task.run.spec.setting.lr)
        tuner.finished(task)
    (confirming,) = [r for r in made.folder.plan().runs if r.trial.confirms]
    assert confirming.spec.setting.lr == max(seen)


def test_configurations_that_are_confirmed_differ(stage):
    made = stage(
        "methods=none",
        "tune.search={n_dis: [1, 2]}",
        "tune.budget.trials=8",
        "tune.confirm={configurations: 3, seeds: [100]}",
    )
    made.finish(made.tuner())
    confirming = [r.spec for r in made.folder.plan().runs if r.trial.confirms]
    assert [spec.setting.n_dis for spec in confirming] in ([1, 2], [2, 1])


def test_a_confirming_run_that_changes_its_rank_is_not_trained_again(stage):
    several = "tune.confirm={configurations: 2, seeds: [100, 101]}"
    made = stage("methods=none", several)
    made.finish(made.tuner())
    more = stage("methods=none", several, "tune.budget.trials=12")
    more.finish(more.tuner())
    trained = made.trained + more.trained
    assert len(trained) == len(set(trained))


def test_a_search_that_the_machine_keeps_failing_stops_asking(stage):
    made = stage("methods=none", "tune.budget={device_hours: 1}", "tune.retries=0")
    tuner = made.tuner()
    made.finish(tuner, lambda task: "failed")
    assert len(load_trials(made.folder.path)) == 3
    retried = made.tuner(retry_failed=True)
    task = retried.next()
    made.train(task)
    retried.finished(task)
    assert retried.next() is not None


def test_hours_of_a_failed_trial_do_not_keep_a_search_from_its_end(stage):
    made = stage("methods=none", "tune.budget={device_hours: 0.02}", "tune.retries=0")
    tuner = made.tuner()
    outcomes = iter(["failed", *["completed"] * 9])
    made.finish(tuner, lambda task: next(outcomes))
    assert [r.trial.confirms for r in made.folder.plan().runs].count(True) == 2


def test_equal_values_that_wait_for_one_run_are_not_asked_for_without_end(stage):
    made = stage("methods=none", "tune.search={n_dis: [1, 2]}", "tune.budget={device_hours: 1}")
    tuner = made.tuner()
    held = [task for task in (tuner.next() for _ in range(5)) if task]
    assert 1 <= len(held) <= 2
    assert len(made.folder.ledger().trials()) <= len(held) + 1


def test_a_settled_trial_has_every_value_on_its_way(stage):
    made = stage(*PRUNED, "tune.budget.trials=1")
    tuner = made.tuner()
    task = tuner.next()
    row = {"checkpoint": "selection", "update": 5, "scores": {"fd_digits": 70.0}}
    row["protocol"] = task.protocol.id
    made.train(task)
    RunFolder(task.folder).append("scores", row)
    tuner.finished(task)  # as of a run whose process did not hear of the selection
    assert tuner.arms[0].trials()[0].intermediate_values == {5: 70.0}


def test_another_folders_study_in_one_storage_is_refused(stage):
    made = stage("methods=none")
    made.tuner()
    other = stage("methods=none")
    other.folder.path = made.folder.path.parent / "other"
    other.location = made.location
    with pytest.raises(UserError, match="whose runs are in other results"):
        other.tuner()


def test_a_storage_that_fails_keeps_the_hold_until_the_process_gives_it_up(stage, monkeypatch):
    made = stage("methods=none")
    tuner = made.tuner()
    task = tuner.next()
    made.train(task)

    def away(*_):
        raise optuna.exceptions.StorageInternalError("it is away")

    monkeypatch.setattr(tuner.arms[0], "tell", away)
    with pytest.raises(UserError, match=r"cannot be used \(it is away\)"):
        tuner.finished(task)
    assert made.folder.hold(task.run.spec.hash) is None
    tuner.close()
    hold = made.folder.hold(task.run.spec.hash)
    assert hold is not None
    hold.release()


def test_a_journals_unfinished_line_is_cut(stage):
    made = stage("methods=none")
    made.finish(made.tuner())
    journal = made.folder.path / "optuna.journal"
    journal.write_bytes(journal.read_bytes() + b'{"op_code": 4, "wor')
    more = stage("methods=none", "tune.budget.trials=5")
    tuner = more.tuner()
    more.finish(tuner)
    assert states(tuner) == {"COMPLETE": 5}


def test_deciding_waits_for_another_process_that_decides(stage):
    made = stage("methods=none")
    tuner = made.tuner()
    tasks = []
    thread = threading.Thread(target=lambda: tasks.append(tuner.next()))
    with made.folder.deciding():
        thread.start()
        thread.join(0.3)
        assert not tasks
    thread.join(60)
    assert tasks


def test_hours_of_trials_under_way_count(stage):
    made = stage("methods=none", "tune.budget={device_hours: 0.01}")
    tuner = made.tuner()
    task = tuner.next()
    running = Status(Outcome.RUNNING, update=5, cost={"seconds_training": 36.0})
    RunFolder(task.folder).set_status(running)
    assert tuner.next() is None


def test_a_damaged_checkpoint_does_not_stop_the_study(stage):
    made = stage("methods=none")
    killed = made.tuner()
    task = killed.next()
    RunFolder(task.folder).set_status(Status(Outcome.RUNNING, update=5))
    (task.folder / "checkpoint.pt").write_bytes(b"PK")
    killed.close()
    assert made.tuner().next().run == task.run
