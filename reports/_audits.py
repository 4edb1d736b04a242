"""The audits that a report is about: a method's newest one, at its best setting."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lipbench.protocols import SCORES
from lipbench.reporting import Omitted, Shown
from lipbench.results import Results
from lipbench.results.cells import best_settings

KINDS = ("real", "fake", "interpolates")  # of images that gradients are taken at
LONG = 1e12  # numbers from here on are printed with three digits
NO_AUDIT = Omitted("no discriminator was audited yet; `lipbench audit RUN` does it")


@dataclass(frozen=True)
class Layer:
    """One layer's facts; NaN, or an empty spectrum, where the audit has no number."""

    name: str
    kind: str
    sigma_kernel: float
    sigma_original: float
    sigma_estimate: float
    sigma_operator: float
    effective_rank: float
    stable_rank: float
    spectra: Mapping[str, tuple[float, ...]]  # kernel and circular, descending


@dataclass(frozen=True)
class Spread:
    """A distribution: its mean, and its quantiles at 0, 0.05, ..., 1."""

    mean: float
    quantiles: tuple[float, ...]


@dataclass(frozen=True)
class Saturation:
    """The share of an activation layer's derivatives that are small, and of its dead units."""

    name: str
    share: float
    dead: float


@dataclass(frozen=True)
class Audit:
    """What was measured of one run's discriminator at one update; NaN where nothing was."""

    run_id: str
    method: str
    setting: str
    seed: int
    update: int
    layers: tuple[Layer, ...]
    per_image: bool  # whether D treats images one by one, so that one has a constant
    lower_bounds: Mapping[str, float]
    lower_bound: float
    upper_bound: float
    upper_bound_kernel: float
    no_upper_bound: tuple[str, ...]
    tightness: float
    gradient_norms: Mapping[str, Spread]
    saturation: tuple[Saturation, ...]
    logits: Mapping[str, Spread]
    overfitting_gap: float
    loss_train: float
    loss_heldout: float
    seconds: float  # what the audit itself took

    @property
    def place(self) -> dict[str, object]:
        """Return where the numbers are from, the first columns of a CSV file."""
        return {
            "method": self.method,
            "setting": self.setting,
            "seed": self.seed,
            "run_id": self.run_id,
            "update": self.update,
        }

    @property
    def entry(self) -> Shown:
        """Return the first entry of the method's row: its label, and which run was audited."""
        where = f"{self.setting}, seed {self.seed}, update {self.update:,}"
        return Shown(self.method, detail=where)


def newest(results: Results) -> dict[str, Audit]:
    """Return the newest audit of each method that has one at its best setting.

    It is that of the first seed that was audited there.
    """
    return {method: audits[-1] for method, audits in histories(results).items()}


def histories(results: Results) -> dict[str, list[Audit]]:
    """Return each method's audits, oldest first, of the run whose newest one `newest` returns."""
    found = {}
    for method, setting in shown_settings(results).items():
        here = results.runs["method"].eq(method) & results.runs["setting"].eq(setting)
        columns = ["run_id", "method", "setting", "seed"]
        for run in results.runs.loc[here, columns].sort_values("seed").to_dict("records"):
            if stored := results.audits.get(run["run_id"]):
                found[method] = [read(audit, run) for audit in stored]
                break
    return found


def shown_settings(results: Results) -> dict[str, str]:
    """Return the setting at which each method's audits are shown: its best, or the only one."""
    if len(results.settings) == 1:
        return dict.fromkeys(results.methods, results.settings[0])
    return best_settings(results)


def notes(results: Results, found: Iterable[str], what: str = "newest audit") -> Iterator[str]:
    """Yield which runs the audits are of, and which methods have none to show.

    `what` is shown of a run: its newest audit, or all of them.
    """
    which = "of the first seed that was audited: one run a method"
    if len(results.settings) > 1:
        which = f"at its best setting by {SCORES[results.primary].title}, {which}"
    yield f"Each method's {what} {which}."
    settings, found = shown_settings(results), set(found)
    missing = [m for m in results.methods if m not in found and m in settings]
    if missing:
        yield f"Not audited there: {', '.join(missing)}."
    unscored = [m for m in results.methods if m not in settings]
    if unscored:
        yield f"Not shown, for want of a setting with a finite score: {', '.join(unscored)}."


def read(audit: Mapping[str, Any], run: Mapping[Any, Any]) -> Audit:
    """Return an audit as it is stored, of this run, with its numbers as floats."""
    return Audit(
        run_id=str(run["run_id"]),
        method=str(run["method"]),
        setting=str(run["setting"]),
        seed=int(run["seed"]),
        update=int(audit["update"]),
        layers=tuple(_layer(layer) for layer in _list(audit, "layers")),
        per_image=bool(audit.get("per_image", True)),
        lower_bounds={k: as_float(v) for k, v in _dict(audit, "lower_bounds").items()},
        lower_bound=as_float(audit.get("lower_bound")),
        upper_bound=as_float(audit.get("upper_bound")),
        upper_bound_kernel=as_float(audit.get("upper_bound_kernel")),
        no_upper_bound=tuple(map(str, _list(audit, "no_upper_bound"))),
        tightness=as_float(audit.get("tightness")),
        gradient_norms={k: _spread(v) for k, v in _dict(audit, "gradient_norms").items()},
        saturation=tuple(
            Saturation(str(unit["name"]), as_float(unit.get("share")), as_float(unit.get("dead")))
            for unit in _list(audit, "saturation")
        ),
        logits={k: _spread(v) for k, v in _dict(audit, "logits").items()},
        overfitting_gap=as_float(audit.get("overfitting_gap")),
        loss_train=as_float(audit.get("loss_train")),
        loss_heldout=as_float(audit.get("loss_heldout")),
        seconds=as_float(audit.get("seconds")),
    )


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


def interval(values: Iterable[float], digits: int = 3) -> str:
    """Return the range of the known values: `1.2–2.38`, or the one value that there is."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return "—"
    ends = [text(min(known), digits), text(max(known), digits)]
    return ends[0] if ends[0] == ends[1] else "–".join(ends)


def layer_names(audits: Iterable[Audit]) -> dict[str, str]:
    """Return what each layer is called in a report, in the order of the networks.

    A method that puts a network around D leads every name with its own: `inner.body.conv0` is
    called `body.conv0` where another method's layer is.
    """
    networks = [{layer.name: layer for layer in audit.layers} for audit in audits]
    names = dict.fromkeys(name for network in networks for name in network)

    def same(name: str, other: str) -> bool:
        together = any(name in network and other in network for network in networks)
        return name == other or (name.endswith(f".{other}") and not together)

    short = {name: min((n for n in names if same(name, n)), key=len) for name in names}
    # Those of the plain network first: a wrapped one may have been met before.
    return dict(sorted(short.items(), key=lambda pair: pair[0] != pair[1]))


def _wide(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    return f"{value:,.0f}" if 1 <= abs(value) < 1e6 else f"{value:.{digits - 1}e}"


def _layer(layer: Mapping[str, Any]) -> Layer:
    return Layer(
        name=str(layer["name"]),
        kind=str(layer.get("kind", "")),
        sigma_kernel=as_float(layer.get("sigma_kernel")),
        sigma_original=as_float(layer.get("sigma_original")),
        sigma_estimate=as_float(layer.get("sigma_estimate")),
        sigma_operator=as_float(layer.get("sigma_operator")),
        effective_rank=as_float(layer.get("effective_rank")),
        stable_rank=as_float(layer.get("stable_rank")),
        spectra={
            of: tuple(as_float(value) for value in _list(layer, f"spectrum_{of}"))
            for of in ("kernel", "circular")
        },
    )


def _spread(stored: Mapping[str, Any]) -> Spread:
    quantiles = tuple(as_float(value) for value in _list(stored, "quantiles"))
    return Spread(as_float(stored.get("mean")), quantiles)


def _list(stored: Mapping[str, Any], key: str) -> Sequence[Any]:
    return stored.get(key) or ()


def _dict(stored: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return a part of an audit without those of its entries that hold nothing."""
    return {name: value for name, value in (stored.get(key) or {}).items() if value is not None}
