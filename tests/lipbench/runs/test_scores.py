"""A run is its training: protocols score it when it ends and after, and train nothing again."""

from __future__ import annotations

from lipbench.runs.run_folder import RunFolder

MINE = """
name: quick
based_on: digits
n_fake: 700
scores: {fd_digits: {}, cs_digits: {}}
selection: {scores: [fd_digits], n_fake: 700}
"""


def test_another_protocol_scores_what_is_trained_and_trains_nothing(
    write, plan_of, tasks_of, do, tmp_path
):
    """Scores of the first protocol stay; the best generator is the one that it chose."""
    (task,) = tasks_of(plan_of(write(("[none, spectral_norm]", "[none]"))))
    do(task)
    folder = RunFolder(task.folder)
    weights, before = (task.folder / "checkpoint.pt").read_bytes(), folder.rows("scores")
    (tmp_path / "mine.yaml").write_text(MINE)
    plan = plan_of(
        write(("[none, spectral_norm]", "[none]"), ("protocol: digits", "protocol: mine.yaml"))
    )
    (again,) = tasks_of(plan)
    assert again.folder == task.folder
    assert do(again).outcome == "completed"
    assert (task.folder / "checkpoint.pt").read_bytes() == weights
    rows = folder.rows("scores")
    assert [row for row in rows if row["protocol"] == "digits@2"] == before
    mine = {row["checkpoint"]: row for row in rows if row["protocol"] == plan.protocol.id}
    assert mine.keys() == {"last", "best"}
    (chosen,) = [row["update"] for row in before if row["checkpoint"] == "best"]
    assert (mine["best"]["update"], mine["best"]["chosen_by"]) == (chosen, "digits@2")
    assert tasks_of(plan) == []


def test_where_all_generators_were_kept_another_protocol_chooses_the_best_itself(
    write, plan_of, tasks_of, do, tmp_path
):
    kept = ("score: 4, checkpoint: 3", "score: 2, checkpoint: 3, keep: all")
    (task,) = tasks_of(plan_of(write(("[none, spectral_norm]", "[none]"), kept)))
    do(task)
    assert [p.stem for p in sorted(task.folder.glob("generators/*.pt"))] == [
        "00000002", "00000004", "00000006",
    ]  # fmt: skip
    (tmp_path / "mine.yaml").write_text(MINE)
    plan = plan_of(
        write(
            ("[none, spectral_norm]", "[none]"), kept, ("protocol: digits", "protocol: mine.yaml")
        )
    )
    (again,) = tasks_of(plan)
    do(again)
    rows = [r for r in RunFolder(task.folder).rows("scores") if r["protocol"] == plan.protocol.id]
    chosen = {
        row["update"]: row["scores"]["fd_digits"]
        for row in rows
        if row["checkpoint"] == "selection"
    }
    assert sorted(chosen) == [2, 4, 6]
    (best,) = [row for row in rows if row["checkpoint"] == "best"]
    assert best["update"] == min(chosen, key=chosen.get)
    assert best["chosen_by"] == plan.protocol.id


def test_with_keep_last_no_best_generator_is_kept(write, plan_of, tasks_of, do):
    kept = ("score: 4, checkpoint: 3", "score: 2, checkpoint: 3, keep: last")
    (task,) = tasks_of(plan_of(write(("[none, spectral_norm]", "[none]"), kept)))
    do(task)
    checkpoints = [row["checkpoint"] for row in RunFolder(task.folder).rows("scores")]
    assert checkpoints == ["selection", "selection", "selection", "last"]


def test_a_trained_run_whose_checkpoint_is_gone_stays_as_it_is(
    write, plan_of, tasks_of, do, tmp_path
):
    """It is told that it cannot be scored, is not trained anew, and loses no row."""
    (task,) = tasks_of(plan_of(write(("[none, spectral_norm]", "[none]"))))
    do(task)
    (task.folder / "checkpoint.pt").unlink()
    before = {name: RunFolder(task.folder).rows(name) for name in ("metrics", "scores")}
    assert all(before.values())
    (tmp_path / "mine.yaml").write_text(MINE)
    plan = plan_of(
        write(("[none, spectral_norm]", "[none]"), ("protocol: digits", "protocol: mine.yaml"))
    )
    (again,) = tasks_of(plan)
    heard: list[str] = []
    status = do(again, heard=heard)
    assert (status.outcome, RunFolder(task.folder).status().outcome) == ("failed", "completed")
    assert "its checkpoint is gone" in heard[-1]
    assert {name: RunFolder(task.folder).rows(name) for name in before} == before


def test_a_run_that_goes_on_under_another_protocol_chooses_anew(
    write, plan_of, tasks_of, do, tmp_path
):
    """Two protocols' scores are never compared: the best is one of those after the change."""
    few = (
        ("[none, spectral_norm]", "[none]"),
        ("score: 4, checkpoint: 3", "score: 1, checkpoint: 3"),
    )
    (task,) = tasks_of(plan_of(write(*few)))
    do(task, stop_after=3)
    (tmp_path / "mine.yaml").write_text(MINE)
    plan = plan_of(write(*few, ("protocol: digits", "protocol: mine.yaml")))
    (again,) = tasks_of(plan)
    heard: list[str] = []
    assert do(again, heard=heard).outcome == "completed"
    assert heard == [
        f"digits@2 chose the best generator so far; from here on {plan.protocol.id} does"
    ]
    (best,) = [r for r in RunFolder(task.folder).rows("scores") if r["checkpoint"] == "best"]
    assert best["update"] > 3
