"""A report that is current is known; any change of its results makes it stale."""

import os

import pytest

from lipbench.reporting import folder as report_folder
from lipbench.reporting import fresh


@pytest.fixture
def results(tmp_path):
    run = tmp_path / "results" / "runs" / "SN-A-s0"
    run.mkdir(parents=True)
    (run / "scores.jsonl").write_text("{}\n")
    (tmp_path / "results" / "plan.json").write_text("{}")
    return tmp_path / "results"


@pytest.fixture
def report(tmp_path, results):
    """Return a report that was just made of these results."""
    files = {"index.html": b"<p>", "runs.csv": b"run_id\n"}
    made_of = fresh.fingerprint([results], ["all"])
    report_folder.replace(tmp_path / "results/report", files, fresh.listing(files, made_of))
    return tmp_path / "results/report"


def current(report, results, asked=("all",)):
    return fresh.is_current(report, fresh.fingerprint([results], asked))


def test_a_report_just_made_is_current_and_does_not_count_as_a_change(report, results):
    assert current(report, results)


def touched(results):
    path = results / "runs/SN-A-s0/scores.jsonl"
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


CHANGES = {
    "a file grew": lambda r: (r / "plan.json").write_text("{} "),
    "a file was written again": touched,
    "a file is new": lambda r: (r / "runs/SN-A-s0/audits.jsonl").write_text(""),
    "a file is gone": lambda r: (r / "runs/SN-A-s0/scores.jsonl").unlink(),
    "the page was edited": lambda r: (r / "report/index.html").write_bytes(b"<p>mine"),
    "a file of the report is gone": lambda r: (r / "report/runs.csv").unlink(),
    "its list is gone": lambda r: (r / "report/.report.json").unlink(),
    "its list is damaged": lambda r: (r / "report/.report.json").write_text("7"),
    "the results are gone": lambda r: (r / "runs").rename(r.parent / "elsewhere"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_report_is_stale_where(report, results, change):
    CHANGES[change](results)
    assert not current(report, results)


def test_a_report_of_something_else_is_stale(report, results):
    assert not current(report, results, ["lr <= 1e-3"])


def test_results_that_are_not_there_have_no_current_report(report, results):
    assert fresh.fingerprint([results / "nowhere"], []) == ""
    assert not fresh.is_current(report, "")
