"""A run's last score beside its best one, and how sure a score is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from lipbench.outcome import Outcome
from lipbench.protocols import SCORES, Score
from lipbench.reporting import Exhibit, Omitted, Shown, Table
from lipbench.results import Results
from lipbench.results.cells import best_settings, floor, numbers

from ._grid import number, precise

_NONE = Shown("—", muted=True)


class LastAndBest(Exhibit):
    """Show what stopping at the best score instead of at the end would have given."""

    title = "Last and best scores"
    order = 45

    def show(self, results: Results) -> Iterator[Table | Omitted]:
        raw = pd.DataFrame(
            row for score in results.protocol.scores for row in _cells(results, score)
        )
        if raw.empty or raw["best"].isna().all():
            yield Omitted(
                "no run was scored during training, so its last score is its best; "
                "`intervals.score` of a suite asks for scores on the way"
            )
            return
        primary = results.primary
        about = precise(results, primary)
        settings = best_settings(results)
        found = {
            (cell["method"], cell["setting"]): cell
            for cell in raw[raw["score"] == primary].to_dict("records")
        }
        rows: list[tuple[Shown | str, ...]] = []
        for method in results.methods:
            if setting := settings.get(method):
                rows.append((method, setting, *_entries(found[method, setting], about)))
            else:
                rows.append((method, *[_NONE] * 8))
        real = floor(results, primary)
        yield Table(
            name="last_and_best",
            caption=f"{about.title} at the end of training and at its best, each method at its "
            "best setting.",
            columns=(
                "Method",
                "Setting",
                "Runs",
                "Last",
                "Best",
                "At update",
                "Gap",
                "Standard error",
                "Std over latents",
            ),
            rows=tuple(rows),
            raw=raw,
            notes=(
                "Each column's median over the completed runs, which differ in their seeds, so "
                "the gap need not be the difference of two medians.",
                "A run's best is at the update that a selection score chose, on other latents and "
                "other real samples than those of the score that is reported: so it is no "
                "optimistic estimate, and can be worse than the last. Methods are ranked by the "
                "last.",
                "Gap: last minus best, with the sign that makes it positive where the last is "
                "worse.",
                *_told_of_spreads(found.values()),
                *(
                    [f"Real samples score {number(real, about)} (floor)."]
                    if real is not None
                    else []
                ),
                "Every score and setting is in the CSV file.",
            ),
            align="lcrrrrrrr",
        )


def _told_of_spreads(found: Iterable[Mapping[Any, Any]]) -> Iterator[str]:
    found = list(found)
    if any(not math.isnan(cell["standard_error"]) for cell in found):
        yield "Standard error: of a run's last score, by the bootstrap over its samples."
    if any(not math.isnan(cell["std_over_latents"]) for cell in found):
        yield "Std over latents: over sets of latents, for scores that a protocol repeats."


def _cells(results: Results, score: str) -> Iterator[dict[str, object]]:
    """Yield what the completed runs of each method and setting have in the median."""
    runs = results.runs
    known = pd.DataFrame(
        {
            "last": numbers(runs, score),
            "best": numbers(runs, f"{score}_best"),
            "best_update": numbers(runs, "best_update"),
            "gap": numbers(runs, f"{score}_gap"),
            "standard_error": numbers(runs, f"{score}_se"),
            "std_over_latents": numbers(runs, f"{score}_std"),
            "floor": numbers(runs, f"{score}_floor"),
        }
    )[runs["outcome"] == Outcome.COMPLETED]
    for (method, setting), of_runs in known.groupby([runs["method"], runs["setting"]], sort=False):
        place = {"score": score, "method": method, "setting": setting, "runs": len(of_runs)}
        yield place | {str(name): value for name, value in of_runs.median().items()}


def _entries(cell: Mapping[Any, Any], about: Score) -> Iterator[Shown | str]:
    yield str(int(cell["runs"]))
    for name in ("last", "best", "best_update", "gap", "standard_error", "std_over_latents"):
        value = float(cell[name])
        if math.isnan(value):
            yield _NONE
        elif name == "best_update":
            yield f"{value:,.0f}"
        else:
            errors = name in ("standard_error", "std_over_latents")
            yield number(value, SCORES[about.name] if errors else about)
