"""What the best and the worst score look like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lipbench.protocols import SCORES
from lipbench.reporting import Exhibit, Figure, Omitted
from lipbench.results import Results
from lipbench.stats import tidy

from ._draw import paper, plain
from ._grid import number, precise
from .samples import corner

_SIDE = 1.35  # inches
Image = np.ndarray
_CORNER = "The corner of the newest grid of each."
_WHOLE = "The newest points of each, over real ones in grey; those beyond stand at the edge."


class Extremes(Exhibit):
    """Show samples of the run with the best score, and of the one with the worst."""

    title = "Best and worst"
    order = 14
    part = "answer"

    def show(self, results: Results) -> Iterator[Figure | Omitted]:
        if results.tuning:
            return  # the section on samples shows what the best configurations draw
        about = SCORES[results.primary]
        table = tidy(results.runs, about.name, about.higher_is_better)
        ended = table[table["value"].notna() & table["ended"]]
        ranked = ended.sort_values(["loss", "value"]).to_dict("records")
        best, worst = _drawn(results, ranked), _drawn(results, ranked[::-1])
        if best is None or worst is None or best[0] is worst[0]:
            yield Omitted("fewer than two scored runs have samples to set side by side")
            return
        yield _figure(results, [best, worst])


def _drawn(
    results: Results, runs: Sequence[dict[Any, Any]]
) -> tuple[dict[Any, Any], Image] | None:
    """Return the first run that has samples, and these."""
    sizes = results.runs.drop_duplicates("run_id").set_index("run_id")["image_size"]
    for run in runs:
        path = results.samples.get(str(run["run_id"]))
        image = corner(path, sizes[run["run_id"]]) if path else None
        if image is not None:
            return run, image
    return None


def _figure(results: Results, extremes: Sequence[tuple[dict[Any, Any], Image]]) -> Figure:
    about, info = precise(results, results.primary), results.provenance.dataset
    corners = info is None or info.is_of_images
    drawing = paper(2 * (_SIDE + 0.3), _SIDE + 0.1)
    for axes, (run, image) in zip(drawing.subplots(2, 1), extremes, strict=True):
        axes.imshow(
            image,
            interpolation="nearest" if corners else "antialiased",
            cmap="gray",
            vmin=0,
            vmax=255,
        )
        axes.set_xticks([])
        axes.set_yticks([])
        name = f"{run['method']}, {run['setting']}, seed {run['seed']}"
        axes.set_title(plain(f"{name}: {number(float(run['value']), about)}"), fontsize=8)
    rows = [{k: run[k] for k in ("run_id", "method", "setting", "seed")} for run, _ in extremes]
    return Figure(
        "extremes",
        f"Samples of the runs with the best {about.title} (above) and the worst.",
        drawing,
        (f"{_CORNER if corners else _WHOLE} Runs that diverged have no score.",),
        raw=pd.DataFrame(rows).assign(**{about.name: [run["value"] for run, _ in extremes]}),
        column=True,
    )
