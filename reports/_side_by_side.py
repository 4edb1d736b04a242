"""The measurements of `lipbench cost`: all methods in one process, taking turns."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from lipbench.reporting import Figure, Omitted, Shown, Table, pens, tag
from lipbench.results import Results
from lipbench.stats import Interval, mean_interval
from lipbench.words import counted

from ._audits import LONG, as_float, text
from ._draw import LARGEST, ROWS, finite, groups, height_of_rows, legend, method_rows, paper
from ._strips import banded, lines, over_runs, panels

_N_DIS = 5  # of Figure 10 of Miyato et al. (2018)
_CASE = ["method", "power_iterations", "image_size", "n_dis"]
_NONE = Shown("—", muted=True)
_SECONDS, _RATIO = "seconds_per_100_updates", "ratio_to_none"
_FACTS: dict[str, tuple[str, Callable[[float], str]]] = {
    "extra_parameters": ("Extra parameters", lambda value: f"{value:,.0f}"),
    "peak_device_bytes": ("Memory, MiB", lambda value: f"{value / 2**20:,.0f}"),
    "energy_joules_per_100_updates": ("Joules", text),
}


def side_by_side(results: Results) -> Iterator[Table | Figure | Omitted]:
    """Yield the measured overhead over `none`, and the seconds against n_dis."""
    rounds = measured(results)
    if results.cost is None or rounds.empty:
        yield Omitted(
            "the methods' cost was not measured side by side; `lipbench cost SUITE` does it"
        )
        return
    # `none` is measured for suites that do not have it, too: it is drawn as their last method.
    every = tuple(dict.fromkeys([*results.methods, *rounds["method"]]))
    about = tuple(_notes(results.cost, results, rounds))
    results = dataclasses.replace(results, methods=every)
    order = {"method": {method: i for i, method in enumerate(every)}}
    rounds = rounds.sort_values(_CASE, key=lambda c: c.map(order.get(str(c.name), {})).fillna(c))
    yield from _overhead(results, rounds, about)
    yield _table(rounds, about)
    if rounds["n_dis"].nunique() > 1:
        yield from _against_n_dis(results, rounds, about)
    else:
        yield Omitted("one n_dis was measured, so its effect on the cost is not known")


def measured(results: Results) -> pd.DataFrame:
    """Return a row for each case and round: `_CASE`, round, seconds, ratio to none, facts."""
    cases = (results.cost or {}).get("rows") or ()
    return pd.DataFrame(
        [
            {name: case.get(name) for name in _CASE}
            | {"round": i, _SECONDS: as_float(seconds), _RATIO: as_float(ratio)}
            | {name: as_float(case.get(name)) for name in _FACTS}
            for case in cases
            for i, (seconds, ratio) in enumerate(zip(case[_SECONDS], case[_RATIO], strict=True))
        ],
        columns=[*_CASE, "round", _SECONDS, _RATIO, *_FACTS],
    ).astype({"power_iterations": float, _SECONDS: float, _RATIO: float})


def seconds_an_update(results: Results, run: Mapping[Any, Any]) -> float:
    """Return the measured seconds of an update of a run's method, image size and n_dis.

    NaN where just this was not measured: another width, architecture or number of power
    iterations is another cost.
    """
    cost, rounds = results.cost or {}, measured(results)
    if any(cost.get(name) != run.get(name) for name in ("architecture", "width", "batch_size")):
        return math.nan
    own = rounds[rounds["method"].eq(run["method"]) & rounds["n_dis"].eq(run["n_dis"])]
    own = own[own["image_size"] == run["image_size"]]
    params = json.loads(run["params"]).values()
    iterations = [p["power_iterations"] for p in params if "power_iterations" in p]
    if iterations:
        own = own[own["power_iterations"] == iterations[0]]
    return float(own[_SECONDS].median()) / 100


def _notes(cost: Mapping[str, Any], results: Results, rounds: pd.DataFrame) -> Iterator[str]:
    made = str(cost.get("made", ""))[:10]
    machine = cost["processor"] if cost["device"] == "cpu" else cost["device"]
    yield (
        f"Measured on {machine}, {counted(cost['threads'], 'thread')}, torch "
        f"{cost['torch']}{f', {made}' if made else ''}: {cost['architecture']}, width "
        f"{cost['width']:g}, batches of {cost['batch_size']} (D) and "
        f"{cost['generator_batch_size']} (G), {cost['precision']}. All cases took turns in one "
        f"process, {counted(int(cost['rounds']), 'round')}."
    )
    if missing := [m for m in results.methods if m not in set(rounds["method"])]:
        yield f"Not measured: {', '.join(missing)}."


def _plainest(rounds: pd.DataFrame) -> pd.DataFrame:
    """Return the cases with the fewest power iterations of each method."""
    fewest = rounds.groupby("method")["power_iterations"].transform("min")
    return rounds[rounds["power_iterations"].isna() | rounds["power_iterations"].eq(fewest)]


def _fewest(rounds: pd.DataFrame) -> Iterator[str]:
    if (rounds.groupby("method")["power_iterations"].nunique() > 1).any():
        yield "Of several numbers of power iterations, the fewest is drawn."


def _interval(ratios: Sequence[float]) -> Interval | None:
    """Return the interval of the mean ratio over the rounds, if there are enough of them."""
    return mean_interval(ratios) if finite(ratios) == list(ratios) else None


def _overhead(
    results: Results, rounds: pd.DataFrame, about: Sequence[str]
) -> Iterator[Figure | Omitted]:
    """Yield each round's ratio to none, a panel an image size, at one n_dis."""
    n_dis = _N_DIS if rounds["n_dis"].eq(_N_DIS).any() else int(rounds["n_dis"].max())
    shown = _plainest(rounds[rounds["n_dis"] == n_dis])
    shown = shown[shown[_RATIO].abs() < LARGEST]
    if shown.empty:
        yield Omitted("no ratio to the time without a method is finite")
        return
    sizes = sorted(shown["image_size"].unique())
    for number, methods in groups(list(dict.fromkeys(shown["method"])), ROWS):
        own = shown[shown["method"].isin(methods)]
        drawing = paper(height_of_rows(methods, 0.22))
        row = method_rows(drawing, methods, len(sizes))
        several = False
        for axes, size in zip(row, sizes, strict=True):
            axes.set_title(f"{size} pixels" if size else "points")
            axes.axvline(1, color="#444444", linestyle="--", linewidth=0.8)
            axes.set_xlabel("× the time without a method")
            for method, ratios in own[own["image_size"] == size].groupby("method")[_RATIO]:
                several |= _row(axes, results, str(method), methods.index(str(method)), ratios)
            low, high = axes.get_xlim()
            axes.set_xlim(min(low, 0.95), max(high, 1.05))
        yield Figure(
            f"cost_overhead{number}",
            "Time of an update of the generator, with "
            f"{counted(n_dis, 'update')} of the discriminator, in multiples of the time without "
            "a method.",
            drawing,
            (
                "A point is a round, a tick their median; 1 is dashed.",
                *([f"Pale: {_ABOUT_INTERVAL}"] if several else []),
                *_fewest(rounds),
                *about,
            ),
            own,
        )


_ABOUT_INTERVAL = "the 95% interval of the mean ratio, Student's t over the rounds."


def _row(axes: Any, results: Results, method: str, row: int, ratios: pd.Series[float]) -> bool:
    """Draw the rounds of one case; return whether they have an interval."""
    colour = pens(results.methods)[method].colour
    middle = float(ratios.median())
    dots = axes.scatter(ratios, [row] * len(ratios), s=12, color=colour, linewidth=0, zorder=3)
    tag(dots, method, [f"{method}, round {i + 1}: × {x:.3f}" for i, x in enumerate(ratios)])
    (bar,) = axes.plot([middle] * 2, [row - 0.3, row + 0.3], color="#1a1a1a", linewidth=1.1)
    tag(bar, method, f"{method}: median × {middle:.3f} of {counted(len(ratios), 'round')}")
    found = _interval(list(ratios))
    if found and found.low < found.high:
        (line,) = axes.plot([found.low, found.high], [row] * 2, color=colour, lw=5, alpha=0.3)
        tag(line, method, f"{method}: 95% interval × {found.low:.3f} to × {found.high:.3f}")
    return bool(found and found.low < found.high)


def _table(rounds: pd.DataFrame, about: Sequence[str]) -> Table:
    cases = sorted(set(rounds[["image_size", "n_dis"]].itertuples(index=False, name=None)))
    known = [name for name in _FACTS if rounds[name].notna().any()]
    rows = []
    by_row = rounds.groupby(["method", "power_iterations"], sort=False, dropna=False)
    for key, own in by_row:
        method, iterations = str(key[0]), float(str(key[1]))
        by_case = dict(list(own.groupby(["image_size", "n_dis"])[_RATIO]))
        facts = [(name, own[name].max()) for name in known]
        entries = [
            *[_ratio(list(by_case[case])) if case in by_case else _NONE for case in cases],
            *[_NONE if math.isnan(x) else Shown(_FACTS[name][1](x)) for name, x in facts],
        ]
        detail = "" if math.isnan(iterations) else counted(iterations, "power iteration")
        rows.append((Shown(method, detail=detail), *entries))
    details = [shown.detail for row in rows for shown in row[1:]]
    return Table(
        name="cost_ratios",
        caption="Time of training, in multiples of the time without any method.",
        columns=(
            "Method",
            *[f"{size} px, n_dis {n_dis}" for size, n_dis in cases],
            *[_FACTS[name][0] for name in known],
        ),
        rows=tuple(rows),
        raw=rounds,
        notes=(
            "The median of the ratios to none within the same round.",
            *([f"Below: {_ABOUT_INTERVAL}"] if any("95%" in detail for detail in details) else []),
            *(["Below: the range over the rounds."] if any("–" in d for d in details) else []),
            *about,
            *_about_facts(known),
        ),
    )


def _ratio(ratios: Sequence[float]) -> Shown:
    """Return a median ratio, with its interval below, or the range of few rounds."""
    found = _interval(ratios)

    def told(value: float) -> str:
        return f"{value:.2f}" if abs(value) < LONG else text(value)

    low, high = (found.low, found.high) if found else (min(ratios), max(ratios))
    detail = f"95%: {told(low)} to {told(high)}" if found else f"{told(low)}–{told(high)}"
    return Shown(told(float(pd.Series(ratios).median())), detail=detail if low < high else "")


def _about_facts(known: Sequence[str]) -> Iterator[str]:
    largest = "of the largest case of a row"
    if "peak_device_bytes" in known:
        yield f"Memory: the most that the device had allocated, {largest}."
    if "energy_joules_per_100_updates" in known:
        yield f"Joules: the device's energy for 100 updates, {largest}."
    missing = {"peak_device_bytes": "device memory", "energy_joules_per_100_updates": "energy"}
    if absent := [title for name, title in missing.items() if name not in known]:
        yield f"Not measured there: {' and '.join(absent)}."


def _against_n_dis(
    results: Results, rounds: pd.DataFrame, about: Sequence[str]
) -> Iterator[Figure]:
    """Yield seconds against n_dis, a panel an image size."""
    shown = over_runs(_plainest(rounds), ["method", "image_size", "n_dis"], _SECONDS)
    shown = shown.sort_values("n_dis", kind="stable")
    sizes = sorted(shown["image_size"].unique())
    pens_ = pens(results.methods)
    styles = {m: {"color": p.colour, "linestyle": p.dash, "marker": "."} for m, p in pens_.items()}
    drawn = [method for method in results.methods if method in set(shown["method"])]
    for number, methods in groups(drawn):
        drawing, row = panels(
            [f"{size} pixels" if size else "points" for size in sizes], len(sizes), 2.2
        )
        own = shown[shown["method"].isin(methods)]
        for axes, size in zip(row, sizes, strict=True):
            lines(axes, own[own["image_size"] == size], "n_dis", "method", styles, of="round")
            axes.set_ylim(bottom=0)
            axes.xaxis.set_major_locator(FixedLocator(sorted(shown["n_dis"].unique())))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.set_xlabel("D updates for each one of G")
        row[0].set_ylabel("s per 100 updates of G")
        legend(drawing, results, methods)
        yield Figure(
            f"cost_n_dis{number}",
            "Seconds per 100 updates of the generator against the discriminator's updates"
            f"{banded(own, 'rounds')}.",
            drawing,
            (*_fewest(rounds), *about),
            own.rename(columns={"runs": "rounds"}),
        )
