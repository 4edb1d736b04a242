"""The small table of scores of `status` and the end of `run`."""

from __future__ import annotations

import math

import pytest

from lipbench.cli import score_table
from lipbench.cli.score_table import MOST_METHODS, best_medians, show_grid
from lipbench.protocols import SCORES
from lipbench.results.cells import Cell

FD = SCORES["fd_digits"]
MODES = SCORES["modes_covered_digits"]
THREE = frozenset({0, 1, 2})


def cell(*values: float, diverged: int = 0, missing: int = 0, **more: object) -> Cell:
    return Cell(values, diverged=diverged, missing=missing, seeds=THREE, **more)


@pytest.fixture
def lines(capsys):
    """Return a function that prints a grid of rows and returns the lines."""

    def lines(rows, settings=("A", "F"), about=FD):
        grid = {(m, s): c for m, row in rows.items() for s, c in zip(settings, row, strict=True)}
        show_grid(grid, list(rows), settings, about)
        return capsys.readouterr().out.splitlines()

    return lines


def test_an_entry_is_the_median_with_what_it_hides_and_the_best_is_marked(lines):
    rows = {
        "none": [cell(400, 300, 310), cell(diverged=3)],
        "SN": [cell(100, 120, 1000), cell(90, 80, diverged=1)],
        "WC": [cell(200, 210, 220), cell(50, missing=2)],
        "WN": [cell(250, 260, 270, collapsed=(True, False, False)), cell(missing=3)],
    }
    assert lines(rows) == [
        "FD (digits), lower is better, median over 3 seeds:",
        "method  A                     F",
        "none    310.00                diverged",
        "SN      120.00*               90.00 (1 diverged)",
        "WC      210.00                50.00 (1 of 3 seeds)",
        "WN      260.00 (1 collapsed)  -",
        "* the best median at its setting; `lipbench report` says if it is by chance",
    ]


def test_no_best_is_called_of_cells_that_cannot_be_compared():
    good, other = cell(100, 110, 120), cell(200, 210, 220)
    assert best_medians({"a": good, "b": other}, FD) == {"a"}
    assert best_medians({"a": good, "b": cell(90, missing=2)}, FD) == set()
    assert best_medians({"a": good, "b": Cell((200, 210, 220), seeds=frozenset({3, 4, 5}))}, FD) \
        == set()  # fmt: skip
    assert best_medians({"a": good}, FD) == set()
    assert best_medians({"a": good, "b": good}, FD) == set()
    assert best_medians({"a": cell(diverged=3), "b": cell(diverged=3)}, FD) == set()
    lost = cell(1, 2, 3, collapsed=(True, True, True))
    assert best_medians({"a": good, "b": lost, "c": other}, FD) == {"a"}


def test_a_higher_score_is_better_where_the_score_says_so(lines):
    rows = {"a": [cell(9, 10, 10, higher_is_better=True)], "b": [cell(3, 3, 3,
            higher_is_better=True)]}  # fmt: skip
    printed = lines(rows, ["A"], MODES)
    assert printed[0] == "modes (digits), higher is better, median over 3 seeds:"
    assert printed[2:4] == ["a       10*", "b       3"]


def test_of_many_methods_the_best_are_shown_and_the_others_counted(lines):
    rows = {f"m{k:02}": [cell(1000 - k, 1000 - k, 1000 - k)] for k in range(55)}
    rows |= {"new": [cell(missing=3)]}
    printed = lines(rows, ["A"])
    shown = [line.split()[0] for line in printed[2 : 2 + MOST_METHODS]]
    assert shown == [f"m{54 - k:02}" for k in range(MOST_METHODS)]
    assert printed[-1].startswith("36 more methods are not shown: these have the best medians")


def test_settings_that_a_terminal_has_no_room_for_are_counted(lines, monkeypatch):
    monkeypatch.setattr(score_table, "_width", lambda: 40)
    settings = [f"setting {k}" for k in range(6)]
    printed = lines({m: [cell(1, 2, 3)] * 6 for m in ("none", "SN")}, settings)
    assert printed[1].split("  ") == ["method", "setting 0", "setting 1", "setting 2"]
    assert printed[-1] == "3 more settings are not shown, for want of width"


def test_one_seed_is_said_and_cells_with_more_are_told_apart(lines):
    one = Cell((5.0,), seeds=frozenset({0}))
    rows = {"a": [one, one], "b": [one, Cell((1.0, 2.0), seeds=frozenset({0, 1}))]}
    printed = lines(rows)
    assert printed[0].endswith("lower is better, 1 seed:")
    assert printed[3] == "b       5.00  1.50 (2 of 2 seeds)"


def test_a_median_that_is_infinite_by_itself_is_not_called_diverged(lines):
    rows = {"a": [cell(math.inf, math.inf, math.inf)], "b": [cell(1, 2, 3)]}
    assert lines(rows, ["A"])[2:4] == ["a       inf", "b       2.00*"]
