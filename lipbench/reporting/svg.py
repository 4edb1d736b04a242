"""Drawings as SVG for the page: methods can be hidden, values are shown on hover, dark is dark.

`tag` says of an artist which method it shows and what its points are; `svg` writes the drawing.
There an artist's group has `data-method`, each of its points a `<title>`, which browsers show and
screen readers read. Black and grey become `currentColor`, and white the page's background.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from lipbench.reporting import files

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure as Drawing

_SVG = "http://www.w3.org/2000/svg"
_LINK = "http://www.w3.org/1999/xlink"
_TAG = "lipbench-"
_SHAPES = ("path", "use", "rect", "polygon", "circle", "line", "image")
# What matplotlib draws in greys is ink or paper, but for a pen's own grey, which is not here.
_INK = {"#000000", "#1a1a1a", "#222222", "#262626", "#333333", "#444444"}
_PAPER = {"#ffffff"}
_SOFT = {"#dddddd", "#cccccc"}  # grids

_Artist = TypeVar("_Artist", bound="Artist")


def tag(artist: _Artist, method: str | None = None, hovers: Sequence[str] | str = ()) -> _Artist:
    """Say which method an artist shows, and a text for it or for each of its points, in order.

    Without an effect on PNG and PDF. Returns the artist.
    """
    artist.set_gid(_TAG)  # `svg` numbers the groups
    artist.lipbench_tag = (method, [hovers] if isinstance(hovers, str) else list(hovers))  # type: ignore[attr-defined]
    return artist


def svg(drawing: Drawing, prefix: str) -> str:
    """Return a drawing as an `<svg>` element to stand in a page; `prefix` begins all its ids."""
    tags: list[tuple[str | None, Sequence[str]]] = []
    for artist in _tagged(drawing):
        artist.set_gid(f"{_TAG}{len(tags)}")
        tags.append(artist.lipbench_tag)
    content = files.svg(drawing)
    for artist in _tagged(drawing):
        artist.set_gid(_TAG)
    root = ET.fromstring(content)
    for name in ("metadata", "title"):
        for element in root.findall(f"{{{_SVG}}}{name}"):
            root.remove(element)
    for group in root.iter(f"{{{_SVG}}}g"):
        number = group.get("id", "").removeprefix(_TAG)
        if number.isdigit() and group.get("id", "").startswith(_TAG):
            del group.attrib["id"]
            _titled(group, *tags[int(number)])
    _coloured(root)
    _renamed(root, prefix)
    width, height = root.get("width", ""), root.get("height", "")
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.set("fill", "currentColor")  # matplotlib leaves black out, which is the default
    root.set("style", f"max-width: {_pixels(width)}px; aspect-ratio: {_ratio(width, height)}")
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _LINK)
    return ET.tostring(root, encoding="unicode")


def _tagged(drawing: Drawing) -> list[Any]:
    return [a for a in drawing.findobj() if a.get_gid() is not None and hasattr(a, "lipbench_tag")]


def _titled(group: ET.Element, method: str | None, hovers: Sequence[str]) -> None:
    """Name a group's method, and give it a title, or one to each of its points."""
    if method is not None:
        group.set("data-method", method)
    shapes = list(_shapes(group))
    markers = [shape for shape in shapes if shape.tag == f"{{{_SVG}}}use"]  # of a line with some
    points = next((some for some in (markers, shapes) if len(some) == len(hovers)), None)
    if points and len(hovers) > 1:
        targets: Iterable[tuple[ET.Element, str]] = zip(points, hovers, strict=True)
    else:
        targets = [(group, "\n".join(hovers))] if hovers else []
    for element, text in targets:
        title = ET.Element(f"{{{_SVG}}}title")
        title.text = text
        element.insert(0, title)


def _shapes(group: ET.Element) -> Iterator[ET.Element]:
    """Yield the shapes that a group draws, in order, without what its definitions hold."""
    for element in group:
        name = element.tag.removeprefix(f"{{{_SVG}}}")
        if name == "g":
            yield from _shapes(element)
        elif name in _SHAPES:
            yield element


def _coloured(root: ET.Element) -> None:
    """Let the page decide on ink, paper and grids."""

    def colour(found: re.Match[str]) -> str:
        value = found[0].lower()
        if value in _INK:
            return "currentColor"
        if value in _PAPER:
            return "var(--paper, #fff)"
        return "var(--grid, #ddd)" if value in _SOFT else found[0]

    for element in root.iter():
        for name in ("style", "fill", "stroke"):
            if name in element.attrib:
                element.set(name, re.sub("#[0-9a-fA-F]{6}", colour, element.attrib[name]))
        if "style" in element.attrib:  # the page's font, and no other that it may not have
            plain = re.sub("font-family: [^;]*", "font-family: inherit", element.attrib["style"])
            element.set("style", plain)
        if element.tag == f"{{{_SVG}}}text" and "fill" not in element.get("style", ""):
            element.set("style", f"{element.get('style', '')}; fill: currentColor".lstrip("; "))


def _renamed(root: ET.Element, prefix: str) -> None:
    """Begin each id with a prefix, and what refers to it: a page has several drawings."""
    for element in root.iter():
        if "id" in element.attrib:
            element.set("id", f"{prefix}-{element.attrib['id']}")
        for name, value in element.attrib.items():
            if name == f"{{{_LINK}}}href" and value.startswith("#"):
                element.set(name, f"#{prefix}-{value[1:]}")
            elif "url(#" in value:
                element.set(name, value.replace("url(#", f"url(#{prefix}-"))


def _number(points: str) -> float:
    return float(points.removesuffix("pt"))


def _pixels(points: str) -> int:
    return round(_number(points) * 125 / 72)  # a little larger than on paper


def _ratio(width: str, height: str) -> str:
    return f"{_number(width):g} / {_number(height):g}"
