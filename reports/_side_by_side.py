"""What `lipbench cost` measured: all methods in one process, taking turns."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from lipbench.reporting import Figure, Omitted, Shown, Table, pens
from lipbench.results import Results
from lipbench.words import counted

from ._audits import LONG, as_float, text
from ._draw import ROWS, finite, groups, height_of_rows, legend, method_rows, paper

_N_DIS = 5  # of Figure 10 of Miyato et al. (2018)
_CASE = ["image_size", "n_dis"]
_NONE = Shown("—", muted=True)


def side_by_side(results: Results) -> Iterator[Table | Figure | Omitted]:
    """Yield the measured cost as bars, as ratios and against what changes it."""
    measured = results.cost
    if not measured or not measured.get("rows"):
        yield Omitted(
            "the methods' cost was not measured side by side; `lipbench cost SUITE` does it"
        )
        return
    rounds = _rounds(measured)
    # none is measured for suites that do not have it, too: it is drawn as their last method.
    every = dict.fromkeys([*results.methods, *rounds["method"]])
    results = dataclasses.replace(results, methods=tuple(every))
    cost = _cost(rounds, results)
    notes = _notes(measured, results, cost)
    yield from _bars(results, cost, rounds, notes)
    yield _ratios(cost, notes)
    if cost["n_dis"].nunique() > 1:
        yield from _lines(results, cost, rounds, notes)
    else:
        yield Omitted("one n_dis was measured, so its effect on the cost is not known")
    repeated = cost.dropna(subset="power_iterations").groupby("method")["power_iterations"]
    if (repeated.nunique() > 1).any():
        yield _of_power_iterations(cost, notes)
    else:
        yield Omitted("no method was measured with several numbers of power iterations")


_FACTS = ("extra_parameters", "peak_device_bytes", "energy_joules_per_100_updates")


def _rounds(cost: Mapping[str, Any]) -> pd.DataFrame:
    """Return a row for each case and round, which is what every figure's CSV file holds."""
    rows = []
    for case in cost["rows"]:
        place = {name: case.get(name) for name in ("method", "power_iterations", *_CASE)}
        facts = {name: as_float(case.get(name)) for name in _FACTS}
        timed = zip(case["seconds_per_100_updates"], case["ratio_to_none"], strict=True)
        for index, (seconds, ratio) in enumerate(timed):
            numbers = {
                "seconds_per_100_updates": as_float(seconds),
                "ratio_to_none": as_float(ratio),
            }
            rows.append(place | {"round": index} | numbers | facts)
    return pd.DataFrame(rows).astype(
        dict.fromkeys(("power_iterations", "seconds_per_100_updates", "ratio_to_none"), float)
    )


def _cost(rounds: pd.DataFrame, results: Results) -> pd.DataFrame:
    """Return a row for each case: medians over the rounds, with the range, in the plan's order."""
    by_case = rounds.groupby(
        ["method", "power_iterations", *_CASE], sort=False, dropna=False, as_index=False
    )
    cost = by_case.agg(
        seconds=("seconds_per_100_updates", "median"),
        low=("seconds_per_100_updates", "min"),
        high=("seconds_per_100_updates", "max"),
        ratio=("ratio_to_none", "median"),
        ratio_low=("ratio_to_none", "min"),
        ratio_high=("ratio_to_none", "max"),
        **{name: (name, "max") for name in _FACTS},
    )
    place = cost["method"].map({method: i for i, method in enumerate(results.methods)})
    by = ["place", "power_iterations", *_CASE]
    return cost.assign(place=place).sort_values(by, ignore_index=True).drop(columns="place")


def _plainest(cost: pd.DataFrame) -> pd.DataFrame:
    """Return the cases with the fewest power iterations of each method, one a size and n_dis."""
    return cost.drop_duplicates(["method", *_CASE])


def _notes(cost: Mapping[str, Any], results: Results, cases: pd.DataFrame) -> tuple[str, ...]:
    made = str(cost.get("made", ""))[:10]
    threads = cost["threads"]
    machine = cost["processor"] if cost["device"] == "cpu" else cost["device"]
    missing = [m for m in results.methods if m not in set(cases["method"])]
    return (
        f"Measured on {machine}, {counted(threads, 'thread')}, torch "
        f"{cost['torch']}{f', {made}' if made else ''}: {cost['architecture']}, width "
        f"{cost['width']:g}, batches of {cost['batch_size']} (D) and "
        f"{cost['generator_batch_size']} (G), {cost['precision']}. All cases took turns in one "
        f"process, {_rounds_in_words(int(cost['rounds']))}.",
        *([f"Not measured: {', '.join(missing)}."] if missing else []),
    )


def _rounds_in_words(rounds: int) -> str:
    more = ": medians, with the range over rounds" if rounds > 1 else ""
    return f"{counted(rounds, 'round')}{more}"


def _bars(
    results: Results, cost: pd.DataFrame, rounds: pd.DataFrame, notes: Sequence[str]
) -> Iterator[Figure | Omitted]:
    shown = _plainest(cost[cost["n_dis"] == _N_DIS])
    if shown.empty:
        yield Omitted(f"no bars as in Figure 10 of Miyato et al. 2018: n_dis {_N_DIS} is missing")
        return
    sizes = sorted(shown["image_size"].unique())
    several = (shown["low"] < shown["high"]).any()
    whiskers = ["Whiskers are the range over rounds."] if several else []
    for number, methods in groups(list(dict.fromkeys(shown["method"])), ROWS):
        drawing = paper(height_of_rows(methods, 0.22))
        row = method_rows(drawing, methods, len(sizes))
        for axes, size in zip(row, sizes, strict=True):
            axes.set_title(f"{size} pixels", fontweight="bold")
            axes.set_xlabel("seconds per 100 updates of G")
            longest = max(finite(shown["high"][shown["image_size"] == size]), default=0.0)
            axes.set_xlim(0, 1.05 * longest or 1.0)
            _bars_of(axes, results, methods, shown[shown["image_size"] == size])
        of_figure = rounds["n_dis"].eq(_N_DIS) & rounds["method"].isin(methods)
        yield Figure(
            f"cost_bars{number}",
            f"Seconds per 100 updates of the generator, each with {_N_DIS} of the discriminator.",
            drawing,
            (*notes, *_fewest(cost), *whiskers),
            rounds[of_figure],
        )


def _fewest(cost: pd.DataFrame) -> Iterator[str]:
    several = cost.groupby("method")["power_iterations"].nunique() > 1
    if several.any():
        yield "Methods that were measured with several numbers of power iterations: the fewest."


def _bars_of(axes: Axes, results: Results, methods: Sequence[str], cost: pd.DataFrame) -> None:
    for case in cost[cost["method"].isin(methods)].to_dict("records"):
        if not finite([case["high"]]):
            continue
        row = methods.index(case["method"])
        axes.barh(
            row,
            case["seconds"],
            0.66,
            color=pens(results.methods)[case["method"]].colour,
            alpha=0.8,
        )
        axes.plot([case["low"], case["high"]], [row, row], "-|", color="#222222", lw=0.9, ms=5)


def _ratios(cost: pd.DataFrame, notes: Sequence[str]) -> Table:
    cases = sorted(set(cost[_CASE].itertuples(index=False, name=None)))
    facts = {
        "extra_parameters": ("Extra parameters", lambda value: f"{value:,.0f}"),
        "peak_device_bytes": ("Memory, MiB", lambda value: f"{value / 2**20:,.0f}"),
        "energy_joules_per_100_updates": ("Joules", lambda value: text(value)),
    }
    known = {name: fact for name, fact in facts.items() if cost[name].notna().any()}
    rows = []
    for (method, iterations), of_method in cost.groupby(
        ["method", "power_iterations"], sort=False, dropna=False
    ):
        here = {(c["image_size"], c["n_dis"]): c for c in of_method.to_dict("records")}
        entries = [_ratio(here[case]) if case in here else _NONE for case in cases]
        largest = [of_method[name].max() for name in known]
        words = [
            _NONE if pd.isna(value) else form(value)
            for value, (_, form) in zip(largest, known.values(), strict=True)
        ]
        rows.append((_named(str(method), float(str(iterations))), *entries, *words))
    return Table(
        name="cost_ratios",
        caption="Time of training, in multiples of that without any method.",
        columns=(
            "Method",
            *[f"{size} px, n_dis {n_dis}" for size, n_dis in cases],
            *[title for title, _ in known.values()],
        ),
        rows=tuple(rows),
        raw=cost,
        notes=(
            "Medians of the ratios to none within the same round"
            f"{', with their range below' if _ranges(rows) else ''}.",
            *notes,
            *_told_of_facts(known),
        ),
    )


def _ranges(rows: Sequence[tuple[Shown | str, ...]]) -> bool:
    """Return whether an entry after the first has a range."""
    return any(isinstance(e, Shown) and e.detail for row in rows for e in row[1:])


def _told_of_facts(known: Mapping[str, object]) -> Iterator[str]:
    largest = "of the largest case of a row"
    if "peak_device_bytes" in known:
        yield f"Memory: the most that the device had allocated, {largest}."
    if "energy_joules_per_100_updates" in known:
        yield f"Joules: the device's energy for 100 updates, {largest}."
    missing = {"peak_device_bytes": "device memory", "energy_joules_per_100_updates": "energy"}
    if absent := [title for name, title in missing.items() if name not in known]:
        yield f"Not measured there: {' and '.join(absent)}."


def _ratio(case: Mapping[Any, Any]) -> Shown:
    ratio, low, high = (
        f"{x:.2f}" if abs(x) < LONG else text(x)
        for x in (case["ratio"], case["ratio_low"], case["ratio_high"])
    )
    return Shown(ratio, detail=f"{low}–{high}" if low != high else "")


def _named(method: str, power_iterations: float) -> Shown:
    iterations = counted(power_iterations, "power iteration")
    return Shown(method, detail="" if math.isnan(power_iterations) else iterations)


def _lines(
    results: Results, cost: pd.DataFrame, rounds: pd.DataFrame, notes: Sequence[str]
) -> Iterator[Figure]:
    """Yield seconds against n_dis, a panel an image size."""
    shown = _plainest(cost)
    sizes = sorted(shown["image_size"].unique())
    ticks = sorted(shown["n_dis"].unique())
    for number, methods in groups(list(dict.fromkeys(shown["method"]))):
        drawing = paper(2.6 + 0.16 * (len(methods) // 6), max(4.2, 3.0 * len(sizes)))
        row = drawing.subplots(1, len(sizes), squeeze=False)[0]
        for axes, size in zip(row, sizes, strict=True):
            for method in methods:
                line = shown[shown["method"].eq(method) & shown["image_size"].eq(size)]
                pen = pens(results.methods)[method]
                axes.plot(
                    line["n_dis"],
                    line["seconds"],
                    color=pen.colour,
                    linestyle=pen.dash,
                    marker=".",
                )
            axes.set_title(f"{size} pixels", fontweight="bold")
            axes.grid()
            axes.set_ylim(bottom=0)
            axes.xaxis.set_major_locator(FixedLocator(ticks))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.set_xlabel("D updates for each one of G")
        row[0].set_ylabel("s per 100 updates of G")
        legend(drawing, results, methods)
        yield Figure(
            f"cost_n_dis{number}",
            "Seconds per 100 updates of the generator against the discriminator's updates.",
            drawing,
            (*notes, *_fewest(cost)),
            rounds[rounds["method"].isin(methods)],
        )


def _of_power_iterations(cost: pd.DataFrame, notes: Sequence[str]) -> Table:
    """Return seconds with each number of power iterations, in multiples of those with fewest."""
    several = cost.dropna(subset="power_iterations")
    counts = sorted(several["power_iterations"].unique())
    rows: list[tuple[Shown | str, ...]] = []
    raw: list[dict[str, object]] = []
    for (method, size, n_dis), of_case in several.groupby(["method", *_CASE], sort=False):
        seconds = dict(zip(of_case["power_iterations"], of_case["seconds"], strict=True))
        if len(seconds) < 2:
            continue
        fewest = seconds[min(seconds)]
        entries = [
            Shown(text(seconds[n]), detail=f"× {seconds[n] / fewest:.2f}")
            if n in seconds
            else _NONE
            for n in counts
        ]
        rows.append((str(method), str(size), str(n_dis), *entries))
        place = {"method": method, "image_size": size, "n_dis": n_dis}
        raw += [place | {"power_iterations": n, "seconds": s} for n, s in seconds.items()]
    return Table(
        name="cost_power_iterations",
        caption="Seconds per 100 updates of the generator with several power iterations.",
        columns=("Method", "Pixels", "n_dis", *[f"{n:g}" for n in counts]),
        rows=tuple(rows),
        raw=pd.DataFrame(raw),
        notes=("Below: in multiples of the fewest iterations.", *notes),
    )
