"""Drawings in the page: each method's part is named, each point has its value."""

import re
import xml.etree.ElementTree as ET

import matplotlib
import pytest
from matplotlib.figure import Figure

from lipbench.reporting.style import RC, pen, pens
from lipbench.reporting.svg import svg, tag

GROUP, TITLE = "{http://www.w3.org/2000/svg}g", "{http://www.w3.org/2000/svg}title"


@pytest.fixture
def axes():
    with matplotlib.rc_context(RC):
        yield Figure(figsize=(4, 3), layout="constrained").add_subplot()


def named(text):
    """Return the titles within each method's group."""
    groups = [g for g in ET.fromstring(text).iter(GROUP) if "data-method" in g.attrib]
    return {g.get("data-method"): [title.text for title in g.iter(TITLE)] for g in groups}


def test_each_artist_has_its_method_and_each_point_its_text(axes):
    tag(axes.scatter([1, 2], [3, 4]), "SN", ["one", "two"])
    tag(axes.plot([1, 2, 3], [1, 2, 3], marker="o")[0], "WN", ["a", "b", "c"])
    tag(axes.plot([1, 2], [1, 2])[0], "none", "all of it")
    tag(axes.bar([1], [2])[0], "WC")
    axes.plot([1, 2], [0, 1])

    assert named(svg(axes.figure, "f")) == {
        "SN": ["one", "two"],
        "WN": ["a", "b", "c"],
        "none": ["all of it"],
        "WC": [],
    }


def test_labels_with_markup_stay_text(axes):
    tag(axes.plot([1, 2], [1, 2])[0], '<script>"&', "</svg>")
    assert named(svg(axes.figure, "f")) == {'<script>"&': ["</svg>"]}


def test_two_drawings_share_no_id(axes):
    axes.plot([1, 2], [1, 2], marker="o")
    texts = [svg(axes.figure, prefix) for prefix in ("a", "b")]
    ids = [set(re.findall(r'\bid="([^"]+)"', text)) for text in texts]
    assert ids[0]
    assert not ids[0] & ids[1]
    text = texts[0]
    referred = {*re.findall(r'href="#([^"]+)"', text), *re.findall(r"url\(#([^)]+)\)", text)}
    assert referred
    assert referred <= ids[0]


def test_ink_and_paper_are_the_pages_and_a_pens_colour_stays(axes):
    axes.plot([1, 2], [1, 2], color="#D55E00")
    axes.set_xlabel("λ & co")
    text = svg(axes.figure, "f")
    assert "#d55e00" in text
    assert "#000000" not in text
    assert "#ffffff" not in text
    assert "λ &amp; co</text>" in text


def test_drawing_twice_gives_the_same(axes):
    tag(axes.scatter([1, 2], [3, 4]), "SN", ["one", "two"])
    assert svg(axes.figure, "f") == svg(axes.figure, "f")


def test_a_pen_is_a_function_of_the_method_and_of_nothing_else():
    assert pens(("WN", "SN"))["SN"] == pens(("SN", "GraN", "R1"))["SN"] == pen("SN")
    assert pen("SN (5 rounds)").colour == pen("SN").colour
    assert pen("SN (5 rounds)").dash != pen("SN").dash


def test_the_methods_of_most_reports_have_colours_of_their_own():
    labels = ("none", "SN", "WN", "WC", "WGAN-GP", "BN", "LN", "Orthonormal")
    assert len({pen(label).colour for label in labels}) == len(labels)
