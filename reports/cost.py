"""What a method costs in time."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd

from lipbench.reporting import Exhibit, Omitted, Study, Table


class Cost(Exhibit):
    """Show the seconds that an update takes, and how many times those without any method."""

    title = "Cost"
    order = 90

    def show(self, study: Study) -> Iterator[Table | Omitted]:
        timed = study.runs.dropna(subset=["seconds_per_update"])
        if timed.empty:
            yield Omitted("no run has been timed yet")
            return
        seconds = timed.pivot_table(
            index="method", columns="n_dis", values="seconds_per_update", aggfunc="median"
        ).reindex([m for m in study.methods if m in set(timed["method"])])
        ratio = _ratios(timed).reindex(seconds.index)
        shown = [(_text(1000 * row, 1) for row in seconds.loc[m]) for m in seconds.index]
        has_baseline = bool(ratio.notna().any())
        yield Table(
            name="cost",
            caption="Milliseconds of wall-clock time for an update of the generator.",
            columns=(
                "Method",
                *[f"{n} D update{'' if n == 1 else 's'}" for n in map(int, seconds.columns)],
                *(["× none"] if has_baseline else []),
            ),
            rows=tuple(
                (str(m), *texts, *([_text(ratio[m], 2)] if has_baseline else []))
                for m, texts in zip(seconds.index, shown, strict=True)
            ),
            raw=seconds.rename(columns=lambda n: f"seconds_per_update_n_dis_{int(n)}")
            .assign(ratio_to_none=ratio)
            .rename_axis(None, axis=1)
            .reset_index(),
            notes=(
                "Medians over the runs with as many updates of the discriminator, the updates of "
                "both networks included.",
                *(
                    [
                        "× none is the median over settings of the ratio to the runs without any "
                        "method at the same setting."
                    ]
                    if has_baseline
                    else []
                ),
                "Wall-clock time, on whatever each machine was and did besides: compare only runs "
                "made side by side.",
            ),
        )


def _ratios(timed: pd.DataFrame) -> pd.Series[float]:
    """Return each method's cost in multiples of none's, setting by setting."""
    medians = timed.groupby(["method", "setting"])["seconds_per_update"].median().unstack()
    none = timed[timed["methods"] == "none"].groupby("setting")["seconds_per_update"].median()
    return medians.div(none, axis=1).median(axis=1)


def _text(value: float, decimals: int) -> str:
    return "—" if math.isnan(value) else f"{value:.{decimals}f}"
