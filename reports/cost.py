"""The cost of a method: measured of all methods in turn, and as the runs recorded it."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from lipbench.reporting import Exhibit, Figure, Omitted, Shown, Table
from lipbench.results import Results
from lipbench.results.cells import numbers
from lipbench.words import counted

from ._audits import LONG, text
from ._side_by_side import side_by_side


class Cost(Exhibit):
    """Show the overhead as all methods in turn were measured, and then the runs' own records."""

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
    "images_per_second": ("Samples/s", 1, "of D's updates, real and generated, and of G's"),
    "extra_parameters": ("Extra parameters", 1, "trained, beyond the plain networks'"),
    "peak_device_bytes": ("Device MiB", 2**20, "the most that it had allocated"),
    "peak_resident_bytes": ("Process MiB", 2**20, "its peak, interpreter and data included"),
    "energy_joules": ("Energy, kJ", 1000, "all that the device used during training"),
}


def _recorded(results: Results, timed: pd.DataFrame) -> Table:
    """Return the milliseconds that the runs' updates took, and what else they recorded."""
    by_method = timed.groupby("method")
    seconds = timed.pivot_table(
        index="method", columns="n_dis", values="seconds_per_update", aggfunc="median"
    ).reindex([m for m in results.methods if m in by_method.groups])
    recorded = pd.DataFrame({name: numbers(timed, name) for name in _OTHERS})
    others = recorded.dropna(axis=1, how="all").groupby(timed["method"]).median()
    named = [_OTHERS[str(name)] for name in others]
    rows = []
    for method in map(str, seconds.index):
        ids = tuple(by_method.get_group(method)["run_id"])
        texts = [_text(1000 * value, 1) for value in map(float, seconds.loc[method])]
        units = zip(others.loc[method].to_numpy(float), named, strict=True)
        texts += [_text(value / unit, 0) for value, (_, unit, _) in units]
        first = Shown(method, detail=counted(len(ids), "run"), runs=ids)
        rows.append((first, *[Shown(told, runs=ids) for told in texts]))
    made = f" ({'; '.join(results.machines)})" if results.machines else ""
    return Table(
        name="cost",
        caption="Milliseconds of wall-clock time for an update of the generator, as the runs "
        "recorded it.",
        columns=(
            "Method",
            *[counted(n, "D update") for n in map(int, seconds.columns)],
            *[title for title, _, _ in named],
        ),
        rows=tuple(rows),
        raw=seconds.rename(columns=lambda n: f"seconds_per_update_n_dis_{int(n)}")
        .assign(runs=by_method.size())
        .join(others)
        .rename_axis(None, axis=1)
        .reset_index(),
        notes=(
            f"Medians over the {len(timed):,} timed runs with as many updates of the "
            "discriminator, the updates of both networks included.",
            *[
                f"{title}: {about}; median over a method's timed runs."
                for title, _, about in named
            ],
            f"Wall-clock time, on whatever machine each run had{made} and whatever else that did: "
            "no comparison of methods. Ratios that were measured in turns are one.",
        ),
    )


def _text(value: float, decimals: int) -> str:
    return f"{value:,.{decimals}f}" if abs(value) < LONG else text(value)
