"""What the page knows of each run, for whoever asks where a number comes from."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lipbench.protocols import SCORES
from lipbench.results.results import Results

IMAGES = 20_000_000  # bytes of samples that a page holds: our choice
_POINTS = 40  # of a curve in the page
_CURVES = ("loss_d", "loss_g")


def details(results: Results) -> dict[str, Any]:
    """Return, as JSON, the runs with all that is known of them, and what they share.

    The newest samples come first, then earlier ones, as far as IMAGES bytes last; `left_out` says
    how many are not there.
    """
    runs = results.runs.drop_duplicates("run_id")
    scores = [score for score in results.protocol.scores if score in runs]
    specs = {run_id: dict(_leaves(spec)) for run_id, spec in results.specs.items()}
    common = _common([specs[run_id] for run_id in runs["run_id"] if run_id in specs])
    images, left_out = _images(results, list(runs["run_id"]))
    curves = _curves(results)
    rows = []
    for run in runs.to_dict("records"):
        run_id = str(run["run_id"])
        own = {k: v for k, v in specs.get(run_id, {}).items() if common.get(k) != v}
        rows.append(
            {
                "id": run_id,
                "method": run["method"],
                "setting": run["setting"],
                "seed": int(run["seed"]),
                "outcome": run["outcome"],
                "cause": _text(run.get("cause")),
                "updates": _number(run.get("generator_updates")),
                "collapsed": _number(run.get("collapsed")) == 1,
                "seconds": _number(run.get("seconds")),
                "scores": [_number(run[score]) for score in scores],
                "spec": own,
                "curves": curves.get(run_id, {}),
                "images": images.get(run_id, []),
            }
        )
    return {
        "suite": results.suite,
        "scores": [SCORES[score].title for score in scores],
        "common": common,
        "runs": rows,
        "left_out": left_out,
    }


_SUMMARY = {
    "method": "Method", "score": "Score", "best": "Best", "median": "Median", "worst": "Worst",
    "iqm": "Interquartile mean", "iqm_low": "95% from", "iqm_high": "to",
    "iqr": "Interquartile range", "success": "Success", "settings_within": "Settings within 10%",
    "area": "Area of the profile", "runs": "Runs", "missing": "Missing",
}  # fmt: skip


def summary(found: pd.DataFrame) -> dict[str, Any]:
    """Return, as JSON, what each method comes to by each score, of the frame `robustness`."""
    titled = found.assign(score=[SCORES[score].title for score in found["score"]])
    return {
        "columns": list(_SUMMARY.values()),
        "rows": [
            [value if isinstance(value, str) else _number(value, 4) for value in row]
            for row in titled[list(_SUMMARY)].itertuples(index=False)
        ],
    }


def script(value: object) -> str:
    """Return JSON that can stand in a script element, whatever its texts hold."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _text(value: Any) -> str | None:
    return None if value is None or pd.isna(value) else str(value)


def _number(value: Any, digits: int = 6) -> float | str | None:
    """Return a number as JSON has it; infinities are texts."""
    if value is None or pd.isna(value):
        return None
    number = float(value)
    if math.isinf(number):
        return "∞" if number > 0 else "-∞"
    return (
        int(number)
        if number.is_integer() and abs(number) < 1e15
        else float(f"{number:.{digits}g}")
    )


def _leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the innermost values of a spec with their dotted names."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        for inner in value:
            yield from _leaves(inner, f"{prefix}.{inner['name']}" if "name" in inner else prefix)
    else:
        yield prefix, json.dumps(value)


def _common(specs: list[dict[str, str]]) -> dict[str, str]:
    """Return the values that all runs share."""
    if not specs:
        return {}
    first, *others = specs
    return {k: v for k, v in first.items() if all(other.get(k) == v for other in others)}


def _curves(results: Results) -> dict[str, dict[str, list[list[float]]]]:
    """Return at most _POINTS points of each run's losses and its selection score, by run."""
    selection = f"{results.primary}_selection"
    names = {**{name: name for name in _CURVES}, selection: SCORES[results.primary].title}
    curves = results.curves[results.curves["name"].isin(names)]
    points = curves.groupby(["run_id", "name"], sort=False)["update"]
    step = np.ceil(points.transform("size") / _POINTS)
    some = curves[(points.cumcount() % step == 0) & np.isfinite(curves["value"].astype(float))]
    found: dict[str, dict[str, list[list[float]]]] = {}
    for run_id, name, update, value in some[["run_id", "name", "update", "value"]].to_numpy():
        of_run = found.setdefault(run_id, {})
        of_run.setdefault(names[name], []).append([int(update), float(f"{value:.4g}")])
    return found


def _images(results: Results, runs: list[str]) -> tuple[dict[str, list[tuple[int, str]]], int]:
    """Return each run's samples as (update, data URI), oldest first, and how many are left out."""
    grids = {run: list(results.grids.get(run, ())) for run in runs}
    newest = [(run, paths[-1]) for run, paths in grids.items() if paths]
    earlier = [(run, path) for run, paths in grids.items() for path in reversed(paths[:-1])]
    found: dict[str, list[tuple[int, str]]] = {}
    spent = left_out = 0
    for run, path in [*newest, *earlier]:
        uri = _uri(path) if spent < IMAGES else None
        if uri is None:
            left_out += 1
            continue
        spent += len(uri)
        found.setdefault(run, []).append((int(path.stem), uri))
    return {run: sorted(images) for run, images in found.items()}, left_out


def _uri(path: Path) -> str | None:
    """Return a PNG file as a data URI; None where it is none, or not whole."""
    from PIL import Image

    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            image.verify()
    except (OSError, ValueError, SyntaxError):
        return None
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
