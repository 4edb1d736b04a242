"""D's value surface with its gradient field, and what G draws, for points in the plane."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize

from lipbench.reporting import Exhibit, Figure, Omitted
from lipbench.results import Results
from lipbench.runs.plane import Plane

from ._draw import WIDTH, groups, paper, plain
from .samples import blank, outcomes_in

_COLUMNS = 6  # methods in a figure, at most
_ROWS = 6  # settings in a figure, at most
_POINTS = 3000  # generated points in a figure, at most: a browser draws each as an element
_LEVELS = 12  # lines of equal logits
_CIRCLE = 0.04  # of a panel's side: real points nearer to each other share a circle
_RED_TO_BLUE = LinearSegmentedColormap.from_list(
    "red to blue", ("#c8553d", "#e9a692", "#f5f3f0", "#9dbfdd", "#3a78b5")
)
_ARROWS, _LINES, _REAL, _GENERATED = "#565656", "#8f8f8f", "#151515", "#0b7a4b"


class Surface(Exhibit):
    """Show D over the plane for each method and setting, with real and generated points."""

    title = "D's surface and the samples"
    order = 69

    def show(self, results: Results) -> Iterator[Figure | Omitted]:
        if not results.planes:
            return  # images, or points of more than two values: the section on samples has them
        seed = int(results.runs["seed"].min())
        settings = results.settings[:_ROWS]
        for number, methods in groups(results.methods, _COLUMNS):
            yield _figure(results, number, methods, settings, seed)


def _figure(
    results: Results, number: str, methods: Sequence[str], settings: Sequence[str], seed: int
) -> Figure:
    width = min(WIDTH, 0.3 + 2.3 * len(methods))
    side = (width - 0.3) / len(methods)
    drawing = paper(0.25 + (side + 0.16) * len(settings), width)
    grid = drawing.subplots(len(settings), len(methods), squeeze=False)
    most = max(100, _POINTS // (len(methods) * len(settings)))
    for row, (setting, line) in enumerate(zip(settings, grid, strict=True)):
        for method, axes in zip(methods, line, strict=True):
            panel(axes, results, (method, setting, seed), most, f"{method}\n" if not row else "")
        line[0].set_ylabel(plain(setting), fontweight="bold")
    return Figure(
        f"plane{number}",
        "D's logits over the plane (colours), their gradients (arrows), real points (circles) "
        f"and generated points (green), after the last update; seed {seed}. A column has one "
        "method, a row one setting.",
        drawing,
        tuple(_notes(results, settings, most)),
    )


def panel(
    axes: Axes, results: Results, run: tuple[str, str, int], most: int, heading: str = ""
) -> None:
    """Draw the plane of a run (method, setting, seed), or say in words why there is none."""
    method, setting, seed = run
    runs = results.runs
    here = runs["method"].eq(method) & runs["setting"].eq(setting) & runs["seed"].eq(seed)
    planes = [results.planes.get(str(run_id)) for run_id in runs["run_id"][here]]
    plane = next((Plane.read(path) for path in planes if path is not None), None)
    axes.set(xticks=[], yticks=[])
    axes.set_box_aspect(1)
    for spine in axes.spines.values():
        spine.set(visible=True, color="#BBBBBB", linewidth=0.5)
    if plane is None:
        axes.set_title(plain(heading.strip()), fontsize=8)
        blank(axes, outcomes_in(runs[here]))
        return
    low, high = float(plane.logits.min()), float(plane.logits.max())
    axes.set_title(f"{plain(heading.strip())}\n" * bool(heading) + _range(low, high), fontsize=8)
    draw(axes, plane, most)


def draw(axes: Axes, plane: Plane, most: int) -> None:
    """Draw a plane, with `most` generated points or fewer."""
    reach = float(np.abs(plane.logits).max()) or 1.0
    axes.set_rasterization_zorder(0)  # the surface as pixels in vector files, the rest as shapes
    axes.contourf(
        plane.x,
        plane.y,
        plane.logits,
        cmap=_RED_TO_BLUE,
        norm=Normalize(-reach, reach),
        levels=_LEVELS,
        zorder=-2,
    )
    if plane.logits.min() < plane.logits.max():
        axes.contour(
            plane.x,
            plane.y,
            plane.logits,
            _LEVELS,
            colors=_LINES,
            linewidths=0.3,
            linestyles="-",
            zorder=-1,
        )
    if plane.logits.min() < 0 < plane.logits.max():
        axes.contour(
            plane.x, plane.y, plane.logits, [0], colors=_ARROWS, linewidths=0.9, zorder=-1
        )
    lengths = np.linalg.norm(plane.gradients, axis=2, keepdims=True)
    directions = np.divide(
        plane.gradients, lengths, out=np.zeros_like(plane.gradients), where=lengths > 0
    )
    axes.quiver(
        plane.arrows_x,
        plane.arrows_y,
        directions[..., 0],
        directions[..., 1],
        color=_ARROWS,
        pivot="mid",
        units="width",
        width=0.004,
        scale=len(plane.arrows_x) * 1.35,
        zorder=3,
    )
    ends = (plane.x[0], plane.y[0]), (plane.x[-1], plane.y[-1])
    real = _apart(plane.real, _CIRCLE * float(ends[1][0] - ends[0][0]))
    axes.scatter(
        real[:, 0], real[:, 1], s=14, facecolors="none", edgecolors=_REAL, linewidths=0.8, zorder=4
    )
    seen = np.clip(plane.generated[:most], *ends)
    axes.scatter(seen[:, 0], seen[:, 1], s=1.6, color=_GENERATED, linewidths=0, zorder=5)
    axes.set(xlim=plane.x[[0, -1]], ylim=plane.y[[0, -1]])


def _apart(points: np.ndarray, distance: float) -> np.ndarray:
    """Return the points that are at least this far from each one returned before."""
    kept: list[np.ndarray] = []
    for point in points:
        if all(np.hypot(*(point - other)) >= distance for other in kept):
            kept.append(point)
    return np.array(kept)


def _range(low: float, high: float) -> str:
    return f"{low:.3g} to {high:.3g}".replace("-", "\N{MINUS SIGN}")


def _notes(results: Results, settings: Sequence[str], most: int) -> Iterator[str]:
    yield (
        "Above each panel are its lowest and highest logit: each panel has a scale of its own, "
        "since a shared one would hide all but the steepest. Red is below 0, blue above, and the "
        "thick line is 0; thin lines are at equal steps."
    )
    yield (
        "Arrows have one length: they show the gradient's direction, in which G moves its points. "
        f"Up to {most:,} generated points are drawn; those beyond the square stand at its edge. "
        "Real points that are near each other share a circle."
    )
    if len(settings) < len(results.settings):
        yield (
            f"The first {len(settings)} of {len(results.settings)} settings are drawn; every run "
            "has a file plane.npz."
        )
