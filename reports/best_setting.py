"""Each method at its best setting, beside the published values where they can be compared."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from lipbench.protocols import SCORES
from lipbench.reporting import Exhibit, Omitted, Shown, Table
from lipbench.results import Results
from lipbench.results.cells import Cell, best, cells, floor
from lipbench.stats import mean_interval

from ._grid import entry, marks, number, precise

_CITATION = (
    "Published: T. Miyato, T. Kataoka, M. Koyama, Y. Yoshida, Spectral Normalization for "
    "Generative Adversarial Networks, ICLR 2018 (arXiv 1802.05957), Table 2."
)
_SAME = {  # what must be the same for two scores to be comparable, and what it is called
    "protocol": "protocol",
    "dataset": "data",
    "image_size": "image size",
    "architecture": "architecture",
    "width": "width",
    "loss": "loss",
    "planned_updates": "generator updates",
}
_NONE = Shown("—", muted=True)


class BestSetting(Exhibit):
    """Show each method where it does best, and what its paper reports."""

    title = "Best settings, and published values"
    order = 40

    def show(self, results: Results) -> Iterator[Table | Omitted]:
        primary, scores = results.primary, results.protocol.selection.scores
        found = {score: cells(results, score) for score in scores}
        abouts = {score: precise(results, score) for score in scores}
        rows: list[tuple[Shown | str, ...]] = []
        raw: list[dict[str, object]] = []
        reasons: dict[str, list[str]] = {}
        shown: list[Cell] = []
        for method in results.methods:
            setting = best({s: found[primary][method, s] for s in results.settings})
            if setting is None:
                rows.append((method, *[_NONE] * (len(scores) + 2)))
                continue
            here = {score: found[score][method, setting] for score in scores}
            shown += here.values()
            place = results.runs["method"].eq(method) & results.runs["setting"].eq(setting)
            paper, differences = _published(results.runs[place].iloc[0], results.published)
            if differences:
                reasons.setdefault(differences, []).append(method)
            verdicts = {s: _compared(here[s], paper, s) for s in scores}
            theirs = (
                Shown("not comparable", muted=True) if differences else _listed(paper, verdicts)
            )
            ours = [entry(here[score], abouts[score]) for score in scores]
            rows.append((method, setting, *ours, theirs))
            numbers: dict[str, object] = {"method": method, "setting": setting}
            numbers |= {score: cell.median for score, cell in here.items()}
            numbers |= {f"published_{s}": _value(paper, s) for s in scores}
            raw.append(numbers | {f"compared_{s}": verdicts[s] for s in scores})
        if not raw:
            yield Omitted("no method has a score at any setting, or only diverged")
            return
        rows += _real_data(results)
        yield Table(
            name="best_setting",
            caption=f"Each method at its best setting by {SCORES[primary].title}.",
            columns=("Method", "Setting", *[SCORES[s].title for s in scores], "Published"),
            rows=tuple(rows),
            raw=pd.DataFrame(raw),
            notes=tuple(_notes(results, found[primary], reasons, shown, raw)),
            align="lc" + "r" * (len(scores) + 1),
        )


def _published(run: pd.Series, published: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return the published scores of what this run repeats, or else what differs.

    Where nothing is published about the method, both are empty.
    """
    rows = published[published["method"] == run["methods"]]
    if rows.empty:
        return rows, ""
    rows = rows.rename(columns={"generator_updates": "planned_updates"}).assign(width=1.0)
    params = _flat(json.loads(run["params"]))
    differing = [_differences(run, params, row) for _, row in rows.iterrows()]
    nearest = min(differing, key=len)
    return rows[[not d for d in differing]], "; ".join(nearest)


def _differences(run: pd.Series, params: Mapping[str, object], row: pd.Series) -> list[str]:
    pairs = [
        (called, run[column], row[column])
        for column, called in _SAME.items()
        if pd.notna(run[column])  # points have no image size
    ]
    wanted = {} if pd.isna(row["params"]) else json.loads(row["params"])
    pairs += [(name, params.get(name, value), value) for name, value in wanted.items()]
    return [
        f"{called} {_plain(ours)} (published: {_plain(theirs)})"
        for called, ours, theirs in pairs
        if ours != theirs
    ]


def _flat(value: object) -> dict[str, object]:
    """Return the innermost names of nested JSON, with their values."""
    if isinstance(value, list):
        return {k: v for part in value for k, v in _flat(part).items()}
    if not isinstance(value, dict):
        return {}
    inner = {k: v for part in value.values() for k, v in _flat(part).items()}
    return {k: v for k, v in value.items() if not isinstance(v, (dict, list))} | inner


def _plain(value: object) -> str:
    return str(value) if isinstance(value, str) else f"{value:,g}"


def _compared(cell: Cell, paper: pd.DataFrame, score: str) -> str:
    """Return whether a published score is reproduced; empty where nothing is published.

    It is where it lies in the 95% interval of our mean over seeds, or as near to it as the
    published spread.
    """
    published = _value(paper, score)
    if math.isnan(published):
        return ""
    spread = float(paper.loc[paper["score"] == score, "spread"].iloc[0])
    ours = mean_interval(cell.values) if cell.complete and not cell.diverged else None
    if ours is None:
        return "open"
    near = 0.0 if math.isnan(spread) else spread
    return "reproduced" if ours.low - near <= published <= ours.high + near else "outside"


def _listed(paper: pd.DataFrame, verdicts: Mapping[str, str]) -> Shown:
    """Return published scores as one entry, `FID 29.3, IS 7.42 ± 0.08`, and their verdicts."""
    parts = []
    for _, row in paper.iterrows():
        about = SCORES[row["score"]]
        spread = "" if pd.isna(row["spread"]) else f" ± {row['spread']:.{about.decimals}f}"
        parts.append(f"{about.title} {number(row['value'], about)}{spread}")
    told = [f"{SCORES[score].title} {verdict}" for score, verdict in verdicts.items() if verdict]
    return Shown(", ".join(parts), detail=", ".join(told)) if parts else _NONE


def _value(paper: pd.DataFrame, score: str) -> float:
    values = paper.loc[paper["score"] == score, "value"]
    return math.nan if values.empty else float(values.iloc[0])


def _real_data(results: Results) -> list[tuple[Shown | str, ...]]:
    floors = {score: floor(results, score) for score in results.protocol.selection.scores}
    if all(value is None for value in floors.values()):
        return []
    run, rows = results.runs.iloc[0], results.published
    same = [rows[column].eq(run[column]) for column in ("protocol", "dataset", "image_size")]
    paper = rows[rows["method"].eq("real data") & same[0] & same[1] & same[2]]
    texts = [
        _NONE if value is None else Shown(number(value, SCORES[score]), muted=True)
        for score, value in floors.items()
    ]
    return [(Shown("Real data", muted=True), "", *texts, _listed(paper, {}))]


def _notes(
    results: Results,
    row: Mapping[tuple[str, str], Cell],
    reasons: Mapping[str, list[str]],
    shown: Sequence[Cell],
    raw: Sequence[Mapping[str, object]],
) -> Iterator[str]:
    if len(results.settings) > 1:
        title = SCORES[results.primary].title
        yield (
            f"The setting is selected on the reported {title} itself, of {len(results.settings)}, "
            "so it is an optimistic estimate: the more settings, the more optimistic."
        )
    if any(cell.runs and not cell.complete for cell in row.values()):
        yield "Some runs have no result, so another setting may prove better."
    yield from marks(shown)
    if any(any(cell.collapsed) for cell in row.values()):
        yield "A setting with collapsed runs comes after those without, by the same rule."
    yield _CITATION
    verdicts = {str(v) for row in raw for k, v in row.items() if k.startswith("compared_")}
    if verdicts & {"reproduced", "outside"}:
        yield (
            "Reproduced: the published number is in the 95% interval of the mean over our seeds "
            "(Student's t), or as near to it as the published spread; outside: it is not."
        )
    if "open" in verdicts:
        yield "Open: a comparison takes 3 seeds or more, all with a finite score."
    for differences, methods in reasons.items():
        who = "" if len(reasons) == 1 else f" ({', '.join(methods)})"
        yield f"Not comparable{who}: {differences}."
