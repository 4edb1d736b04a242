"""`lipbench new`: every kind's plugin and test run as they are, and names that cannot be."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from lipbench import exam, scaffold
from lipbench.exam import of_architectures, of_datasets, of_losses, of_measures
from lipbench.plugins import CONTRACTS, Registry, kind_called, kind_of

KINDS = scaffold.kinds()


def python(*arguments, cwd):
    command = [sys.executable, "-m", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a new plugin of every kind."""
    folder = tmp_path_factory.mktemp("new")
    for kind in KINDS:
        scaffold.write(kind, f"my_{kind}", folder)
    return folder


def test_there_is_a_template_for_each_kind_of_plugin():
    assert {kind_called(kind) for kind in KINDS} == {*CONTRACTS, "reports"}
    assert [kind_called(kind) for kind in ("loss", "report")] == ["losses", "reports"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_is_of_its_kind_and_says_how_to_try_it(folder, tmp_path, kind):
    assert kind_of(folder / f"my_{kind}.py") == kind_called(kind)
    assert Registry(kind_called(kind), [folder / f"my_{kind}.py"])[f"my_{kind}"].summary[1]
    written = scaffold.write(kind, "tried", tmp_path)
    assert "pytest test_tried.py" in written.commands
    told = [command for command in written.commands if command.startswith("lipbench ")]
    assert told
    assert all("--plugin tried.py" in command and "\\" not in command for command in told)


def test_new_plugins_and_their_tests_run_as_they_are(folder):
    others = (of_architectures, of_datasets, of_losses, of_measures)
    cases = len(exam.CASES) + sum(len(kind.CASES) for kind in others)
    own = [
        test
        for path in folder.glob("test_*.py")
        for test in path.read_text().split("\ndef test_")[1:]
    ]
    exams = sum("exam" in test.partition("(")[0] for test in own)
    told = python("pytest", "-q", "-p", "no:xdist", "-W", "error", ".", cwd=folder)
    (passed,) = re.findall(r"(\d+) passed in", told)
    assert int(passed) >= cases + len(own) - exams  # some of the tests have several cases


@pytest.mark.parametrize("line_length", [88, 99])
def test_what_is_new_is_clean_for_a_linter(folder, line_length):
    rules = "E,F,I,UP,B,SIM,RUF,PT,N"
    length = f"--line-length={line_length}"
    python(
        "ruff",
        "check",
        "--isolated",
        f"--select={rules}",
        "--ignore=E501",
        length,
        ".",
        cwd=folder,
    )
    python("ruff", "format", "--isolated", "--check", length, ".", cwd=folder)


def test_a_class_is_not_called_like_something_that_its_file_uses(tmp_path):
    written = scaffold.write("dataset", "dataset_info", tmp_path)
    assert "class DatasetInfoDataset(Source)" in written.file.read_text()


def test_the_command_writes_both_files_and_says_what_to_do_next(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, told = command("new", "loss", "margin")
    assert (code, told.splitlines()) == (
        0,
        [
            "wrote margin.py, the loss, and test_margin.py, its tests",
            "lipbench check --plugin margin.py",
            "pytest test_margin.py",
            "lipbench run quickstart --plugin margin.py --set loss=margin --set methods=[none,r1]",
        ],
    )
    code, told = command("check", "--plugin", "margin.py")
    assert (code, "5 of 5 cases passed" in told) == (0, True)
    code, told = command("new", "loss", "margin")
    assert (code, told) == (2, "error: margin.py is there already\n")


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("mehtod", "mine", "no kind of plugin called 'mehtod'; did you mean 'method'?"),
        ("method", "My-Method", "'My-Method' is not a method's name: write small_letters"),
        ("loss", "class", "'class' is not a loss's name"),
        ("report", "_mine", "'_mine' is not a report's name"),
        ("method", "random", "'random' is that of a Python module, which the file would hide"),
        ("dataset", "test_it", "'test_it' is the name of a test"),
        ("method", "loss", "the name 'loss' is a key of a suite's methods"),
        ("method", "r1", "r1.py (built-in)"),
        ("loss", "hinge", "hinge.py (built-in)"),
        ("dataset", "digits", "digits.py (built-in)"),
        ("architecture", "mlp", "mlp.py (built-in)"),
        ("measure", "recall", "recall.py (built-in)"),
        ("architecture", "A", "'A' is not an architecture's name"),
        ("report", "scores", "scores.py (built-in)"),
    ],
)
def test_a_name_that_cannot_be_is_refused(command, tmp_path, monkeypatch, kind, name, message):
    monkeypatch.chdir(tmp_path)
    code, told = command("new", kind, name)
    assert code == 2
    assert message in told
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
