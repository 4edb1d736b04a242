"""What a better score costs: each method's score and time of training, and the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pandas as pd

from lipbench.outcome import Outcome
from lipbench.protocols import SCORES
from lipbench.reporting import Exhibit, Figure, Omitted, Shown, Table, pens, tag
from lipbench.results import Results
from lipbench.results.cells import best_settings, cells, numbers

from ._audits import text
from ._draw import LARGEST, LINES, legend, log_x, paper, plain, score_axis
from ._grid import entry, marks
from ._side_by_side import seconds_an_update


class Pareto(Exhibit):
    """Draw the methods' scores against the seconds of their training."""

    title = "Scores and their cost in time"
    order = 170
    part = "lipschitz and cost"

    def show(self, results: Results) -> Iterator[Figure | Table | Omitted]:
        points = _points(results)
        if points.empty:
            yield Omitted("no method has both a finite score and a timed run at its best setting")
            return
        yield _figure(results, points)
        yield _table(results, points)


def _points(results: Results) -> pd.DataFrame:
    """Return each method's median score and seconds at its best setting, the quickest first.

    Seconds are those that `lipbench cost` measured of all methods side by side, where it measured
    just these; else the runs' own. There is no front of the latter if several machines made them.
    """
    primary = results.primary
    runs = results.runs.assign(
        own=numbers(results.runs, "seconds_per_update"),
        updates=numbers(results.runs, "planned_updates"),
    )
    found = cells(results, primary)
    rows = []
    for method, setting in best_settings(results).items():
        here = runs[runs["method"].eq(method) & runs["setting"].eq(setting)]
        here = here[here["outcome"] == Outcome.COMPLETED]
        timed = here["own"][here["own"].gt(0) & here["own"].lt(math.inf)]
        cell, run = found[method, setting], here.iloc[0].to_dict()
        measured, recorded = seconds_an_update(results, run), float(timed.median())
        rows.append(
            {
                "method": method,
                "setting": setting,
                "score": cell.median,
                "collapsed": math.isinf(cell.standing),
                "measured": measured * run["updates"],
                "recorded": recorded * run["updates"],
                "runs_scored": len(cell.values),
                "runs_timed": len(timed),
            }
        )
    points = pd.DataFrame(rows, columns=_COLUMNS)
    side_by_side = bool(len(points) and points["measured"].between(0, LARGEST, "neither").all())
    seconds = points["measured" if side_by_side else "recorded"]
    points = points.assign(seconds=seconds, side_by_side=side_by_side)
    points = points[points["seconds"].between(0, LARGEST, "neither")]
    points = points.sort_values("seconds", kind="stable").reset_index(drop=True)
    if not side_by_side and len(results.machines) > 1:
        return points.assign(on_front=False)
    competing = points[~points["collapsed"].astype(bool)]
    higher = SCORES[primary].higher_is_better
    front = _on_front(competing["seconds"], competing["score"], higher)
    return points.assign(on_front=points.index.isin(competing.index[front]))


_COLUMNS = [
    *("method", "setting", "score", "collapsed", "measured", "recorded"),
    *("runs_scored", "runs_timed"),
]


def _on_front(
    seconds: Iterable[float], scores: Iterable[float], higher_is_better: bool
) -> list[bool]:
    """Return for each point whether no other one is as good in both, and better in one."""
    sign = -1 if higher_is_better else 1
    points = [(second, sign * score) for second, score in zip(seconds, scores, strict=True)]

    def beaten(by: tuple[float, float], point: tuple[float, float]) -> bool:
        return by != point and by[0] <= point[0] and by[1] <= point[1]

    return [not any(beaten(other, point) for other in points) for point in points]


def _notes(results: Results, points: pd.DataFrame) -> Iterator[str]:
    if points["side_by_side"].any():
        yield (
            "Seconds: of an update as measured of all methods side by side, times the planned "
            "updates; scoring is not in them."
        )
    else:
        made = f" ({'; '.join(results.machines)})" if results.machines else ""
        yield (
            "Seconds: the median over the completed runs of the seconds an update took times the "
            f"planned updates, scoring apart, on whatever machine each run had{made} and whatever "
            "else that did. `lipbench cost` measures methods side by side."
        )
    if points["on_front"].any():
        yield "On the front: no other method is as quick and as good, and better in one of both."
    elif len(results.machines) > 1:
        yield "No front: the runs' seconds are from several machines."
    if points["collapsed"].any():
        yield "A method half of whose runs or more collapsed there is not on the front."
    missing = [m for m in results.methods if m not in set(points["method"])]
    diverged = set(results.runs["method"][results.runs["outcome"] == Outcome.DIVERGED])
    scored = best_settings(results)
    lost = [m for m in missing if m in diverged and m not in scored]
    if lost:
        yield f"Diverged wherever they have a result, so nowhere here: {', '.join(lost)}."
    if rest := [m for m in missing if m not in lost]:
        yield f"Without a score, or without a timed run, at the best setting: {', '.join(rest)}."


def _figure(results: Results, points: pd.DataFrame) -> Figure:
    about = SCORES[results.primary]
    few = len(points) <= LINES
    drawing = paper(3.6 if few else 4.2, 5.4 if few else 7.2)
    axes = drawing.add_subplot()
    score_axis(axes, about, points["score"])
    log_x(axes, points["seconds"].min(), points["seconds"].max())
    front = points[points["on_front"]]
    axes.step(
        front["seconds"], front["score"], where="post", color="#444444", lw=0.8, linestyle="--"
    )
    for point in points.to_dict("records"):
        method, place = point["method"], (point["seconds"], point["score"])
        pen = pens(results.methods)[method]
        colour = pen.colour if few or point["on_front"] else "#BBBBBB"
        dot = axes.scatter(*place, marker=pen.marker, color=colour, s=26, linewidth=0, zorder=3)
        told = f"{point['score']:.4g} after {text(point['seconds'], 4)} seconds"
        tag(dot, method, f"{method}, {point['setting']}: {told}")
        if point["on_front"]:
            label = axes.annotate(
                plain(method), place, (5, 3), textcoords="offset points", fontsize=7
            )
            tag(label, method)
    axes.grid()
    axes.set_xlabel("seconds of training")
    axes.set_ylabel(plain(about.title))
    if few:
        legend(drawing, results, [m for m in results.methods if m in set(points["method"])], True)
    return Figure(
        "pareto",
        f"{about.title} at each method's best setting against the seconds of its training: "
        f"{'higher' if about.higher_is_better else 'lower'} is better."
        f"{' The front is dashed.' if points['on_front'].sum() > 1 else ''}",
        drawing,
        (
            *(
                ["Methods off the front are grey; the table names them."]
                if not few and not points["on_front"].all()
                else []
            ),
            *_notes(results, points),
        ),
        points,
    )


def _table(results: Results, points: pd.DataFrame) -> Table:
    about = SCORES[results.primary]
    found = cells(results, results.primary)
    runs = results.runs
    rows = []
    shown = []
    for point in points.to_dict("records"):
        cell = found[point["method"], point["setting"]]
        shown.append(cell)
        here = runs["method"].eq(point["method"]) & runs["setting"].eq(point["setting"])
        ids = tuple(runs["run_id"][here])
        texts = text(point["seconds"], 4), "yes" if point["on_front"] else "no"
        score = replace(entry(cell, about), runs=ids)
        method, setting, *others = (
            Shown(told, runs=ids) for told in (point["method"], point["setting"], *texts)
        )
        rows.append((method, setting, score, *others))
    return Table(
        name="pareto",
        caption=f"{about.title} and seconds of training, the quickest first.",
        columns=("Method", "Setting", about.title, "Seconds", "On the front"),
        rows=tuple(rows),
        raw=points,
        notes=(
            *marks(shown),
            *_notes(results, points),
        ),
        align="lcrrc",
    )
