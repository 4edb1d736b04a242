"""The audits that a report is about: those of every audited run, summarised by method."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lipbench.outcome import Outcome
from lipbench.reporting import Omitted, Shown
from lipbench.results import Results
from lipbench.results.audits import spectrum
from lipbench.words import counted

KINDS = ("real", "fake", "interpolates")  # of images that gradients are taken at
LONG = 1e12  # numbers from here on are printed with three digits
NO_AUDIT = Omitted("no discriminator was audited yet; `lipbench audit RUN` does it")
PLACE = ("method", "setting", "seed", "run_id", "update")  # first columns of a CSV file
OF_LAYER = (
    *("sigma_kernel", "sigma_original", "sigma_estimate", "sigma_operator"),
    *("effective_rank", "stable_rank"),
)


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
    ended = results.runs["run_id"].isin(ids) & results.runs["outcome"].ne(Outcome.COMPLETED)
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
            "outputs": len(spectrum(layer, "kernel")),
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
