"""Whole reports, of all that is installed."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from lipbench.reporting import render


def text(folder):
    """Return what a reader of the page sees."""
    html = (folder / "index.html").read_text(encoding="utf-8")
    return re.sub(r"<[^>]+>", " ", re.sub(r"<(style|script)\b.*?</\1>", "", html, flags=re.S))


@pytest.mark.parametrize("state", ["empty", "queued", "diverged", "one"])
def test_a_study_in_any_state_renders_without_a_nan(sketch, tmp_path, state):
    if state == "one":
        sketch.run("SN", "recipe", 12.5)
    elif state != "empty":
        for method in ("SN", "WN"):
            for setting in "AB":
                sketch.run(method, setting, state)
    results = sketch.results(["SN"], ["A"]) if state == "empty" else sketch.results()

    render(results, tmp_path / "report")

    page = text(tmp_path / "report")
    assert not re.search(r"\b(nan|None|NaT|inf)\b|<NA>", page)
    assert {"empty": "no runs yet", "one": "1 run: 1 completed"}.get(state, f"4 {state}") in page


def test_the_paper_grid_renders_whole(sketch, tmp_path):
    for method in ("none", "SN", "WGAN-GP"):
        for i, setting in enumerate("ABCDEF"):
            for seed in (0, 1):
                value = "diverged" if (method, setting) == ("WGAN-GP", "F") else 10.0 + i + seed
                run = sketch.run(method, setting, value, seed, fd_digits_floor=1.8)
                sketch.curves += [(run, u, "loss_d", 1.0 / (u + 1)) for u in range(5)]

    folder = render(sketch.results(), tmp_path / "report").parent

    csv = pd.read_csv(folder / "tables/robustness.csv", index_col="method")
    assert csv.loc["SN", list("ABCDEF")].tolist() == [10.5, 11.5, 12.5, 13.5, 14.5, 15.5]
    assert csv.loc["WGAN-GP", "Worst"] == float("inf")
    assert csv.loc["WGAN-GP", ["succeeded", "runs"]].tolist() == [10, 12]
    assert {p.stem for p in folder.glob("figures/*.pdf")} == {
        "bars_fd_digits",
        "best_of_k",
        "heat_map",
        "pairs",
        "profiles",
        "ranks",
        "spread",
        "training",
    }
    assert "36 runs: 34 completed, 2 diverged" in text(folder)
