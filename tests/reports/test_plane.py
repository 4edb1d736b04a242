"""D's surface over the plane: a panel a method and setting, and nothing in a report on images."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from matplotlib import rc_context

from lipbench.data import DatasetInfo
from lipbench.reporting.style import RC
from lipbench.reporting.svg import svg
from lipbench.results.provenance import Provenance
from lipbench.results.select import selected
from lipbench.runs.plane import Plane

RING = DatasetInfo("gaussians", "", (2,), 64, 32, ("0", "1"))


def plane(scale: float = 1.0, generated: tuple[float, float] = (0.0, 0.0)) -> Plane:
    """Return D(x, y) = scale x on the square of side 2, with 2 modes of 3 points each."""
    x, arrows = np.linspace(-1, 1, 5, dtype="f4"), np.linspace(-1, 1, 3, dtype="f4")
    near = np.array([0.0, 0.001, 0.002])
    return Plane(
        x=x,
        y=x,
        logits=np.tile(np.float32(scale) * x, (5, 1)),
        arrows_x=arrows,
        arrows_y=arrows,
        gradients=np.tile(np.array([scale, 0], "f4"), (3, 3, 1)),
        generated=np.array([generated] * 4000, "f4"),
        real=np.array([(x, 0) for x in (*(near - 0.5), *(near + 0.5))], "f4"),
    )


@pytest.fixture
def with_planes(sketch, tmp_path):
    """Return what makes a study of two methods at two settings, whose runs have these planes."""

    def make(planes, left_out=()):
        paths = {}
        for method in ("none", "SN"):
            for setting in "AC":
                for seed in (0, 1):
                    run = sketch.run(method, setting, 1.0, seed)
                    paths[run] = tmp_path / f"{run}.npz"
                    with paths[run].open("wb") as file:
                        planes(method, setting, seed).write(file)
        kept = {run: path for run, path in paths.items() if run not in left_out}
        return dataclasses.replace(
            sketch.results(), planes=kept, provenance=Provenance(dataset=RING)
        )

    return make


def panels(figure):
    """Return a figure's panels by their titles, the rows one after the other."""
    return [(axes.get_title(), axes) for axes in figure.drawing.axes]


def drawn(axes):
    """Return a panel's arrows, circles and dots."""
    return axes.collections[-3:]


def test_a_panel_for_each_method_and_setting_with_the_range_of_its_logits(with_planes, exhibit):
    scales = {("none", "A"): 1.0, ("none", "C"): 2.0, ("SN", "A"): 0.5, ("SN", "C"): 40.0}
    results = with_planes(lambda method, setting, seed: plane(scales[method, setting] + seed))

    (figure,) = exhibit("plane").show(results)

    assert figure.name == "plane"
    assert "seed 0" in figure.caption
    assert [title for title, _ in panels(figure)] == [
        "none\n\N{MINUS SIGN}1 to 1",
        "SN\n\N{MINUS SIGN}0.5 to 0.5",
        "\N{MINUS SIGN}2 to 2",
        "\N{MINUS SIGN}40 to 40",
    ]
    assert [axes.get_ylabel() for _, axes in panels(figure)] == ["A", "", "C", ""]


def test_the_page_has_the_labels_as_text_and_the_surface_as_pixels(with_planes, exhibit):
    with rc_context(RC):
        (figure,) = exhibit("plane").show(with_planes(lambda *run: plane()))
        drawn = svg(figure.drawing, "plane")

    words = re.findall(r"<text[^>]*>([^<]*)</text>", drawn)
    assert {"none", "SN", "A", "C"} < set(words)
    assert drawn.count("<image") == 4


def test_arrows_have_one_length_and_near_real_points_one_circle(with_planes, exhibit):
    results = with_planes(lambda *run: plane(7.0, generated=(3.0, -9.0)))

    (figure,) = exhibit("plane").show(results)

    arrows, circles, dots = drawn(panels(figure)[0][1])
    assert set(zip(arrows.U.tolist(), arrows.V.tolist(), strict=True)) == {(1.0, 0.0)}
    assert circles.get_offsets().tolist() == [[-0.5, 0.0], [0.5, 0.0]]
    assert np.unique(dots.get_offsets(), axis=0).tolist() == [[1.0, -1.0]]  # at the edge
    assert len(dots.get_offsets()) == 750  # of 3,000 in 4 panels
    assert "750 generated points" in " ".join(figure.notes)


def test_colours_are_centred_at_0_even_where_all_logits_are_above(with_planes, exhibit):
    moved = dataclasses.replace(plane(), logits=plane().logits + 5)

    (figure,) = exhibit("plane").show(with_planes(lambda *run: moved))

    title, axes = panels(figure)[0]
    assert title.endswith("4 to 6")
    surface = axes.collections[0]
    assert surface.norm.vmin == -6
    assert surface.norm.vmax == 6


@pytest.mark.filterwarnings("error")
def test_a_constant_d_is_drawn(with_planes, exhibit):
    (figure,) = exhibit("plane").show(with_planes(lambda *run: plane(0.0)))

    assert panels(figure)[0][0] == "none\n0 to 0"


def test_a_run_without_a_plane_is_told_in_words(with_planes, exhibit):
    results = with_planes(lambda *run: plane(), left_out=("SN-A-s0",))
    results.planes["SN-C-s0"].write_bytes(b"damaged")

    (figure,) = exhibit("plane").show(results)

    words = [[text.get_text() for text in axes.texts] for _, axes in panels(figure)]
    assert words == [[], ["completed"], [], ["completed"]]


def test_settings_beyond_the_sixth_are_left_out_with_a_note(sketch, exhibit, tmp_path):
    runs = [sketch.run("SN", setting, 1.0) for setting in "ABCDEFG"]
    path = tmp_path / "plane.npz"
    with path.open("wb") as file:
        plane().write(file)
    results = dataclasses.replace(sketch.results(), planes=dict.fromkeys(runs, path))

    (figure,) = exhibit("plane").show(results)

    assert len(panels(figure)) == 6
    assert "The first 6 of 7 settings" in figure.notes[-1]


def test_a_report_on_images_has_no_such_section(sketch, exhibit):
    sketch.run("SN", "A", 1.0)

    assert list(exhibit("plane").show(sketch.results())) == []


def test_the_samples_leave_points_to_it(with_planes, exhibit):
    results = with_planes(lambda *run: plane())

    assert list(exhibit("samples").show(results)) == []


def test_chosen_runs_keep_their_planes(with_planes):
    results = selected(with_planes(lambda *run: plane()), methods=("SN",))

    assert set(results.planes) == {f"SN-{s}-s{seed}" for s in "AC" for seed in (0, 1)}


def test_the_answer_on_points_does_not_compare_with_published_images(with_planes, exhibit):
    results = with_planes(lambda *run: plane())

    (answer,) = exhibit("answer").show(results)

    assert "Miyato" not in answer.texts[0]
    assert "need not hold for images" in answer.texts[0]
