"""A run folder's rows, held against what its checkpoint keeps of them; its temporary files."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from lipbench import atomic
from lipbench.runs.run_folder import SERIES, RunFolder

STORED = {
    "metrics": '{"update": 2, "loss_d": 1.5}\n{"update": 4, "loss_d": 1.25}\n',
    "scores": '{"update": 4, "checkpoint": "selection", "scores": {}}\n',
    "audits": '{"update": 0, "lower_bound": 1.0}\n{"update": 4, "lower_bound": 2.0}\n',
}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    for name, text in STORED.items():
        (tmp_path / f"{name}.jsonl").write_text(text)
    return RunFolder(tmp_path)


def texts(folder: RunFolder) -> dict[str, str]:
    return {name: (folder.path / f"{name}.jsonl").read_text() for name in SERIES}


@pytest.mark.parametrize(
    ("damaged", "lost"),
    [
        ("", True),
        ('{"update": 4, "loss_d": 1.25}\n', True),
        ('{"update": 2, "loss_d": 1.5}\n{"update": 4, "lo', True),
        ('{"update": 2, "loss_d": 1.5}\n{"update": 4, "loss_d": 1.75}\n', True),
        ("null\n[]\n", True),
        (2 * STORED["metrics"], False),
        ('{"update": 4, "loss_d": 1.25}\n{"update": 2, "loss_d": 1.5}\n', False),
        (STORED["metrics"] + '{"update": 6, "loss_d": 9.0}\n{"upd', False),
    ],
    ids=["empty", "first gone", "cut", "changed", "no objects", "doubled", "reversed", "after"],
)
def test_rows_are_made_those_of_the_checkpoint(folder: RunFolder, damaged: str, lost: bool):
    (folder.path / "metrics.jsonl").write_text(damaged)
    remarks = folder.go_back(4, STORED)
    assert texts(folder) == STORED
    assert len(remarks) == lost
    assert all(remark.endswith("restored from the checkpoint") for remark in remarks)


def test_rows_that_are_not_utf8_are_made_those_of_the_checkpoint(folder: RunFolder):
    for name, text in STORED.items():
        (folder.path / f"{name}.jsonl").write_bytes(b"\xff\xfe" + text.encode())
    assert len(folder.go_back(4, STORED)) == len(SERIES)
    assert texts(folder) == STORED


def test_rows_after_the_checkpoint_of_its_own_update_stay(folder: RunFolder):
    """The scores at the end of the budget, and audits by hand of updates so far."""
    last = '{"update": 4, "checkpoint": "last", "scores": {}}\n'
    audit = '{"update": 3, "lower_bound": 1.75}\n'
    (folder.path / "scores.jsonl").write_text(STORED["scores"] + last)
    (folder.path / "audits.jsonl").write_text(STORED["audits"] + audit)
    assert folder.go_back(4, STORED) == []
    assert texts(folder)["scores"] == STORED["scores"] + last
    assert [row["update"] for row in folder.rows("audits")] == [0, 3, 4]


def test_rows_lost_while_a_run_goes_on_are_restored_at_its_next_checkpoint(
    folder: RunFolder, write, plan_of
):
    run = plan_of(write()).runs[0].spec
    assert folder.save_checkpoint({"training": {"update": 4}}, run) == []
    (folder.path / "metrics.jsonl").unlink()
    folder.append("metrics", {"update": 6, "loss_d": 1.0})
    assert folder.save_checkpoint({"training": {"update": 6}}, run) == [
        "2 rows missing from metrics.jsonl: restored from the checkpoint"
    ]
    assert [row["update"] for row in folder.rows("metrics")] == [2, 4, 6]
    stored = folder.load_checkpoint(run)
    assert stored is not None
    assert stored["series"] == texts(folder)


def test_of_a_run_that_begins_anew_no_row_stays(folder: RunFolder):
    (folder.path / "metrics.jsonl").write_bytes(b"\xff no row")
    assert folder.go_back(-1, dict.fromkeys(SERIES, "")) == []
    assert texts(folder) == dict.fromkeys(SERIES, "")


def test_an_older_checkpoint_keeps_no_rows_so_later_ones_are_cut(folder: RunFolder):
    assert folder.go_back(2, None) == []
    assert [row["update"] for row in folder.rows("metrics")] == [2]


def test_a_temporary_file_of_a_process_that_lives_stays(tmp_path: Path):
    path = tmp_path / "status.json"

    def write(file) -> None:
        atomic.remove_leftovers(tmp_path)  # as another process may, at this moment
        file.write(b"{}")

    atomic.replace(path, write)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_only_our_own_temporary_files_go(tmp_path: Path):
    """Of an older version, and of another machine, after a day; a user's files never."""
    machine, process = "0" * 8, os.getpid()
    names = {
        f".plan.json.{machine}-{process}-x1_y.tmp": 2,
        f".plan.json.{machine}-{process}-x1_z.tmp": 0,
        ".00000003.png.abcd_123": 2,
        ".00000003.png.abcd_124": 0,
        ".gitignore": 2,
        ".notes.tmp": 2,
        ".settings.backup12": 2,
        "plan.json.tmp": 2,
    }
    for name, days in names.items():
        (tmp_path / name).write_text(json.dumps(name))
        age = time.time() - days * 86400
        os.utime(tmp_path / name, (age, age))
    atomic.remove_leftovers(tmp_path)
    gone = set(names) - {path.name for path in tmp_path.iterdir()}
    assert gone == {f".plan.json.{machine}-{process}-x1_y.tmp", ".00000003.png.abcd_123"}
    atomic.remove_leftovers(tmp_path / "nowhere")
