"""What a method costs: measured of all methods in turn, and as the runs recorded it."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from lipbench.reporting import Exhibit, Figure, Omitted, Table
from lipbench.results import Results
from lipbench.results.cells import numbers

from ._audits import LONG, text
from ._side_by_side import side_by_side


class Cost(Exhibit):
    """Show what was measured of all methods in turn, and then what the runs themselves took."""

    title = "Cost"
    order = 160
    part = "lipschitz and cost"

    def show(self, results: Results) -> Iterator[Table | Figure | Omitted]:
        yield from side_by_side(results)
        timed = results.runs.dropna(subset=["seconds_per_update"])
        if timed.empty:
            yield Omitted("no run has been timed yet")
        else:
            yield _recorded(results, timed)


_OTHERS = {  # that runs may record: what it is called, in which unit, and what to know of it
    "images_per_second": ("Images/s", 1, "of D's updates, real and generated, and of G's"),
    "extra_parameters": ("Extra parameters", 1, "trained, beyond the plain networks'"),
    "peak_device_bytes": ("Device MiB", 2**20, "the most that it had allocated"),
    "peak_resident_bytes": ("Process MiB", 2**20, "its peak, interpreter and data included"),
    "energy_joules": ("Energy, kJ", 1000, "all that the device used during training"),
}


def _recorded(results: Results, timed: pd.DataFrame) -> Table:
    """Return the milliseconds that the runs' updates took, and what else they recorded."""
    seconds = timed.pivot_table(
        index="method", columns="n_dis", values="seconds_per_update", aggfunc="median"
    ).reindex([m for m in results.methods if m in set(timed["method"])])
    ratio = _ratios(timed).reindex(seconds.index)
    others = _others(timed).reindex(seconds.index)
    recorded = [_OTHERS[str(name)] for name in others]
    has_baseline = bool(ratio.notna().any())
    rows = []
    for method, times, values in zip(
        map(str, seconds.index), seconds.to_numpy(), others.to_numpy(), strict=True
    ):
        texts = [_text(1000 * value, 1) for value in times]
        texts += [_text(ratio[method], 2)] if has_baseline else []
        texts += [_text(v / unit, 0) for v, (_, unit, _) in zip(values, recorded, strict=True)]
        rows.append((method, *texts))
    made = f" ({'; '.join(results.machines)})" if results.machines else ""
    return Table(
        name="cost",
        caption="Milliseconds of wall-clock time for an update of the generator, as the runs "
        "recorded it.",
        columns=(
            "Method",
            *[f"{n} D update{'' if n == 1 else 's'}" for n in map(int, seconds.columns)],
            *(["× none"] if has_baseline else []),
            *[title for title, _, _ in recorded],
        ),
        rows=tuple(rows),
        raw=seconds.rename(columns=lambda n: f"seconds_per_update_n_dis_{int(n)}")
        .assign(ratio_to_none=ratio, runs=timed.groupby("method").size())
        .join(others)
        .rename_axis(None, axis=1)
        .reset_index(),
        notes=(
            f"Medians over the {len(timed):,} timed runs with as many updates of the "
            "discriminator, the updates of both networks included.",
            *(
                [
                    "× none is the median over settings of the ratio to the runs without any "
                    "method at the same setting."
                ]
                if has_baseline
                else []
            ),
            *[
                f"{title}: {about}; median over a method's timed runs."
                for title, _, about in recorded
            ],
            f"Wall-clock time, on whatever each machine was{made} and did besides: compare only "
            "runs made side by side. Ratios that were measured in turns are the ones to trust.",
        ),
    )


def _ratios(timed: pd.DataFrame) -> pd.Series[float]:
    """Return each method's cost in multiples of none's, setting by setting."""
    medians = timed.groupby(["method", "setting"])["seconds_per_update"].median().unstack()
    none = timed[timed["methods"] == "none"].groupby("setting")["seconds_per_update"].median()
    return medians.div(none, axis=1).median(axis=1)


def _others(timed: pd.DataFrame) -> pd.DataFrame:
    """Return each method's medians of what else the runs recorded, if any of them did."""
    known = pd.DataFrame({name: numbers(timed, name) for name in _OTHERS})
    return known.dropna(axis=1, how="all").groupby(timed["method"]).median()


def _text(value: float, decimals: int) -> str:
    return f"{value:,.{decimals}f}" if abs(value) < LONG else text(value)
