"""The audits that a report is about: those of every audited run, summarised by method."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure as Drawing
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from lipbench.reporting import Omitted, Shown, tag
from lipbench.results import Results
from lipbench.words import counted

from ._draw import LARGEST, WIDTH, finite, log_axis, paper, plain, positive

KINDS = ("real", "fake", "interpolates")  # of images that gradients are taken at
LONG = 1e12  # numbers from here on are printed with three digits
NO_AUDIT = Omitted("no discriminator was audited yet; `lipbench audit RUN` does it")
PLACE = ("method", "setting", "seed", "run_id", "update")  # first columns of a CSV file
OF_LAYER = (
    *("sigma_kernel", "sigma_original", "sigma_estimate", "sigma_operator"),
    *("effective_rank", "stable_rank"),
)
_POINTS = 3000  # in a figure, at most: a browser draws each as an element of its own


@dataclass(frozen=True)
class Audit:
    """What was measured of one run's discriminator at one update, as it is stored."""

    run_id: str
    method: str
    setting: str
    seed: int
    stored: Mapping[str, Any]

    @property
    def update(self) -> int:
        """Return the generator's updates before the audit."""
        return int(self.stored["update"])

    @property
    def place(self) -> dict[str, object]:
        """Return where the numbers are from: the values of `PLACE`."""
        return {name: getattr(self, name) for name in PLACE}

    @property
    def layers(self) -> Sequence[Mapping[str, Any]]:
        """Return the stored facts of each layer."""
        return self.stored.get("layers") or ()

    def number(self, name: str, of: str | None = None) -> float:
        """Return a number of the audit, or of one of its parts; NaN where it has none."""
        return as_float((self.stored if of is None else self.part(of)).get(name))

    def part(self, name: str) -> Mapping[str, Any]:
        """Return a part of the audit without the entries that hold nothing."""
        return {k: v for k, v in (self.stored.get(name) or {}).items() if v is not None}


def every(results: Results) -> list[Audit]:
    """Return all audits of all runs: methods and settings as planned, then by seed and update."""
    order = {"method": results.methods, "setting": results.settings}
    places = {k: {label: i for i, label in enumerate(names)} for k, names in order.items()}
    runs = results.runs[["run_id", "method", "setting", "seed"]]
    runs = runs[runs["run_id"].isin(results.audits)]
    runs = runs.sort_values(
        ["method", "setting", "seed"], key=lambda c: c.map(places.get(str(c.name), {})).fillna(c)
    )
    return [
        Audit(str(run["run_id"]), str(run["method"]), str(run["setting"]), int(run["seed"]), audit)
        for run in runs.to_dict("records")
        for audit in results.audits[run["run_id"]]
    ]


def newest(results: Results) -> list[Audit]:
    """Return the newest audit of each audited run."""
    by_run = groupby(every(results), lambda a: (a.method, a.setting, a.seed))
    return [list(audits)[-1] for _, audits in by_run]


def by_method(audits: Iterable[Audit]) -> dict[str, list[Audit]]:
    """Return each method's audits."""
    found: dict[str, list[Audit]] = {}
    for audit in audits:
        found.setdefault(audit.method, []).append(audit)
    return found


def runs_of(audits: Iterable[Audit]) -> tuple[str, ...]:
    """Return the ids of the audited runs."""
    return tuple(dict.fromkeys(audit.run_id for audit in audits))


def notes(results: Results, audits: Sequence[Audit], last: bool = True) -> Iterator[str]:
    """Yield how many runs the numbers are of, and which methods have none.

    `last` says whether each run has its newest audit only.
    """
    ids = runs_of(audits)
    planned = results.runs["run_id"].nunique()
    updates = interval([audit.update for audit in audits], 6).replace("–", " to ")
    which = "its newest audit" if last else "all of its audits"
    yield f"{len(ids):,} of {counted(planned, 'run')}, each with {which} (update {updates})."
    ended = results.runs["run_id"].isin(ids) & results.runs["outcome"].ne("completed")
    if ended.any():
        outcomes = (
            results.runs[ended]
            .drop_duplicates("run_id")["outcome"]
            .str.replace("_", " ")
            .value_counts()
        )
        listed = ", ".join(f"{n} {name}" for name, n in outcomes.items())
        yield f"Of these, not completed: {listed}."
    audited = {audit.method for audit in audits}
    if missing := [m for m in results.methods if m not in audited]:
        yield f"Without such an audit: {', '.join(missing)}."


def first(method: str, audits: Sequence[Audit]) -> Shown:
    """Return the first entry of a method's row: its label, and how many runs were audited."""
    ids = runs_of(audits)
    return Shown(method, detail=counted(len(ids), "run"), runs=ids)


def entry(values: Iterable[float], audits: Sequence[Audit], digits: int = 3) -> Shown:
    """Return the median over runs as a table has it, with the range below it.

    `values` are in the order of `audits`. The entry leads to the runs that have a value.
    """
    found = [(v, audit) for v, audit in zip(values, audits, strict=True) if not math.isnan(v)]
    known = [value for value, _ in found]
    detail = interval(known, digits) if len(set(known)) > 1 else ""
    if 0 < len(known) < len(audits):
        detail = f"{detail}, {counted(len(known), 'run')}".removeprefix(", ")
    return Shown(
        text(median(known), digits),
        detail=detail,
        muted=not known,
        runs=runs_of(a for _, a in found),
    )


def median(values: Sequence[float]) -> float:
    """Return the median of the known values, infinite ones included; NaN of none."""
    known = np.sort([value for value in values if not math.isnan(value)])
    if not len(known):
        return math.nan
    low, high = float(known[(len(known) - 1) // 2]), float(known[len(known) // 2])
    return low if low == high else low / 2 + high / 2


def layer_facts(audits: Iterable[Audit]) -> pd.DataFrame:
    """Return a row for each layer of each audit: `PLACE`, layer, kind, outputs and `OF_LAYER`.

    `outputs` is how many singular values its kernel has, 0 where that is not known.
    """
    audits = list(audits)
    called = layer_names(audits)
    rows = [
        audit.place
        | {
            "layer": called[str(layer["name"])],
            "kind": str(layer.get("kind", "")),
            "outputs": len(layer.get("spectrum_kernel") or ()),
        }
        | {fact: as_float(layer.get(fact)) for fact in OF_LAYER}
        for audit in audits
        for layer in audit.layers
    ]
    return pd.DataFrame(rows, columns=[*PLACE, "layer", "kind", "outputs", *OF_LAYER])


def layer_names(audits: Iterable[Audit]) -> dict[str, str]:
    """Return what each layer is called in a report, in the order of the networks.

    A method that puts a network around D leads every name with its own: `inner.body.conv0` is
    called `body.conv0` where another method's layer is.
    """
    found = dict.fromkeys(tuple(str(x["name"]) for x in audit.layers) for audit in audits)
    networks = [dict.fromkeys(network) for network in found]
    names = dict.fromkeys(name for network in networks for name in network)

    def same(name: str, other: str) -> bool:
        together = any(name in network and other in network for network in networks)
        return name == other or (name.endswith(f".{other}") and not together)

    short = {name: min((n for n in names if same(name, n)), key=len) for name in names}
    # Those of the plain network first: a wrapped one may have been met before.
    return dict(sorted(short.items(), key=lambda pair: pair[0] != pair[1]))


def quantiles(stored: Mapping[str, Any], at: Sequence[float]) -> NDArray[np.float64]:
    """Return quantiles of a distribution stored at 0, 0.05, ..., 1; NaN where there is none."""
    known = np.asarray(stored.get("quantiles") or [math.nan], float)
    with np.errstate(invalid="ignore"):  # between two infinite ones
        return np.interp(at, np.linspace(0, 1, len(known)), known)


def as_float(value: Any) -> float:
    """Return a stored number as a float: NaN where there is none; 'inf' and 'nan' are text."""
    return math.nan if value is None else float(value)


def text(value: float, digits: int = 3) -> str:
    """Return a measured number as a table has it; a dash where there is none."""
    if math.isnan(value):
        return "—"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    rounded = abs(float(f"{value:.{digits}g}"))  # 999.7 is 1,000 and not 1e+03
    return f"{value:.{digits}g}" if 1e-3 <= rounded < 10**digits else _wide(value, digits)


def _wide(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    return f"{value:,.0f}" if 1 <= abs(value) < 1e6 else f"{value:.{digits - 1}e}"


def interval(values: Iterable[float], digits: int = 3) -> str:
    """Return the range of the known values: `1.2–2.38`, or the one value that there is."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return "—"
    ends = [text(min(known), digits), text(max(known), digits)]
    return ends[0] if ends[0] == ends[1] else "–".join(ends)


def strip(
    axes: Axes,
    row: float,
    values: Sequence[float],
    audits: Sequence[Audit],
    what: str,
    most: int,
    height: float = 0.5,
    **style: Any,
) -> None:
    """Draw a number of one method's runs as points in a row of its own, the median as a bar.

    Of more than `most` runs the points are evenly spaced order statistics. Hovers tell the run.
    """
    pairs = zip(values, audits, strict=True)
    found = sorted(((v, a) for v, a in pairs if finite([v])), key=lambda pair: pair[0])
    if axes.get_xscale() == "log":
        found = [(v, a) for v, a in found if positive([v])]
    if not found:
        return
    method = audits[0].method
    kept = [found[i] for i in spaced(len(found), most)]
    draws = np.random.default_rng(zlib.crc32(f"{method}{what}".encode("utf-8", "surrogatepass")))
    lane = 0.3 * height if len(kept) > 1 else 0.0
    places = row + draws.uniform(-lane, lane, len(kept))
    style = {"s": 12, "alpha": 0.6, "linewidth": 0} | style
    points = axes.scatter([v for v, _ in kept], places, **style)
    tag(points, method, [f"{run_name(a)}: {what} {text(v)}" for v, a in kept])
    middle = median([v for v, _ in found])
    ends = [row - height / 2, row + height / 2]
    (bar,) = axes.plot([middle, middle], ends, color="#1a1a1a", linewidth=1.1, zorder=4)
    tag(bar, method, f"{method}: median {what} {text(middle)} of {counted(len(found), 'run')}")


def run_name(audit: Audit) -> str:
    """Return which run it is: `SN, A, seed 0`."""
    return f"{audit.method}, {audit.setting}, seed {audit.seed}"


def spaced(count: int, most: int) -> list[int]:
    """Return indices from 0 to count - 1, evenly spaced and with both ends, `most` or fewer."""
    return list(dict.fromkeys(np.linspace(0, count - 1, min(count, most)).round().astype(int)))


def points_a_row(rows: int) -> int:
    """Return how many points each of a figure's rows may have."""
    return max(20, _POINTS // max(1, rows))


def thinned(runs: Iterable[int], most: int) -> Iterator[str]:
    """Yield that not all runs are drawn, where a method has more; `runs` are the counts."""
    if max(runs, default=0) > most:
        yield (
            f"Of more than {most} runs of a method, {most} are drawn: evenly spaced by value, "
            "with the lowest and the highest."
        )


def heat(
    frame: pd.DataFrame, column: str, columns: Sequence[str], value: str, label: str
) -> tuple[Drawing, tuple[str, ...], pd.DataFrame]:
    """Return a map of a value's medians, methods by `column`: drawing, notes and numbers."""
    grouped = frame.groupby(["method", column], sort=False)[value]
    numbers = grouped.agg(["count", "median", "min", "max"])
    table = (
        numbers["median"]
        .unstack()
        .reindex(index=list(dict.fromkeys(frame["method"])), columns=list(columns))
    )
    known = table.where(table.abs().lt(LARGEST))
    low, high = float(known.min().min()), float(known.max().max())
    log = low > 1 / LARGEST and high > 5 * low
    drawing = paper(1.1 + 0.22 * known.shape[0], min(WIDTH, 2.2 + 0.62 * known.shape[1]))
    axes = drawing.add_subplot()
    sns.heatmap(
        known,
        ax=axes,
        cmap="viridis",
        norm=(LogNorm if log else Normalize)(low, high if high > low else None),
        annot=known.map(lambda v: "" if math.isnan(v) else text(v)) if known.size <= 200 else None,
        fmt="",
        annot_kws={"fontsize": 7},
        linewidths=0.8,
        linecolor="#ffffff",
        xticklabels=[plain(str(name)) for name in known.columns],
        yticklabels=[plain(str(method)) for method in known.index],
        cbar_kws={"label": label, "fraction": 0.05},
    )
    if log:
        log_axis(drawing.axes[-1])
        drawing.axes[-1].set_ylim(low, high)
    axes.set(xlabel="", ylabel="")
    axes.tick_params(length=0)
    axes.tick_params(axis="y", rotation=0)
    places = {name: i for i, name in enumerate(known.columns)}
    rows = {name: i for i, name in enumerate(known.index)}
    numbers = numbers.reset_index()
    for cell in numbers.to_dict("records"):  # its own mark, to hide and to hover
        method, name = cell["method"], cell[column]
        mark = Rectangle((places[name], rows[method]), 1, 1, fill=False, linewidth=0)
        ends = f"{text(cell['min'])}–{text(cell['max'])}"
        told = f"{method}, {name}: median {text(cell['median'])}, range {ends} of "
        axes.add_patch(tag(mark, method, told + counted(cell["count"], "run")))
    return drawing, ("The colours are logarithmic.",) if log else (), numbers


def panels(
    titles: Sequence[str], columns: int, height: float, **shared: Any
) -> tuple[Drawing, list[Axes]]:
    """Return a drawing with a titled panel for each name, `columns` of them in a row."""
    columns = min(columns, len(titles))
    rows = math.ceil(len(titles) / columns)
    drawing = paper(0.75 + height * rows, max(3.8, WIDTH * columns / max(3, columns)))
    grid = drawing.subplots(rows, columns, squeeze=False, **shared).ravel()
    for axes in grid[len(titles) :]:
        axes.set_visible(False)
    for axes, title in zip(grid, titles, strict=False):
        axes.set_title(plain(title))
    return drawing, list(grid[: len(titles)])


def over_runs(frame: pd.DataFrame, by: Sequence[str], value: str) -> pd.DataFrame:
    """Return a row for each group: `by`, and `runs`, `median`, `low` and `high` of a column.

    Numbers that no axis can show are left out.
    """
    known = frame[frame[value].abs() < LARGEST]
    found = known.groupby(list(by), sort=False)[value].agg(["count", "median", "min", "max"])
    named = {"count": "runs", "min": "low", "max": "high"}
    return found.rename(columns=named).reset_index()


def lines(
    axes: Axes,
    frame: pd.DataFrame,
    x: str,
    by: str,
    styles: Mapping[str, Mapping[str, Any]],
    method: str | None = None,
    of: str = "run",
) -> None:
    """Draw the rows of `over_runs` as lines of medians, with bands of ranges, one for each `by`.

    `method` is whose lines these are, by default `by`'s; `of` names the things summarised.
    """
    for name, line in frame.groupby(by, sort=False):
        style = styles[str(name)]
        (drawn,) = axes.plot(line[x], line["median"], **style)
        whose = f"{method}, {name}" if method else str(name)
        runs = counted(int(line["runs"].max()), of)
        tag(drawn, method or str(name), f"{whose}: median of {runs}")
        if (line["low"] < line["high"]).any():
            colour = {"color": style["color"], "alpha": 0.12, "linewidth": 0}
            band = axes.fill_between(line[x], line["low"], line["high"], **colour)
            tag(band, method or str(name), f"{whose}: range of {runs}")
    axes.grid()


def banded(frame: pd.DataFrame, of: str = "runs") -> str:
    """Return what the lines and bands of `lines` are, for a caption."""
    some = bool((frame["low"] < frame["high"]).any())
    return f": medians over {of}, with bands of their range" if some else ""
