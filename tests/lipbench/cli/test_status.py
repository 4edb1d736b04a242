"""How `lipbench status` lists runs."""

from __future__ import annotations

from lipbench.cli.status import _QUIET, _show_runs


def row(outcome: str, seed: int, cause: str | None = None) -> dict[str, object]:
    return {
        "method": "SN",
        "setting": "A",
        "seed": seed,
        "outcome": outcome,
        "cause": cause,
        "generator_updates": 5,
        "planned_updates": 10,
    }


def test_runs_that_a_count_says_all_of_are_not_listed(capsys):
    rows = [row("completed", 0), row("queued", 1), row("failed", 2, "ValueError: x")]
    _show_runs(rows, _QUIET)
    assert capsys.readouterr().out.splitlines() == [
        "method  setting  seed  outcome  updates  cause",
        "SN      A        2     failed   5/10     ValueError: x",
    ]
    _show_runs(rows[:2], _QUIET)
    assert capsys.readouterr().out == ""


def test_of_many_runs_the_first_are_listed_and_the_others_counted(capsys):
    _show_runs([row("diverged", seed) for seed in range(31)], _QUIET)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 32
    assert printed[-1] == "1 more run is not shown; --json lists all"
