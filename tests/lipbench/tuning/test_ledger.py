"""A study's ledger only grows, and survives what kills its writers."""

from __future__ import annotations

import pytest

from lipbench.runs.ledger import Ledger


@pytest.fixture
def runs(stage):
    """Return the planned runs of a small study: three trials, and two runs that confirm one."""
    made = stage("methods=none")
    made.finish(made.tuner())
    return made.folder.plan().runs


def test_a_reader_sees_what_another_one_adds(runs, tmp_path):
    writer, reader = (Ledger(tmp_path / "trials.jsonl") for _ in range(2))
    assert reader.runs() == ()
    writer.add_trial(runs[0])
    assert reader.runs() == runs[:1]
    writer.add_trial(runs[1])
    writer.set_confirmations("none", 0, runs[3:])
    assert reader.runs() == (*runs[:2], *runs[3:])
    writer.set_confirmations("none", 0, runs[4:])  # these count, in place of the ones before
    assert reader.runs() == (*runs[:2], *runs[4:])
    assert Ledger(tmp_path / "trials.jsonl").runs() == reader.runs()


def test_a_line_that_a_killed_process_left_unfinished_is_dropped(runs, tmp_path):
    path = tmp_path / "trials.jsonl"
    Ledger(path).add_trial(runs[0])
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    other = Ledger(path)
    assert other.runs() == runs[:1]
    other.add_trial(runs[1])
    assert Ledger(path).runs() == runs[:2]


def test_the_first_of_several_trials_of_one_run_is_found(runs, tmp_path):
    import dataclasses

    ledger = Ledger(tmp_path / "trials.jsonl")
    again = dataclasses.replace(runs[0], setting="trial 9")
    assert ledger.first(again) is again
    ledger.add_trial(runs[0])
    ledger.add_trial(again)
    assert ledger.first(again) == runs[0]


@pytest.mark.parametrize("line", ["{}", "null", "[]", '{"trial": 1}', "\xff", "{", "\0\0"])
def test_a_damaged_line_of_a_ledger_is_named_and_the_others_count(runs, tmp_path, line):
    path = tmp_path / "trials.jsonl"
    writer = Ledger(path)
    writer.add_trial(runs[0])
    whole = path.read_bytes()
    path.write_bytes(whole + line.encode("latin-1") + b"\n" + whole)
    ledger = Ledger(path)
    assert ledger.runs() == (runs[0], runs[0])
    assert [str(damage).startswith(f"{path}:2: damaged (") for damage in ledger.damage] == [True]


def test_damaged_lines_are_blanked_in_place_and_a_copy_is_kept(runs, tmp_path):
    path = tmp_path / "trials.jsonl"
    reader = Ledger(path)
    reader.add_trial(runs[0])
    whole = path.read_bytes()
    path.write_bytes(whole + b"null\n")
    assert reader.runs() == runs[:1]
    other = Ledger(path)
    (line,) = other.mend()
    assert "trials.jsonl:2: damaged (it should be an object); a copy is kept as" in line
    assert other.mend() == []
    other.add_trial(runs[1])
    assert reader.runs() == Ledger(path).runs() == runs[:2]
    (copy,) = tmp_path.glob("trials.jsonl.damaged-*")
    assert copy.read_bytes() == whole + b"null\n"
