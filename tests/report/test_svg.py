"""Figures in a page: ids, colours, text, and paths that stay what they were."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from cmgems.report.svg import COLOURS, RAMP_COLOURS, inline_svg, new_figure, page_style


def drawn(name="a", draw=lambda axes: axes.plot([0, 1, 2], [0.0004, 1, 2], color=COLOURS[1])) -> str:
    with page_style():
        figure = new_figure()
        draw(figure.add_subplot(xlabel="step <1>"))
        return inline_svg(figure, name, 'what "it" shows')


def test_it_is_one_element_that_says_what_it_shows():
    svg = ElementTree.fromstring(drawn())
    assert svg.tag == "svg"
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == 'what "it" shows'
    assert svg.get("viewBox") == "0 0 360 237.6"
    assert svg.get("width") is None
    texts = ["".join(text.itertext()) for text in svg.iter("text")]
    assert "step <1>" in texts
    assert not any("://" in value for element in svg.iter() for value in element.attrib.values())


def test_colours_are_the_pages():
    svg = drawn()
    assert "var(--c2)" in svg
    assert "fill: var(--text)" in svg
    assert "#0001" not in svg
    assert not re.search(r"(fill|stroke): #", svg)
    assert "font-family" not in svg


def test_ids_are_its_own_and_all_in_use():
    one, other = drawn("one"), drawn("other")
    ids = set(re.findall(r' id="([^"]+)"', one))
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', one))
    assert ids
    assert ids == used
    assert not ids & set(re.findall(r' id="([^"]+)"', other))
    assert drawn("one") == one


def points(svg: str, colour: str) -> str:
    return next(m[1] for m in re.finditer(r'<path d="([^"]*)"([^>]*)', svg) if f"stroke: {colour}" in m[2])


def test_dots_are_short_and_lines_keep_their_points():
    """A zero-length line is a dot only if it ends there: what follows must stay a line."""
    codes = [Path.MOVETO, Path.LINETO]
    dots = PathPatch(Path([(0.5, 0.5)] * 2 + [(1, 1)] * 2, codes * 2), edgecolor=RAMP_COLOURS[0])
    path = points(drawn(draw=lambda axes: axes.add_artist(dots)), "var(--r1)")
    assert re.fullmatch(r"(M[\d.]+ [\d.]+h0){2} ?", path)

    line = points(drawn(draw=lambda axes: axes.plot([0, 0, 1], [0, 0, 1], color=COLOURS[2])), "var(--c3)")
    assert re.fullmatch(r"M([\d.]+ [\d.]+) \1 [\d.]+ [\d.]+ ?", line)


@pytest.mark.parametrize("value", [0.0004, 12345.678])
def test_numbers_in_text_are_not_shortened(value):
    assert f">{value}</text>" in drawn(draw=lambda axes: axes.text(0, 0, str(value)))
