"""A study's storage that is damaged, deleted, or without locks: the runs are the truth."""

from __future__ import annotations

import json
import shutil

import pytest

from lipbench.errors import UserError
from lipbench.results.frame import load_trials
from lipbench.tuning.samplers import SAMPLERS
from lipbench.tuning.storage import file_of, locate

GARBAGE = b"\x93garbage\xff\n"


def told(tuner):
    """Return the state, values and intermediate values of every trial, by Optuna study."""
    return {
        arm.name: [(t.state.name, t.params, t.values, t.intermediate_values) for t in arm.trials()]
        for arm in tuner.arms
    }


def lines(path, change):
    stored = path.read_bytes().splitlines(keepends=True)
    change(stored)
    path.write_bytes(b"".join(stored))


def half(path):
    stored = path.read_bytes()
    path.write_bytes(stored[: len(stored) // 2])


def as_folder(path):
    path.unlink()
    path.mkdir()


OF_ANY = {
    "deleted": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut": half,
    "not utf-8": lambda path: path.write_bytes(GARBAGE * 30),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "zeros in the middle": lambda path: path.write_bytes(
        path.read_bytes()[:900] + bytes(3000) + path.read_bytes()[3900:]
    ),
    "a folder": as_folder,
}
OF_JOURNALS = {
    "a last line that is garbage": lambda path: path.write_bytes(path.read_bytes() + GARBAGE),
    "garbage in the middle": lambda path: lines(path, lambda all_: all_.insert(20, GARBAGE)),
    "null": lambda path: lines(path, lambda all_: all_.insert(20, b"null\n")),
    "a list": lambda path: lines(path, lambda all_: all_.insert(20, b"[]\n")),
    "no operation": lambda path: lines(path, lambda all_: all_.insert(20, b"{}\n")),
    "an unknown one": lambda path: lines(
        path, lambda all_: all_.insert(20, b'{"op_code": 99, "worker_id": "a"}\n')
    ),
    "nested": lambda path: lines(path, lambda all_: all_.insert(20, b"[" * 100_000 + b"\n")),
    "lines lost": lambda path: lines(path, lambda all_: all_.__delitem__(slice(12, 30))),
    "of another study": lambda path: path.write_bytes(
        path.read_bytes().replace(b"tuned/", b"other/")
    ),
}
DAMAGES = [
    *[("journal", name, damage) for name, damage in {**OF_ANY, **OF_JOURNALS}.items()],
    *[("sqlite", name, damage) for name, damage in OF_ANY.items()],
]


@pytest.mark.parametrize(
    ("kind", "damage"),
    [pytest.param(kind, damage, id=f"{kind} {name}") for kind, name, damage in DAMAGES],
)
def test_a_study_goes_on_from_a_damaged_storage_as_its_undamaged_twin(stage, kind, damage):
    assignments = ("tune.sampler=TPESampler", "tune.budget.trials=4")
    twin, made = (stage("name=tuned", *assignments, storage=kind) for _ in range(2))
    made.folder.path = twin.folder.path.parent / "damaged"
    made.location = locate(kind, made.folder.path)
    tuners = []
    for one in (twin, made):
        begun = one.tuner()
        for number in range(5):
            task = begun.next()
            one.train(task, "diverged" if number == 2 else "completed")
            begun.finished(task)
        begun.next()  # begun, and left
        begun.close()
        if one is made:
            damage(file_of(made.location))
        tuners.append(one.tuner(alone=True))
        one.finish(tuners[-1])
    assert told(tuners[0]) == told(tuners[1])
    assert twin.trained == made.trained
    frames = [load_trials(one.folder.path) for one in (twin, made)]
    unlike = ["run_id", "started", "ended"]
    assert frames[0].drop(columns=unlike).equals(frames[1].drop(columns=unlike))
    assert all(len(line.splitlines()) <= 2 for line in tuners[1].remarks)
    assert made.tuner(alone=True).remarks == []  # it is whole now


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_draws_from_a_storage_made_anew_what_it_would_have_drawn(stage, sampler):
    assignments = (
        "methods=none",
        f"tune.sampler={sampler}",
        "tune.budget.trials=13",
        "tune.search.beta2={low: 0.5, high: 0.99, when: {n_dis: 5}}",
        "tune.confirm.configurations=0",
    )
    made, again = stage("name=a", *assignments), stage("name=a", *assignments)
    again.folder.path = made.folder.path.parent / "b"
    again.location = locate("journal", again.folder.path)
    whole = made.tuner()
    made.finish(whole)
    part = again.tuner()
    for _ in range(11):
        task = part.next()
        again.train(task)
        part.finished(task)
    file_of(again.location).unlink()
    rest = again.tuner(alone=True)
    again.finish(rest)
    assert told(whole) == told(rest)


def test_pruned_trials_are_pruned_in_a_storage_made_anew(stage):
    made = stage("methods=none", "tune.pruner=MedianPruner", "tune.budget.trials=3")
    first = made.tuner()
    made.finish(first, lambda task: "pruned" if "trial_1" in task.folder.name else "completed")
    before = told(first)
    assert [state for state, *_ in before["tuned/none/seed 0"]][1] == "PRUNED"
    file_of(made.location).write_bytes(GARBAGE)
    again = made.tuner(alone=True)
    assert told(again) == before
    assert "optuna.journal:1: damaged (not UTF-8)" in again.remarks[0]
    (kept,) = made.folder.path.glob("optuna.journal.damaged-*")
    assert kept.name in again.remarks[0]
    assert kept.read_bytes() == GARBAGE


def test_a_storage_is_not_put_aside_while_another_process_uses_it(stage):
    made = stage("methods=none")
    made.finish(made.tuner())
    file_of(made.location).write_bytes(GARBAGE)
    with pytest.raises(UserError, match=r"optuna\.journal:1: damaged"):
        made.tuner()
    assert file_of(made.location).read_bytes() == GARBAGE


def test_the_first_process_on_a_study_knows_that_it_is_alone(stage):
    folder = stage().folder
    with folder.shared() as first, folder.shared() as second:
        assert (first, second) == (True, False)


@pytest.mark.parametrize("identity", [b"", b"\xff\xfe", b"somebody else's"])
def test_a_damaged_identity_is_made_anew_where_the_storage_is_the_studys_own(stage, identity):
    made = stage("methods=none")
    whole = made.tuner()
    made.finish(whole)
    before = told(whole)
    (made.folder.path / "identity").write_bytes(identity)
    again = made.tuner(alone=True)
    assert told(again) == before
    assert "identity is damaged" in again.remarks[0]


def test_trials_lost_from_the_ledger_and_the_storage_are_drawn_again(stage):
    twin, made = stage("methods=none", "tune.budget.trials=5"), None
    twin.finish(twin.tuner())
    made = stage("methods=none", "tune.budget.trials=5")
    made.folder.path = twin.folder.path.parent / "damaged"
    made.location = locate("journal", made.folder.path)
    made.finish(made.tuner())
    trained = len(made.trained)
    ledger = made.folder.path / "trials.jsonl"
    lines(ledger, lambda all_: all_.__setitem__(slice(1, 2), [b"null\n"]))
    shutil.copy(ledger, ledger.with_suffix(".kept"))
    file_of(made.location).unlink()
    made.finish(made.tuner(alone=True))
    assert len(made.trained) == trained  # its run is there
    frames = [load_trials(one.folder.path).sort_values("trial") for one in (twin, made)]
    assert frames[0]["params_lr"].tolist() == frames[1]["params_lr"].tolist()


def test_the_run_of_a_trial_that_is_over_is_done_again_where_it_was_damaged(stage):
    made = stage("methods=none")
    made.finish(made.tuner())
    (run, *_) = made.folder.plan().runs
    folder = made.folder.folders()[run.spec.hash]
    (folder.path / "status.json").write_text("null")
    assert made.folder.statuses()[run.spec.hash].outcome == "damaged"
    tuner = made.tuner()
    before = told(tuner)
    assert tuner.remaining() == 1
    made.finish(tuner)
    assert made.trained[-1] == run.spec.hash
    assert told(tuner) == before
    assert tuner.remaining() == 0


def test_a_file_of_a_storage_is_found_by_its_location(tmp_path):
    assert file_of(locate("journal", tmp_path)) == tmp_path / "optuna.journal"
    assert file_of(locate("sqlite", tmp_path)) == tmp_path / "optuna.db"
    assert file_of("sqlite://") is None
    assert file_of("postgresql://u:p@host/db") is None
    assert json.dumps(str(file_of("a.journal"))) == '"a.journal"'
