"""What a better score costs: each method's score and time of training, and the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import pandas as pd

from lipbench.protocols import SCORES
from lipbench.reporting import Exhibit, Figure, Omitted, Table, pens
from lipbench.results import Results
from lipbench.results.cells import best_settings, cells, numbers

from ._audits import text
from ._draw import LINES, legend, log_x, paper, plain, score_axis
from ._grid import entry, marks


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
    """Return each method's median score and seconds at its best setting, the quickest first."""
    primary = results.primary
    seconds = numbers(results.runs, "seconds_per_update") * numbers(
        results.runs, "planned_updates"
    )
    found = cells(results, primary)
    rows = []
    for method, setting in best_settings(results).items():
        here = results.runs["method"].eq(method) & results.runs["setting"].eq(setting)
        timed = seconds[here & results.runs["outcome"].eq("completed")]
        timed = timed[timed.gt(0) & timed.lt(math.inf)]
        cell = found[method, setting]
        if not timed.empty:
            rows.append(
                {
                    "method": method,
                    "setting": setting,
                    "score": cell.median,
                    "collapsed": math.isinf(cell.standing),
                    "seconds": float(timed.median()),
                    "runs_scored": len(cell.values),
                    "runs_timed": len(timed),
                }
            )
    columns = ["method", "setting", "score", "collapsed", "seconds", *_COUNTS]
    points = pd.DataFrame(rows, columns=columns)
    points = points.sort_values("seconds", kind="stable").reset_index(drop=True)
    higher = SCORES[primary].higher_is_better
    competing = points[~points["collapsed"].astype(bool)]
    front = _on_front(competing["seconds"], competing["score"], higher)
    return points.assign(on_front=points.index.isin(competing.index[front]))


_COUNTS = ("runs_scored", "runs_timed")


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
    made = f" ({'; '.join(results.machines)})" if results.machines else ""
    yield (
        "Seconds: the median over the completed runs of the seconds an update took times the "
        f"planned updates, scoring apart, on whatever machine each run had{made} and whatever "
        "else that did: compare only runs made side by side."
    )
    yield "On the front: no other method is as quick and as good, and better in one of the two."
    if points["collapsed"].any():
        yield "A method half of whose runs or more collapsed there is not on the front."
    missing = [m for m in results.methods if m not in set(points["method"])]
    diverged = set(results.runs["method"][results.runs["outcome"] == "diverged"])
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
        pen, place = pens(results.methods)[point["method"]], (point["seconds"], point["score"])
        colour = pen.colour if few or point["on_front"] else "#BBBBBB"
        axes.plot(*place, pen.marker, color=colour, markersize=5)
        if point["on_front"]:
            label = plain(point["method"])
            axes.annotate(label, place, (5, 3), textcoords="offset points", fontsize=7)
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
    rows = []
    shown = []
    for point in points.to_dict("records"):
        cell = found[point["method"], point["setting"]]
        shown.append(cell)
        front = "yes" if point["on_front"] else "no"
        seconds = text(point["seconds"], 4)
        rows.append((point["method"], point["setting"], entry(cell, about), seconds, front))
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
